"""What the broker has not acknowledged yet."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Outgoing(NamedTuple):
    """One MQTT message on its way."""

    topic: str
    payload: str
    retain: bool


class Queue:
    """Every event, in order, and the newest value of each retained topic.

    Retained values go first: they are the truth of the moment and few, and old ones are of no use to anybody. One
    message is under way at a time. Not thread-safe; nothing here is ever dropped.
    """

    def __init__(self) -> None:
        self._retained: dict[str, str] = {}
        self._stale: dict[str, None] = {}  # an ordered set: retained topics of which the broker has an old value
        self._events: deque[Outgoing] = deque()
        self._under_way: Outgoing | None = None

    def __len__(self) -> int:
        return len(self._stale) + len(self._events) + (self._under_way is not None)

    def retain(self, topic: str, payload: str) -> None:
        """The topic's value from now on; an older one that has not left yet never will."""
        self._retained[topic] = payload
        self._stale[topic] = None

    def append(self, topic: str, payload: str) -> None:
        """One more event."""
        self._events.append(Outgoing(topic, payload, retain=False))

    def retain_all_again(self, *, first: str) -> None:
        """After a reconnection: the broker may have lost every retained value, or put the last will over one."""
        self._stale = dict.fromkeys(topic for topic in (first, *self._retained) if topic in self._retained)

    def take(self) -> Outgoing | None:
        """The next to send; None while one is under way, or when nothing is left."""
        if self._under_way is not None:
            return None
        if self._stale:
            topic = next(iter(self._stale))
            del self._stale[topic]
            self._under_way = Outgoing(topic, self._retained[topic], retain=True)
        elif self._events:
            self._under_way = self._events.popleft()
        return self._under_way

    def acknowledged(self) -> Outgoing | None:
        """The one under way has arrived; returns it."""
        arrived, self._under_way = self._under_way, None
        return arrived

    def forget(self, topic: str) -> None:
        """Do not send its present value again after a reconnection."""
        if topic not in self._stale:
            self._retained.pop(topic, None)
