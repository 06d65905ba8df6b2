"""One camera's way from a frame to alarm events. Pure: it owns no clock, file, thread or library of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from spillwatch.records import CameraState, Condition, Frame, View
from spillwatch.watch.alarms import Moment

if TYPE_CHECKING:
    from spillwatch.records import F32, U8, AlarmEvent, Gap, Wells
    from spillwatch.watch.alarms import Alarms
    from spillwatch.watch.detection import SpillDetector


class Cropper(Protocol):
    """Cuts the wells out of a frame."""

    def __call__(self, frame: Frame) -> U8:
        """(wells, 3, size, size) uint8 RGB."""
        ...


class Scorer(Protocol):
    """Judges crops."""

    def score(self, crops: U8) -> F32:
        """(wells, 3, size, size) uint8 RGB to (wells,) float32 above 0; higher is more like a spill."""
        ...


class Pipeline:
    """``step`` takes frames and gaps in the order of time and gives the alarm events that follow from each."""

    def __init__(
        self,
        wells: Wells,
        *,
        crop: Cropper,
        scorer: Scorer,
        detector: SpillDetector,
        alarms: Alarms,
        media_clock: bool = False,
    ) -> None:
        self.wells = wells
        self.alarms = alarms
        self.view: View | None = None
        self.camera_state = CameraState.BLIND
        self.reason: str | None = "no frame yet"
        self._crop = crop
        self._scorer = scorer
        self._detector = detector
        self._media_clock = media_clock

    @property
    def camera(self) -> str:
        return self.alarms.camera

    @property
    def threshold(self) -> float:
        """The score at which a well is as likely normal as spilling."""
        return self._detector.threshold

    def step(self, item: Frame | Gap) -> list[AlarmEvent]:
        """What is news after this frame, or after the camera was found blind."""
        events = self._watch(item) if isinstance(item, Frame) else [self._lose(item)]
        return [event for event in events if event is not None]

    def _lose(self, gap: Gap) -> AlarmEvent | None:
        """Alarms that are active stay so while nothing is seen: blind is not normal."""
        self.camera_state, self.reason = CameraState.BLIND, gap.reason
        return self.alarms.set_active(Condition.CAMERA_LOST, None, active=True, moment=self._moment(gap))

    def _watch(self, frame: Frame) -> list[AlarmEvent | None]:
        crops = self._crop(frame)
        scores = np.where(self.wells.in_service, self._scorer.score(crops), np.float32(np.nan))
        before = self._detector.active
        active = self._detector.step(frame.time_s, scores)
        self.view = View(frame.time_s, scores, self._detector.evidence.astype(np.float32), active)
        self.camera_state, self.reason = CameraState.WATCHING, None
        events = [self.alarms.set_active(Condition.CAMERA_LOST, None, active=False, moment=self._moment(frame))]
        for i in np.flatnonzero(active != before):
            moment = self._moment(frame, score=float(scores[i]), threshold=self._detector.threshold)
            well = self.wells.ids[i]
            events.append(self.alarms.set_active(Condition.SPILL, well, active=bool(active[i]), moment=moment))
        return events

    def _moment(self, item: Frame | Gap, *, score: float | None = None, threshold: float | None = None) -> Moment:
        return Moment(
            at=item.at,
            media_time_s=round(item.time_s, 3) if self._media_clock else None,
            score=None if score is None else float(f"{score:.6g}"),
            threshold=None if threshold is None else float(f"{threshold:.6g}"),
        )
