"""What holds now, folded from the messages that everybody is told."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spillwatch.records import (
    AlarmEvent,
    AlarmState,
    CameraStatus,
    Priority,
    WellState,
    WellStatus,
    rfc3339,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spillwatch.records import Message, Suppression

RECENT = 50
"""So many alarms that ended stay in reach, to be judged true or false."""

_ASIDE = (AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE)
_URGENCY = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


@dataclass(frozen=True, slots=True)
class Entry:
    """One alarm: its newest event, when it was raised (None: shelved while calm), its score at its highest, and what
    people said of it."""

    event: AlarmEvent
    since: datetime | None
    first_out: bool
    score: float | None = None
    verdict: bool | None = None

    @property
    def name(self) -> str:
        return name_of(self.event)

    def json(self) -> dict[str, Any]:
        since = rfc3339(self.since or self.event.at)
        own = {"name": self.name, "since": since, "first_out": self.first_out, "verdict": self.verdict}
        return to_json(self.event) | own | {"score": self.score}


def name_of(event: AlarmEvent) -> str:
    """What all events of one alarm share."""
    return event.id.rpartition(".")[0]


class Board:
    """Written by the daemon's thread, read by the server's; ``version`` grows with each change."""

    def __init__(self) -> None:
        self.version = 0
        self._lock = threading.Lock()
        self._cameras: dict[str, CameraStatus] = {}
        self._wells: dict[tuple[str, str], WellState] = {}
        self._alarms: dict[str, Entry] = {}
        self._recent: deque[Entry] = deque(maxlen=RECENT)

    def take(self, message: Message) -> None:
        """One more message."""
        with self._lock:
            if isinstance(message, AlarmEvent):
                if not message.test:  # nobody is to be called by it
                    self._take_alarm(message)
            elif isinstance(message, CameraStatus):
                self._cameras[message.camera] = message
            elif isinstance(message, WellStatus):
                self._wells[message.camera, message.well] = message.state
            self.version += 1

    def _take_alarm(self, event: AlarmEvent) -> None:
        before = self._alarms.pop(name_of(event), None)
        entry = Entry(
            event,
            since=before.since if before and before.since else event.at if event.active else None,
            first_out=event.first_out or (before is not None and before.first_out),
            score=max((s for s in (event.score, before.score if before else None) if s is not None), default=None),
            verdict=before.verdict if before else None,
        )
        if event.state != AlarmState.NORMAL:
            self._alarms[entry.name] = entry
        elif before is not None and before.since is not None:
            self._recent.appendleft(entry)

    def judge(self, name: str, *, verdict: bool | None) -> None:
        """Show from now on what somebody said of an alarm."""
        with self._lock:
            if name in self._alarms:
                self._alarms[name] = _judged(self._alarms[name], verdict)
            self._recent = deque((_judged(e, verdict) if e.name == name else e for e in self._recent), maxlen=RECENT)
            self.version += 1

    def knows(self, name: str) -> bool:
        """Whether an alarm of this name is shown."""
        with self._lock:
            return name in self._alarms or any(entry.name == name for entry in self._recent)

    def touch(self) -> None:
        """Something beside the messages has changed."""
        with self._lock:
            self.version += 1

    def state(self, cameras: Sequence[str], suppressions: Sequence[Suppression]) -> dict[str, Any]:
        """Everything that the page shows and that changes, as plain JSON values."""
        with self._lock:
            alarms = sorted((e for e in self._alarms.values() if e.event.state not in _ASIDE), key=_rank)
            return {
                "cameras": [self._camera(name) for name in cameras],
                "alarms": [entry.json() for entry in alarms],
                "recent": [entry.json() for entry in self._recent],
                "suppressed": [_suppression(item) for item in suppressions],
            }

    def _camera(self, name: str) -> dict[str, Any]:
        status = self._cameras.get(name)
        told = {"state": "blind", "reason": "no word yet", "fps": 0.0, "last_frame_age_s": None, "at": None}
        unusual = {well: state for (camera, well), state in self._wells.items()
                   if camera == name and state != WellState.WATCHING}  # fmt: skip
        return {**(to_json(status) if status else told), "camera": name, "unusual": unusual}


def _judged(entry: Entry, verdict: bool | None) -> Entry:
    return replace(entry, verdict=verdict)


def _rank(entry: Entry) -> tuple[object, ...]:
    """The gravest first; of those what holds and is unanswered, then what began it all, and the oldest."""
    event = entry.event
    calls = event.active and not event.acked
    return _URGENCY[event.priority], not calls, event.acked, not entry.first_out, entry.since or event.at, event.seq


def _suppression(item: Suppression) -> dict[str, Any]:
    return {
        "camera": item.camera,
        "well": item.well,
        "kind": item.kind,
        "by": item.by,
        "reason": item.reason,
        "since": rfc3339(item.since),
        "until": rfc3339(item.until) if item.until else None,
    }
