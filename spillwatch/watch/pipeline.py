"""One camera's way from a frame to alarm events. Pure: it owns no clock, file, thread or library of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spillwatch.records import CameraState, Condition, Frame, View, WellState
from spillwatch.watch.alarms import Moment

if TYPE_CHECKING:
    from spillwatch.records import F32, U8, AlarmEvent, Alignment, Bools, Gap, Sight, Wells
    from spillwatch.watch.alarms import Alarms
    from spillwatch.watch.detection import SpillDetector
    from spillwatch.watch.health import Health
    from spillwatch.watch.obstruction import ObstructionDetector

Shift = tuple[float, float]

BLINDING = (
    Condition.CAMERA_LOST,
    Condition.CAMERA_DARK,
    Condition.CAMERA_SATURATED,
    Condition.CAMERA_FROZEN,
    Condition.CAMERA_SHIFTED,
)


class Look(Protocol):
    """Measures a picture as a whole."""

    def __call__(self, frame: Frame) -> Sight: ...


class Align(Protocol):
    """Finds how far the picture has moved from the one that the wells were located on."""

    def __call__(self, frame: Frame) -> Alignment: ...


class Crop(Protocol):
    """Cuts the wells out of a frame."""

    def __call__(self, frame: Frame, shift: Shift) -> U8:
        """(wells, 3, size, size) uint8 RGB, of wells moved by ``shift`` pixels (x, y)."""
        ...


class Surround(Protocol):
    """Samples the plate around each well."""

    def __call__(self, frame: Frame, shift: Shift) -> F32:
        """(3, wells, samples) float32 luma, Cb, Cr."""
        ...


class Scorer(Protocol):
    """Judges crops."""

    def score(self, crops: U8) -> F32:
        """(wells, 3, size, size) uint8 RGB to (wells,) float32 above 0; higher is more like a spill."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """What other rooms know of pictures, handed in by build.py."""

    look: Look
    align: Align
    crop: Crop
    surround: Surround
    scorer: Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciders:
    """The states that follow from what the senses say; each is one camera's own."""

    health: Health
    obstruction: ObstructionDetector
    detector: SpillDetector


class Pipeline:
    """``step`` takes frames and gaps in the order of time and gives the alarm events that follow from each."""

    def __init__(
        self, wells: Wells, *, senses: Senses, deciders: Deciders, alarms: Alarms, media_clock: bool = False
    ) -> None:
        self.wells = wells
        self.alarms = alarms
        self.view: View | None = None
        self.camera_state = CameraState.BLIND
        self.reason: str | None = "no frame yet"
        self._senses = senses
        self._health = deciders.health
        self._obstruction = deciders.obstruction
        self._detector = deciders.detector
        self._media_clock = media_clock

    @property
    def camera(self) -> str:
        return self.alarms.camera

    @property
    def threshold(self) -> float:
        """The score at which a well is as likely normal as spilling."""
        return self._detector.threshold

    def well_states(self) -> list[WellState]:
        """One per well."""
        hidden = np.where(self._obstruction.obstructed, WellState.OBSTRUCTED, WellState.WATCHING)
        return [WellState(state) for state in np.where(self.wells.in_service, hidden, WellState.OUT_OF_SERVICE)]

    def step(self, item: Frame | Gap) -> list[AlarmEvent]:
        """What is news after this frame, or after the camera was found blind."""
        events = self._watch(item) if isinstance(item, Frame) else self._lose(item)
        return [event for event in events if event is not None]

    def _lose(self, gap: Gap) -> list[AlarmEvent | None]:
        return self._blind(gap, Condition.CAMERA_LOST, gap.reason)

    def _blind(self, item: Frame | Gap, condition: Condition | None, reason: str) -> list[AlarmEvent | None]:
        """Alarms of wells that are active stay so while nothing is seen: blind is not normal."""
        self.camera_state, self.reason = CameraState.BLIND, reason
        return self._tell_camera(item, condition)

    def _tell_camera(self, item: Frame | Gap, holds: Condition | None) -> list[AlarmEvent | None]:
        moment = self._moment(item)
        ended = [self.alarms.set_active(c, None, active=False, moment=moment) for c in BLINDING if c != holds]
        return [*ended, self.alarms.set_active(holds, None, active=True, moment=moment) if holds else None]

    def _watch(self, frame: Frame) -> list[AlarmEvent | None]:
        self._health.see(frame.time_s, self._senses.look(frame))
        alignment = self._senses.align(frame) if self._health.usable else None
        condition = self._health.judge(frame.time_s, aligned=alignment is None or alignment.trusted)
        if alignment is None or not alignment.trusted:
            self.view = self._unseen(frame)
            return self._blind(frame, condition, str(condition or "unsure").replace("_", " "))
        shift = (alignment.dx, alignment.dy)
        spilling, blocked = self._detector.active, self._obstruction.alarming
        covered = self._obstruction.step(frame.time_s, self._senses.surround(frame, shift))
        crops = self._senses.crop(frame, shift)
        scores = np.where(self.wells.in_service, self._senses.scorer.score(crops), np.float32(np.nan))
        active = self._detector.step(frame.time_s, scores, covered)
        evidence = self._detector.evidence.astype(np.float32)
        self.view = View(frame.time_s, scores, evidence, active, covered, shift)
        self.camera_state, self.reason = self._rate()
        return [
            *self._tell_camera(frame, None),
            *self._tell_common(frame),
            *self._tell_wells(frame, Condition.SPILL, spilling, active, scores),
            *self._tell_wells(frame, Condition.OBSTRUCTED, blocked, self._obstruction.alarming),
        ]

    def _unseen(self, frame: Frame) -> View:
        nothing = np.full(len(self.wells), np.nan, np.float32)
        evidence = self._detector.evidence.astype(np.float32)
        hidden = np.ones(len(self.wells), np.bool_)
        return View(frame.time_s, nothing, evidence, self._detector.active, hidden)

    def _rate(self) -> tuple[CameraState, str | None]:
        if self._detector.common:
            return CameraState.DEGRADED, "common cause: something lifts many wells at once"
        hidden = int(self._obstruction.obstructed.sum())
        if hidden:
            return CameraState.DEGRADED, f"{hidden} wells obstructed"
        return CameraState.WATCHING, None

    def _tell_common(self, frame: Frame) -> list[AlarmEvent | None]:
        common = self._detector.common
        return [self.alarms.set_active(Condition.COMMON_CAUSE, None, active=common, moment=self._moment(frame))]

    def _tell_wells(
        self, frame: Frame, condition: Condition, before: Bools, now: Bools, scores: F32 | None = None
    ) -> list[AlarmEvent | None]:
        events = []
        for i in np.flatnonzero(now != before):
            score = None if scores is None else float(scores[i])
            moment = self._moment(frame, score=score, threshold=None if scores is None else self._detector.threshold)
            events.append(self.alarms.set_active(condition, self.wells.ids[i], active=bool(now[i]), moment=moment))
        return events

    def _moment(self, item: Frame | Gap, *, score: float | None = None, threshold: float | None = None) -> Moment:
        return Moment(
            at=item.at,
            media_time_s=round(item.time_s, 3) if self._media_clock else None,
            score=None if score is None else float(f"{score:.6g}"),
            threshold=None if threshold is None else float(f"{threshold:.6g}"),
        )
