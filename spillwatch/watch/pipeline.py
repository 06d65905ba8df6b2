"""One camera's way from a frame to alarm events. Pure: it owns no clock, file, thread or library of pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from spillwatch.errors import CommandError, ModelError
from spillwatch.records import CameraState, Condition, Frame, Verb, View, WellState
from spillwatch.watch.alarms import Moment
from spillwatch.watch.overload import Overload
from spillwatch.watch.rehearsal import Rehearsal

if TYPE_CHECKING:
    from datetime import datetime

    from spillwatch.records import F32, U8, AlarmEvent, Bools, Command, Gap, Wells
    from spillwatch.watch.alarms import Alarms
    from spillwatch.watch.detection import SpillDetector
    from spillwatch.watch.health import Health
    from spillwatch.watch.obstruction import ObstructionDetector
    from spillwatch.watch.senses import Senses, Shift

BLINDING = (
    Condition.CAMERA_LOST,
    Condition.CAMERA_DARK,
    Condition.CAMERA_SATURATED,
    Condition.CAMERA_FROZEN,
    Condition.CAMERA_BLURRED,
    Condition.CAMERA_SHIFTED,
)

SETTLE_S = 5.0
"""After a restart what blinded the camera before counts as lasting until it has been seen for so long: longer than any
of those conditions needs to be known again, so that it stays the same alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciders:
    """The states that follow from what the senses say; each is one camera's own."""

    health: Health
    obstruction: ObstructionDetector
    detector: SpillDetector
    overload: Overload = field(default_factory=Overload)


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """Wells that can be seen: (wells, 3, size, size) uint8 RGB ``crops``, (3, wells, samples) float32 ``around``
    them, and how far they are moved."""

    crops: U8
    around: F32
    shift: Shift


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Seen:
    """What can be said before scores. ``glance`` is what is to be scored, None when no well can be seen.

    ``condition`` is what blinds the camera, None for nothing, or nothing that has a name yet; ``reason`` is a sentence
    for people where there is more to say than that.
    """

    condition: Condition | None = None
    reason: str | None = None
    glance: Glance | None = None


class Pipeline:
    """``step`` takes frames and gaps in the order of time and gives the alarm events that follow from each.

    ``command``, ``tick`` and ``tally`` give those that follow from people, from time alone and from dropped frames.
    What ``alarms`` remember of before a restart goes on: a spill that is still there is the same alarm, one that is
    gone ends after the off-delay.
    """

    def __init__(
        self, wells: Wells, *, senses: Senses, deciders: Deciders, alarms: Alarms, media_clock: bool = False
    ) -> None:
        self.wells = wells
        self.alarms = alarms
        self._places: dict[str | None, int] = {well: i for i, well in enumerate(wells.ids)}
        self.view: View | None = None
        self.crops: U8 | None = None  # those that the view's scores are of; None when nothing was seen
        self.camera_state = CameraState.BLIND
        self.reason: str | None = "no frame yet"
        self._senses = senses
        self._health = deciders.health
        self._obstruction = deciders.obstruction
        self._detector = deciders.detector
        self._overload = deciders.overload
        self._media_clock = media_clock
        before = alarms.holding()
        self._detector.resume(self._where(before, Condition.SPILL))
        self._obstruction.resume(self._where(before, Condition.OBSTRUCTED))
        # What was told, not what the deciders had before: should a step break off, the next one tells its news.
        self._told = {Condition.SPILL: self._detector.active, Condition.OBSTRUCTED: self._obstruction.alarming}
        if (Condition.OVERLOAD, None) in before:
            self._overload.resume()
        # A lost camera is proved seen by its first frame, and dropped frames are counted; the others take a while.
        told_apart = (Condition.CAMERA_LOST, Condition.OVERLOAD)
        self._unsettled: set[Condition] = {c for c, well in before if well is None and c not in told_apart}
        self._settled_s: float | None = None
        self._gone = [well for well in alarms.known() if well is not None and well not in wells.ids]

    @property
    def camera(self) -> str:
        return self.alarms.camera

    @property
    def threshold(self) -> float:
        """The score at which a well is as likely normal as spilling."""
        return self._detector.threshold

    @property
    def plates(self) -> U8 | None:
        """What the plate around each well looks like; see ObstructionDetector."""
        return self._obstruction.plates

    def recall(self, plates: U8) -> None:
        """Go on from what ``plates`` gave before a restart."""
        self._obstruction.recall(plates)

    def well_states(self) -> list[WellState]:
        """One per well. Asked at every frame: only what is out of the ordinary is looked at."""
        states = [WellState.WATCHING] * len(self.wells)
        for i in np.flatnonzero(self._obstruction.obstructed):
            states[i] = WellState.OBSTRUCTED
        for well in self.alarms.known() & self._places.keys():
            suppressed = self.alarms.suppressed(well)
            if suppressed is not None:
                states[self._places[well]] = WellState(suppressed)
        for i in np.flatnonzero(~self.wells.in_service):
            states[i] = WellState.OUT_OF_SERVICE
        return states

    def watched(self) -> list[str]:
        """The wells that a self-test may go through: seen, in service, not shelved, not spilling."""
        if self.camera_state == CameraState.BLIND:
            return []
        spilling = {well for condition, well in self.alarms.active() if condition == Condition.SPILL}
        states = zip(self.wells.ids, self.well_states(), strict=True)
        return [well for well, state in states if state == WellState.WATCHING and well not in spilling]

    def rehearse(self, well: str, alarms: Alarms) -> Rehearsal:
        """A spill painted into this well from now on, beside what goes on; ``alarms`` are those of the test."""
        return Rehearsal(well, self._places[well], detector=self._detector, senses=self._senses, alarms=alarms)

    def step(self, item: Frame | Gap) -> list[AlarmEvent]:
        """What is news after this frame, or after the camera was found blind."""
        seen = self.see(item)
        return self.judge(item, seen, self._senses.scorer.score(seen.glance.crops) if seen.glance else None)

    def see(self, item: Frame | Gap) -> Seen:
        """The first half of ``step``, before scores.

        ``judge`` must follow before the next frame; wells of other cameras may be scored in the same batch.
        """
        if not isinstance(item, Frame):
            return Seen()
        self._health.see(item.time_s, self._senses.look(item), lag_s=item.lag_s)
        alignment = self._senses.align(item) if self._health.usable else None
        condition = self._health.judge(item.time_s, aligned=alignment is None or alignment.trusted)
        if alignment is None:
            return Seen(condition=condition)
        if not alignment.trusted:
            return Seen(condition=condition, reason=alignment.reason)
        shift = (alignment.dx, alignment.dy)
        around, crops = self._senses.surround(item, shift), self._senses.crop(item, shift)
        return Seen(condition=condition, glance=Glance(crops, around, shift))

    def judge(self, item: Frame | Gap, seen: Seen, scores: F32 | None) -> list[AlarmEvent]:
        """The other half: what follows from the (wells,) float32 scores of what was seen, or from seeing nothing."""
        if not isinstance(item, Frame):
            events = self._lose(item)
        elif seen.glance is None or scores is None:
            events = self._miss(item, seen)
        else:
            events = self._watch(item, seen.condition, seen.glance, scores)
        return [*(event for event in events if event is not None), *self.tick(item.at, item.time_s)]

    def tick(self, at: datetime, time_s: float) -> list[AlarmEvent]:
        """What is news because time passed, frames or not: shelves end, alarms call again."""
        moment = self._moment(at, time_s)
        gone, self._gone = self._gone, []
        because = replace(moment, reason="the wells file no longer has this well")
        return [*(event for well in gone for event in self.alarms.forget(well, because)), *self.alarms.tick(moment)]

    def tally(self, at: datetime, time_s: float, *, frames: int, dropped: int) -> list[AlarmEvent]:
        """What is news because frames are dropped: how many came since the start, and how many of them nobody took."""
        overloaded = self._overload.step(time_s, frames=frames, dropped=dropped)
        event = self.alarms.set_active(Condition.OVERLOAD, None, active=overloaded, moment=self._moment(at, time_s))
        return [event] if event else []

    def command(self, command: Command, at: datetime, time_s: float) -> list[AlarmEvent]:
        """What is news because somebody asked for it. Raises CommandError when it makes no sense now."""
        if command.well is not None:
            if command.well not in self.wells.ids:
                raise CommandError(f"camera {self.camera} has no well {command.well!r}")
            served = self.wells.in_service[self.wells.ids.index(command.well)]
            if not served and command.command in (Verb.SHELVE, Verb.OUT_OF_SERVICE, Verb.IN_SERVICE):
                raise CommandError(f"well {command.well!r} is out of service in the wells file; change it there")
        return self.alarms.obey(command, self._moment(at, time_s))

    def _lose(self, gap: Gap) -> list[AlarmEvent | None]:
        self._health.forget()
        return self._blind(gap, Condition.CAMERA_LOST, gap.reason)

    def _blind(self, item: Frame | Gap, condition: Condition | None, reason: str) -> list[AlarmEvent | None]:
        """Alarms of wells that are active stay so while nothing is seen: blind is not normal."""
        self.camera_state, self.reason, self.crops = CameraState.BLIND, reason, None
        # A picture of which nothing can be seen is as long as any other: every second one seen is every second counted.
        self._detector.lose_sight(item.time_s if isinstance(item, Frame) else None)
        return self._tell_camera(item, condition)

    def _tell_camera(self, item: Frame | Gap, holds: Condition | None) -> list[AlarmEvent | None]:
        moment = self._moment(item.at, item.time_s)
        unsettled = self._still_unsettled(item)
        ended = [
            self.alarms.set_active(c, None, active=False, moment=moment)
            for c in BLINDING
            if c != holds and (holds or c not in unsettled)
        ]
        return [*ended, self.alarms.set_active(holds, None, active=True, moment=moment) if holds else None]

    def _still_unsettled(self, item: Frame | Gap) -> set[Condition]:
        """The conditions from before a restart of which nothing can be said yet."""
        if self._settled_s is None and isinstance(item, Frame):
            self._settled_s = item.time_s + SETTLE_S
        if self._settled_s is not None and item.time_s >= self._settled_s:
            self._unsettled.clear()
        return self._unsettled

    def _miss(self, frame: Frame, seen: Seen) -> list[AlarmEvent | None]:
        self.view = self._unseen(frame)
        reason = seen.reason or str(seen.condition or "unsure").replace("_", " ")
        return [*self._blind(frame, seen.condition, reason), *self._tell_late(frame)]

    def _watch(self, frame: Frame, condition: Condition | None, glance: Glance, scores: F32) -> list[AlarmEvent | None]:
        scores = self._checked(scores)
        self.crops = glance.crops
        covered = self._obstruction.step(frame.time_s, glance.around)
        active = self._detector.step(frame.time_s, scores, covered)
        evidence = self._detector.evidence.astype(np.float32)
        self.view = View(frame.time_s, scores, evidence, active, covered, glance.shift)
        self.camera_state, self.reason = self._rate()
        return [
            *self._tell_camera(frame, condition),
            *self._tell_late(frame),
            *self._tell_common(frame),
            *self._tell_wells(frame, Condition.SPILL, active, scores),
            *self._tell_wells(frame, Condition.OBSTRUCTED, self._obstruction.alarming),
        ]

    def _checked(self, scores: F32) -> F32:
        """NaN where a well is out of service; ModelError where the model judges a well in service to be no number."""
        scores = np.where(self.wells.in_service, scores, np.float32(np.nan))
        if bad := np.flatnonzero(self.wells.in_service & ~np.isfinite(scores)).tolist():
            raise ModelError(
                f"the model gives no finite score for {len(bad)} wells, such as {self.wells.ids[bad[0]]}; "
                "try model.device = 'cpu', or another model"
            )
        return scores

    def _unseen(self, frame: Frame) -> View:
        nothing = np.full(len(self.wells), np.nan, np.float32)
        evidence = self._detector.evidence.astype(np.float32)
        hidden = np.ones(len(self.wells), np.bool_)
        return View(frame.time_s, nothing, evidence, self._detector.active, hidden)

    def _rate(self) -> tuple[CameraState, str | None]:
        hidden = int(self._obstruction.obstructed.sum())
        doubts = (
            ((Condition.SELF_TEST_FAILED, None) in self.alarms.holding(), "the self-test failed"),
            (self._detector.common, "common cause: something lifts many wells at once"),
            (self._overload.active, "overload: frames come faster than they can be looked at"),
            (self._health.late, "pictures come late"),
            (self._health.dim, "too little light: spills may be missed"),
            (self._health.hazy, "a part of the table is veiled: spills there may be missed"),
            (hidden, f"{hidden} wells obstructed"),
        )
        reason = next((words for holds, words in doubts if holds), None)
        return (CameraState.DEGRADED if reason else CameraState.WATCHING), reason

    def _tell_late(self, frame: Frame) -> list[AlarmEvent | None]:
        """A late picture is a true one: its wells are judged all the same."""
        late = self._health.late or Condition.CAMERA_LATE in self._unsettled
        moment = self._moment(frame.at, frame.time_s)
        return [self.alarms.set_active(Condition.CAMERA_LATE, None, active=late, moment=moment)]

    def _tell_common(self, frame: Frame) -> list[AlarmEvent | None]:
        common = self._detector.common or Condition.COMMON_CAUSE in self._unsettled
        moment = self._moment(frame.at, frame.time_s)
        return [self.alarms.set_active(Condition.COMMON_CAUSE, None, active=common, moment=moment)]

    def _tell_wells(
        self, frame: Frame, condition: Condition, now: Bools, scores: F32 | None = None
    ) -> list[AlarmEvent | None]:
        events = []
        for i in np.flatnonzero(now != self._told[condition]):
            moment = self._moment(frame.at, frame.time_s)
            if scores is not None:
                moment = replace(moment, score=_six_digits(scores[i]), threshold=_six_digits(self.threshold))
            events.append(self.alarms.set_active(condition, self.wells.ids[i], active=bool(now[i]), moment=moment))
        self._told[condition] = now
        return events

    def _moment(self, at: datetime, time_s: float) -> Moment:
        return Moment(at=at, time_s=time_s, media_time_s=round(time_s, 3) if self._media_clock else None)

    def _where(self, holding: set[tuple[Condition, str | None]], condition: Condition) -> Bools:
        return np.array([(condition, well) in holding for well in self.wells.ids], np.bool_)


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
