"""What holds for every publisher."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.config import MqttSettings
from spillwatch.errors import PublishError
from spillwatch.publish.jsonl import JsonlPublisher
from spillwatch.publish.mqtt import MqttPublisher
from spillwatch.records import CameraState, CameraStatus, WellState, WellStatus, to_json
from tests.support.publishers import AT, ListPublisher, alarm_event, identity
from tools.rig import free_port, wait_until
from tools.rig.broker import Broker, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spillwatch.publish.base import Publisher


@dataclass
class Case:
    """A publisher, and how to see what it has handed on: the first ``count`` alarm events."""

    publisher: Publisher
    delivered: Callable[[int], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(params=["list", "jsonl", "mqtt"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param == "list":
        fake = ListPublisher()
        yield Case(fake, lambda _: [to_plain(event) for event in fake.events])
    elif request.param == "jsonl":
        path = tmp_path / "events.jsonl"
        yield Case(
            JsonlPublisher(path, append=False), lambda _: [json.loads(line) for line in path.read_text().splitlines()]
        )
    else:
        port = request.getfixturevalue("broker").port
        base = f"site/{request.node.name.split('[')[0]}"
        with Subscriber(port, f"{base}/alarms") as subscriber:

            def delivered(count: int) -> list[dict[str, Any]]:
                wait_until(lambda: len(subscriber.received) >= count)
                return [json.loads(text) for text in subscriber.on(f"{base}/alarms")]

            settings = MqttSettings(host="127.0.0.1", port=port)
            yield Case(MqttPublisher(settings, identity(base), wait_for_broker=True), delivered)


def to_plain(event: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(to_json(event)))
    return plain


def test_events_arrive_in_order_each_once_as_their_json(case: Case) -> None:
    events = [alarm_event(seq, well=f"{seq % 5}L1") for seq in range(1, 301)]
    with case.publisher as publisher:
        for event in events:
            publisher.publish(event)

    assert case.delivered(300) == [to_plain(event) for event in events]


def test_leaving_hands_over_what_is_under_way(case: Case) -> None:
    with case.publisher as publisher:
        publisher.publish(alarm_event(1))

    assert [event["seq"] for event in case.delivered(1)] == [1]


def test_every_kind_of_message_is_taken(case: Case) -> None:
    with case.publisher as publisher:
        publisher.publish(WellStatus(camera="cam1", well="3L4", state=WellState.OBSTRUCTED, at=AT))
        publisher.publish(
            CameraStatus(camera="cam1", state=CameraState.BLIND, reason="lost", fps=0, last_frame_age_s=None, at=AT)
        )
        publisher.publish(alarm_event(1, well=None))

    assert [event["seq"] for event in case.delivered(1)] == [1]


def test_a_failure_inside_is_passed_on_and_costs_no_event(case: Case) -> None:
    class PipelineError(Exception):
        pass

    def fail_after_one_event() -> None:
        with case.publisher as publisher:
            publisher.publish(alarm_event(1))
            raise PipelineError

    with pytest.raises(PipelineError):
        fail_after_one_event()
    assert [event["seq"] for event in case.delivered(1)] == [1]


@pytest.mark.parametrize("kind", ["jsonl", "mqtt"])
def test_what_cannot_work_is_a_publish_error_on_entering_and_not_before(kind: str, tmp_path: Path) -> None:
    unusable: Publisher
    if kind == "jsonl":
        unusable = JsonlPublisher(tmp_path / "missing" / "events.jsonl", append=True)
    else:
        settings = MqttSettings(host="127.0.0.1", port=free_port())
        unusable = MqttPublisher(settings, identity("site"), wait_for_broker=True)

    with pytest.raises(PublishError), unusable:
        pass
