"""The order in which MQTT messages leave."""

from __future__ import annotations

import json

from spillwatch.publish.outgoing import MAX_ANSWERS, MemoryOutbox, Queue
from tests.support.publishers import alarm_event


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class OldOutbox(MemoryOutbox):
    """What an earlier run left behind."""

    def take(self) -> tuple[int, str, float] | None:
        entry = super().take()
        return entry and (entry[0], entry[1], float("-inf"))


def queue_of(*seqs: int, outbox: MemoryOutbox | None = None, clock: Clock | None = None) -> Queue:
    queue = Queue(MemoryOutbox() if outbox is None else outbox, events_topic="alarms", clock=clock or Clock())
    for seq in seqs:
        queue.append(alarm_event(seq))
    return queue


def drain(queue: Queue) -> list[tuple[str, str]]:
    """Topic and payload of all that leave; of events, their seq."""
    left = []
    while outgoing := queue.take():
        payload = outgoing.payload if outgoing.seq is None else str(json.loads(outgoing.payload)["seq"])
        left.append((outgoing.topic, payload))
        assert queue.acknowledged() == outgoing
    return left


def events(*seqs: int) -> list[tuple[str, str]]:
    return [("alarms", str(seq)) for seq in seqs]


def test_one_message_is_under_way_at_a_time() -> None:
    queue = queue_of(1, 2)
    first = queue.take()
    assert first
    assert first.seq == 1
    assert queue.take() is None
    assert len(queue) == 2
    assert queue.acknowledged() == first
    assert drain(queue) == events(2)


def test_events_all_leave_in_order_after_answers_and_retained_values() -> None:
    queue = queue_of(*range(5))
    queue.retain("state", "watching")
    queue.answer("cmd/result", "done", None)

    assert drain(queue) == [("cmd/result", "done"), ("state", "watching"), *events(*range(5))]
    assert len(queue) == 0


def test_only_the_newest_retained_value_leaves() -> None:
    queue = queue_of()
    queue.retain("state", "watching")
    queue.retain("state", "obstructed")

    assert drain(queue) == [("state", "obstructed")]


def test_a_value_that_changes_while_it_is_under_way_leaves_again() -> None:
    queue = queue_of()
    queue.retain("state", "watching")
    queue.take()
    queue.retain("state", "obstructed")
    queue.acknowledged()

    assert drain(queue) == [("state", "obstructed")]


def test_after_a_reconnection_every_retained_value_leaves_again_before_the_events() -> None:
    queue = queue_of()
    for topic in ("a", "b", "status"):
        queue.retain(topic, "x")
    drain(queue)
    queue.append(alarm_event(1))
    queue.retain_all_again(first="status")

    assert drain(queue) == [("status", "x"), ("a", "x"), ("b", "x"), *events(1)]


def test_a_value_that_changes_faster_than_the_broker_answers_takes_turns_with_the_events() -> None:
    queue = queue_of(1, 2)
    queue.retain("cam/1/alarm", "spill")
    left = []
    for turn in range(8):
        queue.retain("cam/status", str(turn))
        outgoing = queue.take()
        assert outgoing
        left.append(outgoing.topic)
        queue.acknowledged()

    assert left == ["cam/1/alarm", "cam/status", "alarms", "cam/status", "alarms", *["cam/status"] * 3]


def test_nothing_is_acknowledged_when_nothing_is_under_way() -> None:
    assert queue_of().acknowledged() is None
    assert queue_of().denied(hold_s=1) is None


def test_a_denied_value_does_not_leave_again_but_a_newer_one_does() -> None:
    queue = queue_of()
    queue.retain("a", "1")
    queue.retain("b", "1")
    for _ in "ab":
        queue.take()
        queue.denied(hold_s=30)
    queue.retain("b", "2")
    queue.retain_all_again(first="status")

    assert drain(queue) == [("b", "2")]


def test_denied_events_wait_hold_nothing_else_up_and_are_tried_again() -> None:
    clock = Clock()
    queue = queue_of(1, 2, clock=clock)
    assert queue.take()
    queue.denied(hold_s=30)
    queue.retain("a", "1")

    assert drain(queue) == [("a", "1")]
    assert len(queue) == 2
    clock.now_s = 31
    assert drain(queue) == events(1, 2)


def test_an_event_that_waited_or_that_an_earlier_run_made_is_late() -> None:
    def late(outgoing_of: Queue) -> bool:
        outgoing = outgoing_of.take()
        assert outgoing
        return bool(json.loads(outgoing.payload)["late"])

    clock = Clock()
    clock.now_s = -1e9  # before the event was made, as far as this clock goes
    assert not late(queue_of(1, clock=clock))
    clock.now_s = 1e12
    assert late(queue_of(1, clock=clock))
    clock.now_s = -1e9
    assert late(queue_of(1, outbox=OldOutbox(), clock=clock))


def test_answers_that_nobody_takes_do_not_gather() -> None:
    queue = queue_of()
    for number in range(MAX_ANSWERS + 5):
        queue.answer("cmd/result", str(number), None)

    assert drain(queue) == [("cmd/result", str(number)) for number in range(5, MAX_ANSWERS + 5)]
