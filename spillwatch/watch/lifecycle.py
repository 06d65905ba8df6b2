"""The life of alarms after ISA-18.2 / IEC 62682, as values: each input makes of a point the point after it.

A point is what people name: a well, or the camera itself. It holds the alarms of its conditions, each with two
memories (active, acknowledged), and perhaps a hold (shelved, out of service) that silences all of them. A hold never
touches the memories: what is held is still evaluated. What makes no sense now is refused as a CommandError.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spillwatch.errors import CommandError
from spillwatch.records import AlarmState, Condition

if TYPE_CHECKING:
    from collections.abc import Container


@dataclass(frozen=True, slots=True)
class Life:
    """One alarm. ``cause`` tells whether its condition holds: a latched alarm stays ``active`` when it no longer does.

    ``told_s`` is when it last called, or when its call was answered.
    """

    cause: bool = False
    active: bool = False
    acked: bool = True
    told_s: float = 0.0

    @property
    def at_rest(self) -> bool:
        return self.acked and not self.active


REST = Life()


@dataclass(frozen=True, slots=True)
class Hold:
    """SHELVED or OUT_OF_SERVICE until ``ends_s``; None, which only OUT_OF_SERVICE may have, is until it is undone.

    A ``one_shot`` shelf ends sooner, once no alarm under it is active.
    """

    kind: AlarmState
    ends_s: float | None
    one_shot: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """The alarms of one well, or of the camera itself. Those at rest are left out."""

    lives: dict[Condition, Life] = field(default_factory=dict)
    hold: Hold | None = None

    def life(self, condition: Condition) -> Life:
        return self.lives.get(condition, REST)

    def state(self, condition: Condition) -> AlarmState:
        """The state of ISA-18.2 that hold and memories make."""
        life = self.life(condition)
        return state_of(active=life.active, acked=life.acked, held=self.hold.kind if self.hold else None)

    @property
    def active(self) -> bool:
        """Any of its alarms is."""
        return any(life.active for life in self.lives.values())


def state_of(*, active: bool, acked: bool, held: AlarmState | None) -> AlarmState:
    """The state that two memories make, unless the alarm is ``held``: SHELVED or OUT_OF_SERVICE."""
    if held:
        return held
    if active:
        return AlarmState.ACKNOWLEDGED if acked else AlarmState.UNACKNOWLEDGED
    return AlarmState.NORMAL if acked else AlarmState.RTN_UNACKNOWLEDGED


def turn(point: Point, condition: Condition, *, on: bool, latching: bool, now_s: float) -> Point:
    """The condition begins or ceases to hold. One that comes back under a latched, acknowledged alarm calls anew."""
    life = point.life(condition)
    if on == life.cause:
        return point
    if not on:
        life = replace(life, cause=False, active=latching and life.active)
    elif life.active and not life.acked:
        life = replace(life, cause=True)
    else:
        life = Life(cause=True, active=True, acked=False, told_s=now_s)
    return _point({**point.lives, condition: life}, point.hold)


def acknowledge(point: Point, *, now_s: float) -> Point:
    """Somebody has seen all of it."""
    if all(life.acked for life in point.lives.values()):
        raise CommandError("nothing of it is unacknowledged")
    answered = {c: life if life.acked else replace(life, acked=True, told_s=now_s) for c, life in point.lives.items()}
    return _point(answered, point.hold)


def reset(point: Point) -> Point:
    """Every alarm whose cause is gone becomes normal, latched and unacknowledged ones too; the others are left."""
    if all(life.cause for life in point.lives.values()):
        persisting = " and ".join(point.lives)
        raise CommandError(f"its cause persists ({persisting})" if persisting else "it has no alarm")
    return _point({c: life for c, life in point.lives.items() if life.cause}, point.hold)


def suppress(point: Point, hold: Hold) -> Point:
    """Silence it. Who does so has seen what is there, so this acknowledges; what comes later is unacknowledged."""
    if hold.kind == AlarmState.SHELVED and point.hold and point.hold.kind == AlarmState.OUT_OF_SERVICE:
        raise CommandError("it is out of service")
    if hold.one_shot and not point.active:
        raise CommandError("no alarm of it is active, so say with for_s for how long")
    return _point({c: replace(life, acked=True) for c, life in point.lives.items()}, hold)


def release(point: Point, kind: AlarmState, *, now_s: float) -> Point:
    """Undo a hold: what is active calls anew."""
    if point.hold is None or point.hold.kind != kind:
        raise CommandError(f"it is not {kind.replace('_', ' ')}")
    return _released(point, now_s)


def tick(point: Point, *, now_s: float, realarm_s: float, calling_again: Container[Condition]) -> Point:
    """Time passes: holds end, and what has been active since it last called ``realarm_s`` ago calls again.

    Acknowledged alarms are then unacknowledged again (ISA-18.2, re-alarming). ``realarm_s`` 0 means never.
    """
    hold = point.hold
    if hold:
        ended = (hold.ends_s is not None and now_s >= hold.ends_s) or (hold.one_shot and not point.active)
        return _released(point, now_s) if ended else point
    due = {
        c: Life(cause=life.cause, active=True, acked=False, told_s=now_s)
        for c, life in point.lives.items()
        if realarm_s and life.active and c in calling_again and now_s - life.told_s >= realarm_s
    }
    return Point({**point.lives, **due}) if due else point


def bounded(point: Point, *, now_s: float, shelf_s: float) -> Point:
    """After a restart, with the clock perhaps set back meanwhile: no shelf beyond ``shelf_s``, no call yet to come."""
    hold = point.hold
    if hold and hold.kind == AlarmState.SHELVED:
        hold = replace(hold, ends_s=min(hold.ends_s or math.inf, now_s + shelf_s))
    return Point({c: replace(life, told_s=min(life.told_s, now_s)) for c, life in point.lives.items()}, hold)


def _released(point: Point, now_s: float) -> Point:
    return _point(
        {c: replace(life, acked=False, told_s=now_s) if life.active else life for c, life in point.lives.items()}, None
    )


def _point(lives: dict[Condition, Life], hold: Hold | None) -> Point:
    return Point({c: life for c, life in lives.items() if not life.at_rest}, hold)
