"""The order in which MQTT messages leave."""

from __future__ import annotations

from spillwatch.publish.outgoing import Queue


def drain(queue: Queue) -> list[tuple[str, str]]:
    left = []
    while outgoing := queue.take():
        left.append((outgoing.topic, outgoing.payload))
        queue.acknowledged()
    return left


def test_one_message_is_under_way_at_a_time() -> None:
    queue = Queue()
    queue.append("alarms", "1")
    queue.append("alarms", "2")

    assert queue.take() == ("alarms", "1", False)
    assert queue.take() is None
    assert len(queue) == 2
    assert queue.acknowledged() == ("alarms", "1", False)
    assert queue.take() == ("alarms", "2", False)


def test_events_all_leave_in_order_after_the_retained_values() -> None:
    queue = Queue()
    for number in range(5):
        queue.append("alarms", str(number))
    queue.retain("state", "watching")

    assert drain(queue) == [("state", "watching"), *[("alarms", str(number)) for number in range(5)]]
    assert len(queue) == 0


def test_only_the_newest_retained_value_leaves() -> None:
    queue = Queue()
    queue.retain("state", "watching")
    queue.retain("state", "obstructed")

    assert drain(queue) == [("state", "obstructed")]


def test_a_value_that_changes_while_it_is_under_way_leaves_again() -> None:
    queue = Queue()
    queue.retain("state", "watching")
    queue.take()
    queue.retain("state", "obstructed")
    queue.acknowledged()

    assert drain(queue) == [("state", "obstructed")]


def test_after_a_reconnection_every_retained_value_leaves_again_before_the_events() -> None:
    queue = Queue()
    for topic in ("a", "b", "status"):
        queue.retain(topic, "x")
    drain(queue)
    queue.append("alarms", "1")
    queue.retain_all_again(first="status")

    assert drain(queue) == [("status", "x"), ("a", "x"), ("b", "x"), ("alarms", "1")]


def test_nothing_is_acknowledged_when_nothing_is_under_way() -> None:
    assert Queue().acknowledged() is None


def test_a_forgotten_value_does_not_leave_again_but_a_newer_one_does() -> None:
    queue = Queue()
    queue.retain("a", "1")
    queue.retain("b", "1")
    drain(queue)
    queue.retain("b", "2")
    queue.forget("a")
    queue.forget("b")
    queue.retain_all_again(first="status")

    assert drain(queue) == [("b", "2")]
