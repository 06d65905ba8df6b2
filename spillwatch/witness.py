"""The daemon's eye for evidence: the last seconds of every camera and well, and what a spill makes of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import structlog

from spillwatch.records import Condition, evidence_path
from spillwatch.sources.ring import PacketRing
from spillwatch.store.evidence import Evidence
from spillwatch.store.exhibit import Exhibit, boxed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spillwatch.config import CameraSettings, EvidenceSettings
    from spillwatch.model.scoring import Scorer
    from spillwatch.records import U8, AlarmEvent, Frame, Judgement
    from spillwatch.watch.pipeline import Pipeline

RING_BYTES = 96 * 1024 * 1024
"""Memory of a camera's packets at most: 30 s at 25 Mbit/s."""

SPARE_S = 5.0
"""A clip is cut a little after its end."""

STRIP_S, STRIP_EVERY_S = 10.0, 0.25

LESSONS, LESSON_EVERY_S = 16, 0.5
"""So many crops of an alarm, so far apart, are kept for training: of frames in which the model minds the well."""


_LOG = structlog.get_logger()


class _Reel:
    """The wells of one pipeline over the last seconds, as the model saw them; 10 MB for 84 wells."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._shots: deque[tuple[float, U8]] = deque()

    def add(self, time_s: float, crops: U8) -> None:
        if self._shots and time_s - self._shots[-1][0] < STRIP_EVERY_S:
            return
        self._shots.append((time_s, crops))
        while time_s - self._shots[0][0] > STRIP_S:
            self._shots.popleft()

    def before(self, index: int, time_s: float) -> list[tuple[float, U8]]:
        """One well's crops, (3, side, side) each, with their seconds before ``time_s``."""
        return [(time_s - at_s, crops[index].copy()) for at_s, crops in self._shots if at_s < time_s]


@dataclass(slots=True)
class _Lesson:
    """An alarm whose well is followed as long as it lasts."""

    pipeline: Pipeline
    index: int
    due_s: float
    taken: int = 1


class Witness:
    """``look`` is the loop's; writing is left to the thread of ``evidence``."""

    def __init__(self, settings: EvidenceSettings, folder: Path) -> None:
        self.evidence = Evidence(settings, folder)
        self._settings = settings
        self._rings: dict[str, PacketRing] = {}
        self._reels: dict[str, _Reel] = {}
        self._lessons: dict[str, _Lesson] = {}
        self._crashed: set[str] = set()  # cameras whose pictures could not be kept the last time

    def __enter__(self) -> Self:
        self.evidence.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.evidence.__exit__(*exc)

    def ring(self, camera: CameraSettings) -> PacketRing | None:
        """Where a new source of this camera puts its packets; None when it has none, as by USB."""
        if camera.kind != "rtsp":
            return None
        seconds = self._settings.before_s + self._settings.after_s + SPARE_S
        return self._rings.setdefault(camera.id, PacketRing(seconds=seconds, most_bytes=RING_BYTES))

    def look(self, pipeline: Pipeline, scorer: Scorer, frame: Frame, events: Sequence[AlarmEvent]) -> None:
        """A frame that went through its pipeline, and what it raised; alarms were told before. Never raises."""
        try:
            self._look(pipeline, scorer, frame, events)
        except Exception:  # noqa: BLE001 - pictures are not worth a daemon
            if pipeline.camera not in self._crashed:
                _LOG.error("evidence.crashed", camera=pipeline.camera, exc_info=True)
            self._crashed.add(pipeline.camera)
        else:
            self._crashed.discard(pipeline.camera)

    def _look(self, pipeline: Pipeline, scorer: Scorer, frame: Frame, events: Sequence[AlarmEvent]) -> None:
        if pipeline.crops is None:
            return
        reel = self._reels.get(pipeline.camera)
        if reel is None or reel.pipeline is not pipeline:
            reel = self._reels[pipeline.camera] = _Reel(pipeline)
        reel.add(frame.time_s, pipeline.crops)
        self._follow(pipeline, frame)
        for event in events:
            if event.condition == Condition.SPILL and event.raises and event.evidence and event.well:
                self.evidence.keep(self._exhibit(reel, scorer, frame, event))
                if not event.test:
                    index = pipeline.wells.ids.index(event.well)
                    self._lessons[event.evidence] = _Lesson(pipeline, index, frame.time_s + LESSON_EVERY_S)

    def judge(self, judgement: Judgement) -> None:
        """What the alarm has shown so far is for training, or no longer."""
        self._lessons.pop(evidence_path(judgement.alarm), None)
        self.evidence.judge(judgement.alarm, judgement.verdict)

    def _follow(self, pipeline: Pipeline, frame: Frame) -> None:
        view = pipeline.view
        for path, lesson in [item for item in self._lessons.items() if item[1].pipeline.camera == pipeline.camera]:
            well = lesson.index
            if view is None or lesson.pipeline is not pipeline or not view.active[well] or lesson.taken == LESSONS:
                del self._lessons[path]
            elif frame.time_s >= lesson.due_s and view.scores[well] > pipeline.threshold:
                self.evidence.add(path, lesson.taken, boxed(frame.planes, *_place(pipeline, well)))
                lesson.taken += 1
                lesson.due_s = frame.time_s + LESSON_EVERY_S

    def _exhibit(self, reel: _Reel, scorer: Scorer, frame: Frame, event: AlarmEvent) -> Exhibit:
        pipeline = reel.pipeline
        crops = pipeline.crops
        assert crops is not None  # noqa: S101 -- for mypy; look has seen to it
        assert event.well is not None  # noqa: S101
        assert event.evidence is not None  # noqa: S101
        index = pipeline.wells.ids.index(event.well)
        centre, size = _place(pipeline, index)
        begin_s, end_s = frame.time_s - self._settings.before_s, frame.time_s + self._settings.after_s
        ring = self._rings.get(event.camera)
        return Exhibit(
            path=event.evidence,
            event=event,
            frame=frame,
            centre=centre,
            size=size,
            crop=crops[index].copy(),
            box=boxed(frame.planes, centre, size),
            errors=scorer.errors(crops[index : index + 1])[0],
            strip=[*reel.before(index, frame.time_s), (0.0, crops[index].copy())],
            clip=partial(ring.cut, from_s=begin_s, at_s=frame.time_s, until_s=end_s) if ring else None,
            due_s=end_s + 0.5,
        )


def _place(pipeline: Pipeline, index: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centre and size of a well in the frame that was seen last, (x, y) pixels."""
    (dx, dy), wells = pipeline.view.shift if pipeline.view else (0.0, 0.0), pipeline.wells
    (x, y), (width, height) = wells.centres[index].tolist(), wells.sizes[index].tolist()
    return (x + dx, y + dy), (width, height)
