"""The driver for live cameras: the newest frame of each, until it is told to stop."""

from __future__ import annotations

import queue
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog
from cysystemd.daemon import Notification, notify

from spillwatch import build, profile
from spillwatch.errors import ConfigError, PublishError, SpillwatchError
from spillwatch.records import AlarmEvent, Frame, Gap
from spillwatch.sources.live import STUCK_AFTER_S, LiveCamera
from spillwatch.watch.status import StatusBoard
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spillwatch.config import CameraSettings, Settings
    from spillwatch.publish.base import Publisher
    from spillwatch.records import Message
    from spillwatch.watch.pipeline import Pipeline

_LOG = structlog.get_logger()

TICK_S = 0.2
"""The loop looks at the clock at least this often, frames or not: cameras fall silent too."""

READY_WITHIN_S = 10.0
"""Without a scored frame by then the start is called degraded: broken cameras must not keep the others from service."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One camera and all that is its own; cameras share the model and the publishers, nothing else."""

    camera: LiveCamera
    pipeline: Pipeline
    board: StatusBoard


class Daemon:
    """Watches all cameras of a site. Bells (a frame came, a signal arrived) wake its one loop."""

    def __init__(self, settings: Settings) -> None:
        if not settings.cameras:
            raise ConfigError("no camera is configured; add a [[cameras]] section, as config.example.toml shows")
        self._settings = settings
        # SimpleQueue.put is the one wake-up that may be called from a signal handler.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopping = False
        self._ready = False
        self._scored = 0
        self._publishers: list[Publisher] = []
        self._failing: set[str] = set()

    def stop(self) -> None:
        """End the loop soon; safe in a signal handler."""
        self._stopping = True
        self._bell.put(None)

    def run(self) -> None:
        """Watch until stopped; everything is let go in the reverse order of its start."""
        build.one_core_each()
        units = self._units()
        with ExitStack() as stack:
            self._publishers = [stack.enter_context(publisher) for publisher in self._make_publishers()]
            for unit in units:
                stack.enter_context(unit.camera)
            started_s = time.monotonic()
            _LOG.info("daemon.started", cameras=len(units), wells=sum(len(unit.pipeline.wells) for unit in units))
            while not self._stopping:
                self._wait()
                for unit in units:
                    self._serve(unit)
                if not self._ready and time.monotonic() - started_s > READY_WITHIN_S:
                    self._tell_ready("degraded start: no frame scored yet")
            notify(Notification.STOPPING)
            _LOG.info("daemon.stopping", scored=self._scored)

    def _units(self) -> list[Unit]:
        judge = build.judge(self._settings.model)
        site = build.Site(judge, self._settings.alarms)
        units = []
        for camera in self._settings.cameras:
            wells = wellmap.load(camera.wells)
            detection = profile.detection_for(self._settings.detection, camera.profile, judge.bundle.name)
            pipeline = build.pipeline(camera.id, wells, detection, site=site)
            units.append(Unit(self._live(camera), pipeline, StatusBoard(pipeline)))
        return units

    def _live(self, camera: CameraSettings) -> LiveCamera:
        make_source = partial(build.source, camera)
        wake = partial(self._bell.put, None)
        stuck_after_s = max(STUCK_AFTER_S, camera.open_timeout_s + 2 * camera.read_timeout_s)
        return LiveCamera(
            camera.id, make_source, lost_after_s=camera.lost_after_s, stuck_after_s=stuck_after_s, wake=wake
        )

    def _make_publishers(self) -> Iterator[Publisher]:
        if self._settings.events.path:
            yield build.event_log(self._settings.events.path, append=True)
        if self._settings.mqtt.enabled:
            yield build.broker(self._settings, replay=False)

    def _wait(self) -> None:
        try:
            self._bell.get(timeout=TICK_S)
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            pass

    def _serve(self, unit: Unit) -> None:
        item = unit.camera.take()
        if item is not None:
            self._publish(self._step(unit, item))
        at, now_s, counters = datetime.now(UTC), time.monotonic(), unit.camera.counters
        self._publish(unit.pipeline.tick(at, now_s))
        self._publish(unit.pipeline.tally(at, now_s, frames=counters.frames, dropped=counters.dropped))
        self._publish(unit.board.update(at, now_s))

    def _step(self, unit: Unit, item: Frame | Gap) -> list[AlarmEvent]:
        try:
            events = unit.pipeline.step(item)
        except SpillwatchError as exc:
            # For example a stream that changed its size: the wells are not where the picture is, so they are unseen.
            gap = Gap(camera=item.camera, at=item.at, time_s=item.time_s, reason=str(exc))
            events = unit.pipeline.step(gap)
        else:
            if isinstance(item, Frame):
                self._count(unit, item)
        return [replace(event, delay_ms=round(1000 * (time.monotonic() - item.time_s), 1)) for event in events]

    def _count(self, unit: Unit, frame: Frame) -> None:
        unit.board.count(frame)
        self._scored += 1
        # Fed by scored frames alone: a daemon that scores nothing is no daemon, and systemd starts it afresh.
        notify(Notification.WATCHDOG)
        if not self._ready:
            self._tell_ready("watching")

    def _tell_ready(self, status: str) -> None:
        self._ready = True
        notify(Notification.READY)
        notify(Notification.STATUS, status)
        _LOG.info("daemon.ready", status=status)

    def _publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, AlarmEvent):
                _LOG.warning("alarm.changed", **_brief(message))
            for publisher in self._publishers:
                self._hand_over(publisher, message)

    def _hand_over(self, publisher: Publisher, message: Message) -> None:
        """One way that fails, such as a full disk, must not keep the others from telling."""
        name = type(publisher).__name__
        try:
            publisher.publish(message)
        except PublishError as exc:
            if name not in self._failing:
                _LOG.error("publish.failed", publisher=name, reason=str(exc))
            self._failing.add(name)
        else:
            self._failing.discard(name)


def _brief(event: AlarmEvent) -> dict[str, object]:
    names = ("id", "seq", "camera", "well", "condition", "state", "score", "delay_ms")
    return {name: getattr(event, name) for name in names}


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT end the loop instead of the process."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(settings: Settings) -> None:
    """Watch until SIGTERM or SIGINT."""
    daemon = Daemon(settings)
    with stopping_on_signals(daemon.stop):
        daemon.run()
