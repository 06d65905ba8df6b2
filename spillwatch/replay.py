"""The driver for videos: every frame, the video's own clock, and what people want to keep of it."""

from __future__ import annotations

import itertools
import json
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from spillwatch import build, profile, truth
from spillwatch.errors import SourceError
from spillwatch.outputs import check_outputs, write_text
from spillwatch.pictures import from_bgr
from spillwatch.sources.ahead import read_ahead
from spillwatch.sources.file import FileSource
from spillwatch.watch.status import StatusBoard
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spillwatch.config import Settings
    from spillwatch.publish.annotate import AnnotatedVideo
    from spillwatch.publish.base import Publisher
    from spillwatch.records import F32, U8, AlarmEvent, Frame, Wells
    from spillwatch.watch.pipeline import Pipeline

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to replay and what to write; what is None is not written."""

    video: Path
    wells: Path | None = None
    profile: Path | None = None
    events: Path | None = None
    annotated: Path | None = None
    truth: Path | None = None
    score: Path | None = None
    report: Path | None = None
    publish: bool = False
    on_event: Callable[[AlarmEvent], None] = lambda _event: None
    on_frame: Callable[[int, int | None], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a replay found. ``score`` is None without a truth file, ``cut_short`` is why the video ended early."""

    events: list[AlarmEvent]
    frames: int
    seconds: float
    model: str
    score: dict[str, Any] | None
    cut_short: SourceError | None


def replay(settings: Settings, job: Job) -> Outcome:
    """Watch a video from its first frame to its last.

    A video that is cut short is watched as far as it goes: every file is written, and the fault is in the outcome.
    """
    path = job.wells or (settings.cameras[0].wells if settings.cameras else None)
    given = wellmap.load(path) if path else None
    check_outputs(
        (job.events, job.annotated, job.score, job.report),
        read=(job.video, job.profile, job.truth, *settings.files(), path, given.reference if given else None),
    )
    build.one_core_each()
    expected = truth.load(job.truth) if job.truth else None
    judge = build.judge(settings.model)
    settings = _with_profile(settings, job, judge.bundle.name)
    table = _Table(given) if given else _located(job.video)
    wells = table.wells
    if expected:
        truth.warn_of_strangers(expected, wells)
    camera = settings.cameras[0].id if settings.cameras else "replay"
    site = build.Site(judge, settings.alarms)
    pipeline = build.pipeline(camera, wells, settings.detection, site=site, media_clock=True, reference=table.reference)
    watch = _Watch(job, pipeline, StatusBoard(pipeline))
    cut_short = None
    with FileSource(job.video, camera=camera) as source, ExitStack() as stack:
        wellmap.check_fits(wells, width=source.width, height=source.height)
        watch.publishers = [stack.enter_context(publisher) for publisher in _publishers(settings, job)]
        if job.annotated:
            watch.annotated = stack.enter_context(_annotated(job.annotated, wells, source.fps, settings))
        try:
            for frame in stack.enter_context(closing(read_ahead(source))):
                watch.step(frame)
                job.on_frame(watch.frames, source.frames)
        except SourceError as exc:
            if watch.frames == 0:
                raise
            cut_short = exc
        seconds = watch.frames / source.fps
    extent = truth.Extent(frames=watch.frames, seconds=seconds, wells=wells)
    outcome = Outcome(
        events=watch.events,
        frames=watch.frames,
        seconds=seconds,
        model=judge.bundle.name,
        score=truth.score(watch.events, expected, extent) if expected else None,
        cut_short=cut_short,
    )
    _write(settings, job, watch, outcome, located=table.located)
    return outcome


@dataclass(slots=True)
class _Watch:
    """One frame after the other through the pipeline, and to everybody who is told."""

    job: Job
    pipeline: Pipeline
    board: StatusBoard
    publishers: list[Publisher] = field(default_factory=list)
    annotated: AnnotatedVideo | None = None
    frames: int = 0
    events: list[AlarmEvent] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    scores: list[F32] = field(default_factory=list)
    evidence: list[F32] = field(default_factory=list)
    snapshots: dict[str, U8] = field(default_factory=dict)

    def step(self, frame: Frame) -> None:
        events = self.pipeline.step(frame)
        self.frames += 1
        self.events += events
        self.board.count(frame)
        messages = [*events, *self.board.update(frame.at, frame.time_s)]
        for message, publisher in itertools.product(messages, self.publishers):
            publisher.publish(message)
        for event in events:
            self.job.on_event(event)
        if self.job.report:
            self._keep(frame, events)
        if self.annotated and self.pipeline.view:
            self.annotated.write(frame, self.pipeline.view, self._active())

    def _active(self) -> list[str]:
        named = ((well, str(condition).replace("_", " ")) for condition, well in self.pipeline.alarms.active())
        return [f"{well}: {condition}" if well else condition for well, condition in named]

    def _keep(self, frame: Frame, events: list[AlarmEvent]) -> None:
        from spillwatch.publish.annotate import moved, snapshot

        view = self.pipeline.view
        if view is None:
            return
        self.times_s.append(view.time_s)
        self.scores.append(view.scores)
        self.evidence.append(view.evidence)
        for event in events:
            if event.raises and event.well is not None:
                index = self.pipeline.wells.ids.index(event.well)
                self.snapshots[event.id] = snapshot(frame.planes, moved(self.pipeline.wells, view.shift), index)


def _with_profile(settings: Settings, job: Job, model: str) -> Settings:
    """The settings with the levels of the profile, which is that of the camera whose wells are watched."""
    path = job.profile or (settings.cameras[0].profile if settings.cameras and not job.wells else None)
    return settings.model_copy(update={"detection": profile.detection_for(settings.detection, path, model)})


@dataclass(frozen=True, slots=True)
class _Table:
    wells: Wells
    reference: U8 | None = None  # where None, the wells file's
    located: bool = False


def _located(video: Path) -> _Table:
    """The wells as found in the video itself."""
    from spillwatch.wells.finding import find, median_frame

    with FileSource(video) as source:
        picture = median_frame(frame.planes for frame in source)
    found = find(picture)
    _LOG.warning("wells.located", wells=len(found.wells), notes=found.notes, mend="check them, or give --wells")
    return _Table(found.wells, reference=from_bgr(picture).y, located=True)


def _publishers(settings: Settings, job: Job) -> list[Publisher]:
    publishers: list[Publisher] = []
    if job.events:
        publishers.append(build.event_log(job.events, append=False))
    if job.publish:
        publishers.append(build.broker(settings, replay=True))
    return publishers


def _annotated(path: Path, wells: Wells, fps: float, settings: Settings) -> AnnotatedVideo:
    from spillwatch.publish.annotate import AnnotatedVideo

    return AnnotatedVideo(path, wells, fps=fps, on_s=settings.detection.on_s)


def _write(settings: Settings, job: Job, watch: _Watch, outcome: Outcome, *, located: bool) -> None:
    if job.score:
        write_text(job.score, json.dumps(outcome.score, indent=2) + "\n", what="score")
    if job.report:
        # matplotlib is loaded for reports only.
        from spillwatch.publish.report import ReplayData, write_replay_report

        write_replay_report(
            job.report,
            ReplayData(
                video=job.video.name,
                camera=watch.pipeline.camera,
                wells=watch.pipeline.wells,
                model=outcome.model,
                threshold=watch.pipeline.threshold,
                on_s=settings.detection.on_s,
                times_s=np.array(watch.times_s, np.float64),
                scores=np.array(watch.scores, np.float32),
                evidence=np.array(watch.evidence, np.float32),
                events=outcome.events,
                snapshots=watch.snapshots,
                score=outcome.score,
                wells_located=located,
                version=version("spillwatch"),
            ),
        )
