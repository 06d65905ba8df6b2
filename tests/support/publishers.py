"""A publisher that remembers, and messages to publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from spillwatch.publish.base import Identity
from spillwatch.records import AlarmEvent, AlarmState, Condition, Priority

if TYPE_CHECKING:
    from spillwatch.records import Message

AT = datetime(2026, 11, 24, 10, 0, 0, 125_000, tzinfo=UTC)


class ListPublisher:
    """Keeps every message, of every kind, in the order of publication."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.entered = 0
        self.left = 0

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(self, *exc: object) -> None:
        self.left += 1

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def events(self) -> list[AlarmEvent]:
        """The alarm events among them."""
        return [message for message in self.messages if isinstance(message, AlarmEvent)]


def identity(base: str) -> Identity:
    """Who a publisher is, in tests."""
    return Identity(base=base, client_id="spillwatch-line", version="0.1.0")


def alarm_event(seq: int, **changes: Any) -> AlarmEvent:
    """The ``seq``-th event of a site, one a second: a spill in well 3L4, unless ``changes`` say otherwise."""
    values: dict[str, Any] = {
        "id": f"line-cam1-7.{seq}",
        "seq": seq,
        "camera": "cam1",
        "well": "3L4",
        "condition": Condition.SPILL,
        "state": AlarmState.UNACKNOWLEDGED,
        "active": True,
        "acked": False,
        "priority": Priority.HIGH,
        "at": AT + timedelta(seconds=seq % 1_000_000),
        "score": 0.0421,
        "threshold": 0.0187,
        "model": "2026-11",
        "delay_ms": 38.5,
    }
    return AlarmEvent(**values | changes)
