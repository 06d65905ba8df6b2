"""The driver for live cameras: the newest frame of each, until it is told to stop."""

from __future__ import annotations

import faulthandler
import queue
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from spillwatch import build, lineup
from spillwatch.desk import Desk
from spillwatch.errors import ConfigError, SpillwatchError
from spillwatch.lineup import Cameras, Lineup, Unit
from spillwatch.metrics import Figures, Metrics
from spillwatch.model import stock
from spillwatch.proving import Proving
from spillwatch.publish.base import Counters, Request
from spillwatch.records import SITE, Answer, CameraState, Frame, Verb, WellState
from spillwatch.rounds import Step, steps
from spillwatch.service import Service, give_back_memory, keep_memory_together, on_signals
from spillwatch.shade import Shade
from spillwatch.sources.live import STUCK_AFTER_S, LiveCamera
from spillwatch.telling import Telling
from spillwatch.watch.alarms import Moment
from spillwatch.window import Orders, Window
from spillwatch.witness import Witness

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Mapping

    from spillwatch.config import CameraSettings, CommandSettings, Settings
    from spillwatch.model.scoring import Scorer
    from spillwatch.records import Command, Judgement

_LOG = structlog.get_logger()

TICK_S = 0.2
"""The loop looks at the clock at least this often, frames or not: cameras fall silent too."""

READY_WITHIN_S = 10.0
"""Without a scored frame by then the start is called degraded: broken cameras must not keep the others from service."""

LEAVE_CAMERAS_S = 1.5
"""Stopping waits for cameras as long as for the broker, and at the same time."""


class Daemon:
    """Watches all cameras of a site. Bells (a frame, a command, a signal came) wake its one loop.

    ``load`` gives the settings anew when a reload is asked for.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        lineup.check(settings)
        self._settings = settings
        self._load = load
        # SimpleQueue.put is the one wake-up that may be called from a signal handler.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._wake = partial(self._bell.put, None)
        self._stopping = False
        self._reload_asked = False
        self._remark: str | None = None  # what came of the last reload, if nothing good
        self._scored = 0
        self._minute = int(time.time() // 60)
        self._service = Service()
        self._store = build.store(settings)
        evidence = settings.evidence.enabled
        self._witness = Witness(settings.evidence, settings.state.folder()) if evidence else None
        self._cameras = Cameras(make=self._live, memory=self._store.memory)
        self._shade = Shade()
        self._desk = Desk(self, self._command_settings)
        orders = Orders(command=self._command, judge=self._judge, reload=self.reload_now)
        state = settings.state.folder()
        self._window = Window(settings.site, orders, wake=self._wake, state=state, evidence=evidence)
        wanted = settings.page.enabled and settings.page.metrics
        self._metrics = Metrics(self._figures, site=settings.site, version=version("spillwatch")) if wanted else None
        self._lineup: Lineup
        self._telling: Telling
        self._proving: Proving

    def stop(self) -> None:
        """End the loop soon; safe in a signal handler."""
        self._stopping = True
        self._wake()

    def reload(self) -> None:
        """Read the settings anew soon; safe in a signal handler."""
        self._reload_asked = True
        self._wake()

    def run(self) -> None:
        """Watch until stopped; everything is let go in the reverse order of its start."""
        build.one_core_each()
        keep_memory_together()
        with ExitStack() as stack:
            stack.enter_context(self._store)
            self._lineup = lineup.draw_up(self._settings, self._store.sequence.next, self._cameras)
            stack.callback(lambda: self._scorer.close())  # noqa: PLW0108 (the one of then, after reloads)
            self._telling = Telling(self._store, self._lineup.site)
            self._shade.have(self._settings, self._lineup)
            stack.callback(self._shade.end)
            self._proving = Proving(lambda: self._settings.self_test, self._telling)
            if self._witness:
                stack.enter_context(self._witness)
            leaving: list[threading.Thread] = []
            stack.callback(_join, leaving)
            self._telling.open(self._settings, stack, wake=self._wake, wells=self.wells())
            if self._settings.page.enabled:
                self._show()
                text = self._metrics.text if self._metrics else None
                self._telling.add(stack.enter_context(build.page(self._settings, self._window, text)))
                stack.callback(self._window.close)
            if self._metrics:
                self._telling.add(self._metrics)
            stack.callback(lambda: leaving.extend(lineup.leave(unit.camera for unit in self._lineup.units)))
            for unit in self._lineup.units:
                unit.camera.__enter__()
            wells = sum(len(unit.pipeline.wells) for unit in self._lineup.units)
            _LOG.info("daemon.started", cameras=len(self._lineup.units), wells=wells, outbox=len(self._store.outbox))
            self._telling.dismiss(self._store.cameras() - self.wells().keys(), self._lineup.site, *_now())
            self._watch()
            self._service.tell_stopping()
            _LOG.info("daemon.stopping", scored=self._scored, outbox=len(self._store.outbox))

    @property
    def _scorer(self) -> Scorer:
        return self._lineup.site.judge.scorer

    def _live(self, camera: CameraSettings) -> LiveCamera:
        ring = self._witness.ring(camera) if self._witness else None
        make_source = partial(build.source, camera, ring)
        stuck_after_s = max(STUCK_AFTER_S, camera.open_timeout_s + 2 * camera.read_timeout_s)
        return LiveCamera(
            camera.id, make_source, lost_after_s=camera.lost_after_s, stuck_after_s=stuck_after_s, wake=self._wake
        )

    # The loop

    def _watch(self) -> None:
        started_s = time.monotonic()
        while not self._stopping:
            self._wait()
            if self._reload_asked:
                self._reload_asked = False
                self._reload()
            for step in steps(self._lineup.units, self._scorer):
                self._tell(step)
            for unit in self._lineup.units:
                self._look_after(unit)
            self._attend()
            self._proving.attend(self._lineup, *_now())
            if self._settings.page.enabled:
                self._window.attend()
                self._show()
            self._telling.look_after(*_now(), lost=("gpu",) if self._scorer.trouble else ())
            self._tick_minute()
            self._tell_service(started_s)
            self._shade.work(idle=self._bell.empty)

    def _wait(self) -> None:
        try:
            self._bell.get(timeout=TICK_S)
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            pass

    def _tell(self, step: Step) -> None:
        unit, item = step.unit, step.item
        if isinstance(item, Frame):
            self._count(step, item)
        events = [replace(e, delay_ms=round(1000 * (time.monotonic() - item.time_s), 1)) for e in step.events]
        self._telling.tell(unit.pipeline.alarms, events)
        if self._witness and isinstance(item, Frame):  # pictures come after the alarm, and never before it
            self._witness.look(unit.pipeline, self._scorer, item, events)
        self._shade.look(unit.pipeline, item, events)
        if isinstance(item, Frame):
            self._proving.saw(unit, item)

    def _count(self, step: Step, frame: Frame) -> None:
        unit = step.unit
        if self._settings.page.enabled and unit.pipeline.view:
            self._window.saw(frame, unit.pipeline.view.shift)
        scores = unit.board.count(frame)
        if scores and unit.pipeline.view:
            unit.minute.add(unit.pipeline.view.scores)
        if self._metrics:
            took_s = time.monotonic() - step.began_s
            self._metrics.stepped(unit.settings.id, frame.time_s, took_s=took_s, scores=scores)
        self._scored += 1
        # Fed by frames that went through alone: a daemon that judges none is no daemon, and is started afresh.
        self._service.feed_watchdog()

    def _look_after(self, unit: Unit) -> None:
        (at, time_s), counters = _now(), unit.camera.counters
        events = unit.pipeline.tick(at, time_s)
        events += unit.pipeline.tally(at, time_s, frames=counters.frames, dropped=counters.dropped)
        self._telling.tell(unit.pipeline.alarms, events)
        self._telling.publish(unit.board.update(at, time_s))

    def _tick_minute(self) -> None:
        minute = int(time.time() // 60)
        if minute != self._minute:
            began, self._minute = datetime.fromtimestamp(60 * self._minute, UTC), minute
            taken = [unit.minute.take(began) for unit in self._lineup.units]
            self._store.keep_trends([scores for scores in taken if scores])
            self._shade.keep()
            lineup.keep_plates(self._lineup, self._settings.state.folder())
            give_back_memory()

    def _tell_service(self, started_s: float) -> None:
        if self._service.ready:
            if self._service.status_due:
                self._service.tell_status(self._status())
        elif self._scored or time.monotonic() - started_s > READY_WITHIN_S:
            status = self._status() if self._scored else "degraded start: no frame scored yet"
            self._service.tell_ready(status)
            _LOG.info("daemon.ready", status=status)

    def _status(self) -> str:
        """One line for people: `systemctl status` shows it."""
        boards = [unit.board.last for unit in self._lineup.units if unit.board.last]
        cameras = [f"{b.camera} {b.state}{f' ({b.reason})' if b.reason else f' {b.fps:g} fps'}" for b in boards]
        troubles = [*(f"no {part}" for part in self._telling.degraded)]
        troubles += [f"scores come from the CPU: {self._scorer.trouble}"] if self._scorer.trouble else []
        if self._telling.broker and self._telling.broker.trouble:
            troubles.append(self._telling.broker.trouble)
        troubles += [self._remark] if self._remark else []
        fine = not troubles and all(board.state == CameraState.WATCHING for board in boards)
        watched = sum(board.wells.get(WellState.WATCHING, 0) for board in boards)
        parts = [*cameras, f"{watched} wells watched", f"outbox {len(self._store.outbox)}"]
        parts += [*self._shade.status(), *troubles]
        return f"{'watching' if fine else 'degraded'}: {'; '.join(parts)}"

    # Commands

    def _attend(self) -> None:
        broker = self._telling.broker
        for request in broker.requests() if broker else ():
            answer = self._desk.attend(request, datetime.now(UTC))
            if broker:
                broker.answer(request, answer)

    def _command(self, payload: bytes) -> Answer:
        """One that the page asks."""
        return self._desk.attend(Request(payload=payload), datetime.now(UTC))

    def _judge(self, judgement: Judgement) -> None:
        """Keep what somebody says an alarm was, and have its crops learnt from."""
        self._store.judge(judgement)
        if self._witness:
            self._witness.judge(judgement)

    def _show(self) -> None:
        """What the page may see."""
        self._window.show([(unit.settings.wells, unit.pipeline) for unit in self._lineup.units])

    def _figures(self) -> Figures:
        """For Prometheus, in the page's thread."""
        units, broker = self._lineup.units, self._telling.broker
        return Figures(
            captures={unit.settings.id: unit.camera.counters for unit in units},
            statuses=[unit.board.last for unit in units if unit.board.last],
            alarms=self._window.standing(),
            degraded=self._telling.degraded,
            device=self._scorer.device,
            device_losses=self._scorer.losses,
            connected=broker is not None and broker.connected,
            delivery=broker.counters if broker else Counters(),
            outbox=len(self._store.outbox),
            loop_age_s=self._window.age_s(),
            shadow=self._shade.tally(),
        )

    def _command_settings(self) -> CommandSettings:
        return self._settings.commands

    def wells(self) -> Mapping[str, Collection[str]]:
        """The wells' ids of each camera; the site itself counts as one without wells."""
        return {unit.settings.id: unit.pipeline.wells.ids for unit in self._lineup.units} | {SITE: ()}

    def obey(self, command: Command, answer: Answer) -> None:
        """Have a command done; raises CommandError."""
        at, time_s = _now()
        if command.command == Verb.SELF_TEST:
            self._proving.ask(command, self._lineup, time_s)
            self.keep(answer)
            return
        if command.camera == SITE:
            alarms = self._telling.site_alarms
            events = alarms.obey(command, Moment(at=at, time_s=time_s))
        else:
            pipeline = next(u.pipeline for u in self._lineup.units if u.settings.id == command.camera)
            alarms, events = pipeline.alarms, pipeline.command(command, at, time_s)
        self._telling.tell(alarms, events, [answer])

    def keep(self, answer: Answer) -> None:
        """Keep an answer for which nothing was done to alarms, such as one to a command that was refused."""
        self._store.record(answers=[answer])

    # Reloading

    def _reload(self) -> None:
        self._service.tell_reloading()
        try:
            self.reload_now()
        except SpillwatchError as exc:
            self._remark = f"reload refused: {exc}"
            _LOG.error("daemon.reload_refused", reason=str(exc))
        else:
            self._remark = None
            _LOG.info("daemon.reloaded", cameras=len(self._lineup.units))
        self._service.tell_ready(self._status())

    def reload_now(self) -> None:
        """Take up settings, wells and profiles as they are now; raises SpillwatchError, and goes on as before."""
        try:
            settings = self._load()
            new = lineup.make_over(self._lineup, settings, self._settings, self._cameras)
        except SpillwatchError:
            raise
        except Exception as exc:  # what a library makes of somebody's file does not end the watch
            _LOG.error("daemon.reload_crashed", exc_info=exc)
            raise ConfigError(f"it failed with {type(exc).__name__}; the log has its traceback") from exc
        before, after = ([unit.camera for unit in units] for units in (self._lineup.units, new.units))
        lineup.leave(camera for camera in before if camera not in after)
        known = self.wells().keys()
        if new.model != self._lineup.model:
            self._note_model(settings, self._lineup.site.judge.bundle.name, new.site.judge.bundle.name)
        if new.site.judge is not self._lineup.site.judge:
            self._scorer.close()
        self._lineup, self._settings = new, settings
        for camera in after:
            if camera not in before:
                camera.__enter__()
        self._shade.have(settings, new)
        self._telling.show(self.wells())
        self._telling.dismiss(known - self.wells().keys(), new.site, *_now())

    def _note_model(self, settings: Settings, before: str, name: str) -> None:
        """Into the audit log: another model judges from now on; with who put it in force, where somebody wrote it."""
        last = stock.last(build.model_path(settings.model))
        said = {"by": last.by, "reason": last.reason} if last and last.model == name else {}
        _LOG.warning("daemon.model_changed", model=name, before=before, **said)
        self.keep(Answer(ok=True, refused=None, request={"command": "model", "model": name, "before": before, **said},
                         at=datetime.now(UTC)))  # fmt: skip


def _now() -> tuple[datetime, float]:
    return datetime.now(UTC), time.monotonic()


def _join(threads: list[threading.Thread]) -> None:
    deadline_s = time.monotonic() + LEAVE_CAMERAS_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))


def run(settings: Settings, load: Callable[[], Settings]) -> None:
    """Watch until SIGTERM or SIGINT; on SIGHUP, ``load`` gives new settings."""
    daemon = Daemon(settings, load)
    faulthandler.enable()  # systemd ends a daemon that hangs with SIGABRT: the journal then shows where it hung
    with on_signals(stop=daemon.stop, reload=daemon.reload):
        daemon.run()
