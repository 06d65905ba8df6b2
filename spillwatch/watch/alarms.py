"""The alarms of one camera: what people and pictures do to them, told as numbered events, and what must survive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from spillwatch.config import AlarmSettings
from spillwatch.errors import CommandError
from spillwatch.records import (
    STAMP,
    AlarmEvent,
    AlarmMemory,
    AlarmState,
    Command,
    Condition,
    Memory,
    Suppression,
    Verb,
    evidence_path,
)
from spillwatch.watch import lifecycle
from spillwatch.watch.lifecycle import Hold, Life, Point
from spillwatch.watch.priorities import CALLING_AGAIN, PRIORITIES, FloodCounter

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Key = tuple[Condition, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a change was seen, and what was seen; ``by`` and ``reason`` are those of a command."""

    at: datetime
    time_s: float
    media_time_s: float | None = None
    score: float | None = None
    threshold: float | None = None
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What was told of one alarm so far."""

    name: str
    events: int
    first_out: bool
    at: datetime
    evidence: str | None
    model: str | None


class Alarms:
    """The alarms of one camera; ``next_seq`` and ``flood`` count the events and alarms of the whole site.

    Durations are counted on the camera's clock, which starts from wall time at the first moment and is not moved by
    later steps of wall time. With a ``memory`` the alarms go on as they were before a restart. With ``evidence`` the
    events of spills name the place of their pictures.
    """

    def __init__(
        self,
        camera: str,
        *,
        model: str,
        next_seq: Callable[[], int],
        settings: AlarmSettings | None = None,
        flood: FloodCounter | None = None,
        memory: Memory | None = None,
        evidence: bool = False,
    ) -> None:
        self.camera = camera
        self._evidence = evidence
        self._model = model
        self._next_seq = next_seq
        self._settings = settings or AlarmSettings()
        self._flood = flood or FloodCounter()
        self._origin_s: float | None = None
        self._points: dict[str | None, Point] = {}
        self._told: dict[Key, _Told] = {}
        self._suppressions: dict[str | None, Suppression] = {}
        if memory:
            self._restore(memory)

    def set_active(self, condition: Condition, well: str | None, *, active: bool, moment: Moment) -> AlarmEvent | None:
        """Tell whether a condition holds; an event comes back when that is news."""
        now_s = self._now_s(moment)  # first of all: after a restart it bounds what is remembered
        before = self._point(well)
        if active == before.life(condition).cause:
            return None
        latching = condition in self._settings.latching
        after = lifecycle.turn(before, condition, on=active, latching=latching, now_s=now_s)
        events = self._become(well, after, moment)
        return events[0] if events else None

    def obey(self, command: Command, moment: Moment) -> list[AlarmEvent]:
        """Do what somebody asks; CommandError says why not."""
        well, now_s = command.well, self._now_s(moment)
        try:
            after = self._after(command, self._point(well), now_s)
        except CommandError as exc:
            raise CommandError(f"{command.command} of {self._place(well)} is refused: {exc}") from None
        if after.hold and command.command in (Verb.SHELVE, Verb.OUT_OF_SERVICE):
            until = None if command.for_s is None else moment.at + timedelta(seconds=command.for_s)
            self._suppressions[well] = Suppression(
                camera=self.camera,
                well=well,
                kind=after.hold.kind,
                by=command.by,
                reason=command.reason,
                since=moment.at,
                until=until,
            )
        return self._become(well, after, replace(moment, by=command.by, reason=command.reason))

    def tick(self, moment: Moment) -> list[AlarmEvent]:
        """What follows from time alone: shelves that end, alarms that call again."""
        now_s, realarm_s = self._now_s(moment), self._settings.realarm_s
        events = []
        for well in sorted(self._points, key=str):  # an order that a restart does not change
            before = self._point(well)
            after = lifecycle.tick(before, now_s=now_s, realarm_s=realarm_s, calling_again=CALLING_AGAIN)
            if after is not before:
                events += self._become(well, after, moment)
        return events

    def forget(self, well: str | None, moment: Moment) -> list[AlarmEvent]:
        """The well (None: the camera) is no more: nothing of it stays active or suppressed."""
        return self._become(well, Point(), moment)

    def active(self) -> list[Key]:
        """What is active, in the order in which it was raised."""
        return [(condition, well) for condition, well in self._told if self._point(well).life(condition).active]

    def holding(self) -> set[Key]:
        """What holds now, as far as was told; after a restart, what held before."""
        return {(c, well) for well, point in self._points.items() for c, life in point.lives.items() if life.cause}

    def known(self) -> set[str | None]:
        """The wells (None: the camera) that have an alarm or are suppressed."""
        return set(self._points)

    def suppressed(self, well: str | None) -> AlarmState | None:
        """SHELVED, OUT_OF_SERVICE or None."""
        suppression = self._suppressions.get(well)
        return suppression.kind if suppression else None

    def memory(self) -> Memory:
        """What a restart must not forget."""
        alarms = []
        for (condition, well), told in self._told.items():
            life = self._point(well).life(condition)
            alarms.append(
                AlarmMemory(
                    name=told.name,
                    camera=self.camera,
                    well=well,
                    condition=condition,
                    events=told.events,
                    active=life.active,
                    acked=life.acked,
                    cause=life.cause,
                    first_out=told.first_out,
                    told_at=told.at,
                    evidence=told.evidence,
                    model=told.model,
                )
            )
        return Memory(alarms=tuple(alarms), suppressions=tuple(self._suppressions.values()))

    def _restore(self, memory: Memory) -> None:
        lives: dict[str | None, dict[Condition, Life]] = {s.well: {} for s in memory.suppressions}
        for alarm in memory.alarms:
            told = _Told(
                alarm.name, alarm.events, alarm.first_out, alarm.told_at, alarm.evidence, alarm.model or self._model
            )
            self._told[alarm.condition, alarm.well] = told
            life = Life(alarm.cause, alarm.active, alarm.acked, alarm.told_at.timestamp())
            if not life.at_rest:
                lives.setdefault(alarm.well, {})[alarm.condition] = life
        self._suppressions = {suppression.well: suppression for suppression in memory.suppressions}
        holds = {well: self._hold_again(suppression) for well, suppression in self._suppressions.items()}
        self._points = {well: Point(lives[well], holds.get(well)) for well in lives}

    def _hold_again(self, suppression: Suppression) -> Hold:
        until = suppression.until
        one_shot = suppression.kind == AlarmState.SHELVED and until is None
        if one_shot:
            until = suppression.since + timedelta(seconds=self._settings.shelve_max_s)
        return Hold(suppression.kind, until.timestamp() if until else None, one_shot)

    def _now_s(self, moment: Moment) -> float:
        if self._origin_s is None:
            self._origin_s = moment.at.timestamp() - moment.time_s
            now_s, shelf_s = moment.at.timestamp(), self._settings.shelve_max_s
            self._points = {w: lifecycle.bounded(p, now_s=now_s, shelf_s=shelf_s) for w, p in self._points.items()}
        return self._origin_s + moment.time_s

    def _after(self, command: Command, point: Point, now_s: float) -> Point:
        match command.command:
            case Verb.ACK:
                return lifecycle.acknowledge(point, now_s=now_s)
            case Verb.RESET:
                return lifecycle.reset(point)
            case Verb.SHELVE:
                longest_s = self._settings.shelve_max_s
                for_s = longest_s if command.for_s is None else command.for_s
                if for_s > longest_s:
                    raise CommandError(f"for_s is {for_s:g}, and a shelf lasts {longest_s:g} s at most")
                one_shot = command.for_s is None
                return lifecycle.suppress(point, Hold(AlarmState.SHELVED, now_s + for_s, one_shot))
            case Verb.OUT_OF_SERVICE:
                ends_s = None if command.for_s is None else now_s + command.for_s
                return lifecycle.suppress(point, Hold(AlarmState.OUT_OF_SERVICE, ends_s))
            case Verb.UNSHELVE:
                return lifecycle.release(point, AlarmState.SHELVED, now_s=now_s)
            case Verb.IN_SERVICE:
                return lifecycle.release(point, AlarmState.OUT_OF_SERVICE, now_s=now_s)
            case Verb.SELF_TEST:
                raise CommandError("a self-test changes no alarm")

    def _point(self, well: str | None) -> Point:
        return self._points.get(well, Point())

    def _place(self, well: str | None) -> str:
        return f"camera {self.camera}" if well is None else f"well {well} of camera {self.camera}"

    def _become(self, well: str | None, after: Point, moment: Moment) -> list[AlarmEvent]:
        """Put a point in place of another; every alarm that looks different then is told."""
        before = self._point(well)
        if after == Point():
            self._points.pop(well, None)
        else:
            self._points[well] = after
        if after.hold is None:
            self._suppressions.pop(well, None)
        # A calm point that is shelved is told as that of its main alarm.
        main = Condition.CAMERA_LOST if well is None else Condition.SPILL
        # One that ended before its shelf began is at rest, yet was told as shelved, and has to be told its end.
        told = (condition for condition, place in self._told if place == well)
        conditions = sorted({*before.lives, *after.lives, *told, main})
        return [self._tell(c, well, before, moment) for c in conditions if _looks(before, c) != _looks(after, c)]

    def _tell(self, condition: Condition, well: str | None, before: Point, moment: Moment) -> AlarmEvent:
        after, key = self._point(well), (condition, well)
        life, state = after.life(condition), after.state(condition)
        raised = life.active and not before.life(condition).active
        told = self._told.get(key)
        if raised or told is None:
            self._told.pop(key, None)  # the newest last
            told = self._new(key, told, raised=raised, moment=moment)
        called = life.told_s != before.life(condition).told_s
        told = replace(told, events=told.events + 1, at=moment.at if called else told.at)
        self._told[key] = told
        if state == AlarmState.NORMAL:
            del self._told[key]
        return AlarmEvent(
            id=f"{told.name}.{told.events}",
            seq=self._next_seq(),
            camera=self.camera,
            well=well,
            condition=condition,
            state=state,
            active=life.active,
            acked=life.acked,
            priority=PRIORITIES[condition],
            at=moment.at,
            media_time_s=moment.media_time_s,
            score=moment.score,
            threshold=moment.threshold,
            model=told.model if well else None,
            first_out=told.first_out,
            flood=raised and after.hold is None and self._flood.count(moment.time_s),
            by=moment.by,
            reason=moment.reason,
            evidence=told.evidence,
        )

    def _new(self, key: Key, before: _Told | None, *, raised: bool, moment: Moment) -> _Told:
        condition, well = key
        name = f"{self.camera}/{well or '-'}/{condition}/{moment.at:{STAMP}}"
        # Shelved and raised in the same microsecond, it is still one name, and no id may come twice.
        events = before.events if before and before.name == name else 0
        evidence = evidence_path(name) if self._evidence and raised and condition == Condition.SPILL else None
        return _Told(name, events, raised and self._is_first(key), moment.at, evidence, self._model)

    def _is_first(self, key: Key) -> bool:
        """A spill is, when no other that the crew hears of is active: the others may follow from it."""
        condition, well = key
        heard = [point for other, point in self._points.items() if other != well and point.hold is None]
        hidden = self._point(well).hold is not None
        return condition == Condition.SPILL and not hidden and not any(p.life(condition).active for p in heard)


def _looks(point: Point, condition: Condition) -> tuple[object, ...]:
    """What is told of an alarm: everything but a cause that its latch outlives."""
    life = point.life(condition)
    return (point.hold, life.active, life.acked, life.told_s)
