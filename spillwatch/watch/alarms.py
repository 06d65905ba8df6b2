"""Alarms after ISA-18.2: what is active and what is acknowledged are two memories, and the state follows from both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spillwatch.records import AlarmEvent, AlarmState, Condition, Priority

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

PRIORITIES = {
    Condition.SPILL: Priority.HIGH,
    # A blind camera leaves up to 84 wells unwatched.
    Condition.CAMERA_LOST: Priority.HIGH,
    Condition.CAMERA_FROZEN: Priority.HIGH,
    Condition.CAMERA_DARK: Priority.HIGH,
    Condition.CAMERA_SATURATED: Priority.HIGH,
    Condition.CAMERA_SHIFTED: Priority.HIGH,
    Condition.CAMERA_BLURRED: Priority.HIGH,
    Condition.CAMERA_LATE: Priority.HIGH,
    Condition.COMMON_CAUSE: Priority.MEDIUM,
    Condition.OBSTRUCTED: Priority.MEDIUM,
    Condition.OVERLOAD: Priority.MEDIUM,
    # Alarms are still published, but would not survive a restart.
    Condition.STORAGE: Priority.MEDIUM,
}


def state_of(*, active: bool, acked: bool) -> AlarmState:
    """The state that the two memories make."""
    if active:
        return AlarmState.ACKNOWLEDGED if acked else AlarmState.UNACKNOWLEDGED
    return AlarmState.NORMAL if acked else AlarmState.RTN_UNACKNOWLEDGED


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of one well (or of the camera, well None) from raise to return."""

    name: str
    events: int
    active: bool
    acked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a change was seen, and what was seen."""

    at: datetime
    media_time_s: float | None = None
    score: float | None = None
    threshold: float | None = None


class Alarms:
    """The alarms of one camera; ``next_seq`` numbers the events of the whole site."""

    def __init__(self, camera: str, *, model: str, next_seq: Callable[[], int]) -> None:
        self.camera = camera
        self._model = model
        self._next_seq = next_seq
        self._alarms: dict[tuple[Condition, str | None], Alarm] = {}

    def set_active(self, condition: Condition, well: str | None, *, active: bool, moment: Moment) -> AlarmEvent | None:
        """Tell whether a condition holds; an event comes back when that is news."""
        alarm = self._alarms.get((condition, well))
        if active == (alarm is not None and alarm.active):
            return None
        if active or alarm is None:
            stamp = f"{moment.at:%Y%m%dT%H%M%S.%f}Z"
            alarm = Alarm(f"{self.camera}/{well or '-'}/{condition}/{stamp}", events=1, active=True, acked=False)
        else:
            alarm = replace(alarm, events=alarm.events + 1, active=False)
        self._alarms[condition, well] = alarm
        return AlarmEvent(
            id=f"{alarm.name}.{alarm.events}",
            seq=self._next_seq(),
            camera=self.camera,
            well=well,
            condition=condition,
            state=state_of(active=alarm.active, acked=alarm.acked),
            active=alarm.active,
            acked=alarm.acked,
            priority=PRIORITIES[condition],
            at=moment.at,
            media_time_s=moment.media_time_s,
            score=moment.score,
            threshold=moment.threshold,
            model=self._model if well else None,
        )

    def active(self) -> list[tuple[Condition, str | None]]:
        """What is active, in the order in which it was first raised."""
        return [key for key, alarm in self._alarms.items() if alarm.active]
