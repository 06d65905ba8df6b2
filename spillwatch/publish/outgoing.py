"""What the broker has not acknowledged yet."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from spillwatch.records import AlarmEvent, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.publish.base import Outbox

LATE_S = 1.0
"""An event that leaves later than this after it was made is marked as late."""

MAX_ANSWERS = 100
"""Answers to commands that wait; with more, the oldest are dropped: nobody waits for them any longer."""


class Outgoing(NamedTuple):
    """One MQTT message on its way. ``seq`` is an event's, ``correlation`` an answer's."""

    topic: str
    payload: str
    retain: bool
    seq: int | None = None
    correlation: bytes | None = None


class MemoryOutbox:
    """Events that nobody keeps beyond the end of this process: for replays."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, str, float]] = deque()
        self._taken: deque[tuple[int, str, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    def append(self, event: AlarmEvent) -> None:
        self._waiting.append((event.seq, encode(event), time.monotonic()))

    def take(self) -> tuple[int, str, float] | None:
        if not self._waiting:
            return None
        self._taken.append(self._waiting.popleft())
        return self._taken[-1]

    def acknowledged(self, seq: int) -> None:
        self._taken = deque(entry for entry in self._taken if entry[0] != seq)

    def untake(self) -> None:
        self._waiting.extendleft(reversed(self._taken))
        self._taken.clear()


class Queue:
    """Answers to commands, the newest value of each retained topic, and every event, in order.

    Answers go first, for somebody waits for them; then retained values, which are the truth of the moment and few, and
    of which old ones are of no use to anybody. Each topic goes ahead of the waiting events once; should it change
    faster than the broker answers, it takes turns with them. One message is under way at a time. Not thread-safe.
    """

    def __init__(self, outbox: Outbox, *, events_topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._events_topic = events_topic
        self._clock = clock
        self._answers: deque[Outgoing] = deque(maxlen=MAX_ANSWERS)
        self._retained: dict[str, str] = {}
        self._stale: dict[str, None] = {}  # an ordered set: retained topics of which the broker has an old value
        self._ahead: set[str] = set()  # retained topics that went ahead of the events that wait
        self._events_turn = True
        self._under_way: Outgoing | None = None
        self._held_until_s = -math.inf

    def __len__(self) -> int:
        others = self._under_way is not None and self._under_way.seq is None
        return len(self._answers) + len(self._stale) + len(self._outbox) + others

    @property
    def waits(self) -> bool:
        """One is under way."""
        return self._under_way is not None

    def retain(self, topic: str, payload: str) -> None:
        """The topic's value from now on; an older one that has not left yet never will."""
        self._retained[topic] = payload
        self._stale[topic] = None

    def append(self, event: AlarmEvent) -> None:
        """One more event."""
        self._outbox.append(event)

    def answer(self, topic: str, payload: str, correlation: bytes | None) -> None:
        """One more answer to a command."""
        self._answers.append(Outgoing(topic, payload, retain=False, correlation=correlation))

    def retain_all_again(self, *, first: str) -> None:
        """After a reconnection: the broker may have lost every retained value, or put the last will over one."""
        self._stale = dict.fromkeys(topic for topic in (first, *self._retained) if topic in self._retained)
        self._ahead.clear()

    def begin_again(self) -> None:
        """Nobody sends what was under way any more: it has to leave again."""
        lost, self._under_way = self._under_way, None
        self._outbox.untake()
        if lost and lost.retain:
            self._stale.setdefault(lost.topic)

    def take(self) -> Outgoing | None:
        """The next to send; None while one is under way, or when nothing is left."""
        if self._under_way is not None:
            return None
        if self._answers:
            self._under_way = self._answers.popleft()
        else:
            self._under_way = self._next_of_many()
        return self._under_way

    def _next_of_many(self) -> Outgoing | None:
        if not len(self._outbox):
            self._ahead.clear()
        topic = next((topic for topic in self._stale if topic not in self._ahead), None)
        in_turn = topic is None and (self._events_turn or not self._stale)
        if in_turn and self._clock() >= self._held_until_s and (event := self._next_event()):
            self._events_turn = False
            return event
        self._events_turn = True
        if not self._stale:
            return None
        topic = topic or next(iter(self._stale))
        del self._stale[topic]
        self._ahead.add(topic)
        return Outgoing(topic, self._retained[topic], retain=True)

    def _next_event(self) -> Outgoing | None:
        entry = self._outbox.take()
        if entry is None:
            return None
        seq, payload, made_s = entry
        if self._clock() - made_s > LATE_S:
            payload = json.dumps(json.loads(payload) | {"late": True}, ensure_ascii=False, separators=(",", ":"))
        return Outgoing(self._events_topic, payload, retain=False, seq=seq)

    def acknowledged(self) -> Outgoing | None:
        """The one under way has arrived; returns it."""
        arrived, self._under_way = self._under_way, None
        if arrived and arrived.seq is not None:
            self._outbox.acknowledged(arrived.seq)
        return arrived

    def denied(self, *, hold_s: float) -> Outgoing | None:
        """The one under way is not wanted. Events wait and are tried again after ``hold_s``; others are forgotten."""
        refused, self._under_way = self._under_way, None
        if refused and refused.seq is not None:
            self._outbox.untake()
            self._held_until_s = self._clock() + hold_s
        elif refused and refused.topic not in self._stale:
            # mosquitto 2.0 closes the connection upon a denied topic: the same value again would close it for ever
            self._retained.pop(refused.topic, None)
        return refused
