"""What a video's wells looked like to the model, kept so that other detection levels need not look again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import structlog

from spillwatch import build
from spillwatch.errors import SourceError
from spillwatch.records import CameraState, Condition
from spillwatch.sources.ahead import read_ahead
from spillwatch.sources.file import FileSource
from spillwatch.watch.detection import SpillDetector
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from spillwatch.build import Judge
    from spillwatch.config import DetectionSettings
    from spillwatch.records import F32, F64, AlarmEvent, Bools, Wells
    from spillwatch.watch.detection import ScoreScale

_LOG = structlog.get_logger()

Raised = list[tuple[str, float]]
"""Spill alarms: wells, and the seconds of media time at which they were raised."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A video through the real pipeline, but for the detector.

    ``times_s`` is (seen,) float64, of the frames in which the camera saw; ``scores`` (seen, wells) float32 with NaN
    for wells out of service, and ``covered`` (seen, wells) bool are what the detector was given. ``events`` are what
    the pipeline itself said and ``raised`` its spills; ``frames`` and ``seconds`` count the blind ones too.
    ``cut_short`` is why the video ended before its end.
    """

    video: Path
    wells: Wells
    frames: int
    seconds: float
    times_s: F64
    scores: F32
    covered: Bools
    raised: Raised
    events: Sequence[AlarmEvent] = ()
    cut_short: str | None = None


def record(
    video: Path,
    wells: Wells,
    judge: Judge,
    detection: DetectionSettings,
    *,
    on_frame: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Recording:
    """Watch a video from its first frame to its last; one that is cut short as far as it goes."""
    pipeline = build.pipeline("replay", wells, detection, site=build.Site(judge), media_clock=True)
    times_s: list[float] = []
    scores: list[F32] = []
    covered: list[Bools] = []
    said: list[AlarmEvent] = []
    cut_short: str | None = None
    frames = 0
    with FileSource(video) as source, closing(read_ahead(source)) as pictures:
        wellmap.check_fits(wells, width=source.width, height=source.height)
        try:
            for frame in pictures:
                said += pipeline.step(frame)
                frames += 1
                on_frame(frames, source.frames)
                view = pipeline.view
                if view is not None and view.covered is not None and pipeline.camera_state != CameraState.BLIND:
                    times_s.append(view.time_s)
                    scores.append(view.scores)
                    covered.append(view.covered)
        except SourceError as exc:
            if frames == 0:
                raise
            cut_short = str(exc)
            _LOG.warning("recording.cut_short", video=str(video), reason=cut_short)
        seconds = frames / source.fps
    shape = (len(times_s), len(wells))
    spills = [event for event in said if event.condition == Condition.SPILL and event.raises]
    return Recording(
        video=video,
        wells=wells,
        frames=frames,
        seconds=seconds,
        times_s=np.array(times_s, np.float64),
        scores=np.array(scores, np.float32).reshape(shape),
        covered=np.array(covered, np.bool_).reshape(shape),
        raised=[(event.well or "", event.media_time_s or 0.0) for event in spills],
        events=said,
        cut_short=cut_short,
    )


def raised_at(recording: Recording, scale: ScoreScale, detection: DetectionSettings) -> Raised:
    """The spill alarms that these levels would have raised."""
    raised: Raised = []
    before = np.zeros(len(recording.wells), np.bool_)
    for time_s, detector in _detect(recording, scale, detection):
        raised += [(recording.wells.ids[i], round(time_s, 3)) for i in np.flatnonzero(detector.active & ~before)]
        before = detector.active
    return raised


def strengths(recording: Recording, scale: ScoreScale, detection: DetectionSettings) -> F32:
    """(seen, wells in service) float32 strengths, NaN where a well was not seen."""
    served = recording.wells.in_service
    rows = [detector.strength[served] for _time_s, detector in _detect(recording, scale, detection)]
    return np.array(rows, np.float32).reshape(len(rows), int(served.sum()))


def _detect(
    recording: Recording, scale: ScoreScale, detection: DetectionSettings
) -> Iterator[tuple[float, SpillDetector]]:
    levels = detection.model_dump(include={"reference", "on_s", "off_s", "off_delay_s", "max_step_s"})
    detector = SpillDetector(len(recording.wells), scale, **levels)
    for time_s, scores, covered in zip(recording.times_s, recording.scores, recording.covered, strict=True):
        detector.step(float(time_s), scores, covered)
        yield float(time_s), detector
