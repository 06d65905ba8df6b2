"""The daemon's side of the operators' page: what the page may see, and what it asks of the loop."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spillwatch.errors import CommandError, SpillwatchError
from spillwatch.page.base import Plan, Sighting
from spillwatch.records import AlarmEvent, Answer, Judgement
from spillwatch.watch.standing import standing
from spillwatch.wells import editing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spillwatch.records import Frame, Memory, Suppression, Wells
    from spillwatch.watch.pipeline import Pipeline

REPORT_S = 60.0
"""A report that takes longer is given up."""
PATIENCE_S = 10.0
"""The page waits so long for the loop; a reload may take a second or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the loop does when it is asked, in its own thread.

    ``command`` attends to a command as if it had come over MQTT; ``judge`` keeps a judgement; ``reload`` reads settings
    and wells files anew, or raises SpillwatchError and goes on as before.
    """

    command: Callable[[bytes], Answer]
    judge: Callable[[Judgement], None]
    reload: Callable[[], None]


class Window:
    """Implements ``page.base.Site``; ``show``, ``saw`` and ``attend`` are the loop's, all else is for any thread.

    The loop only puts new objects in place of old ones, which a reader sees whole; so nothing here waits for a lock.
    """

    def __init__(
        self, name: str, orders: Orders, *, wake: Callable[[], None], state: Path, evidence: bool = False
    ) -> None:
        self._name = name
        self._state = state
        self._evidence = state if evidence else None
        self._orders = orders
        self._wake = wake
        self._plans: dict[str, Plan] = {}
        self._pipelines: list[Pipeline] = []
        self._memories: dict[str, Memory] = {}
        self._sightings: dict[str, Sighting] = {}
        self._turned_s = time.monotonic()
        self._errands: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._editing = threading.Lock()
        self._closed = False

    # The loop's

    def show(self, cameras: Sequence[tuple[Path, Pipeline]]) -> None:
        """Once per round: the wells file and the pipeline of each camera."""
        self._turned_s = time.monotonic()
        self._pipelines = [pipeline for _, pipeline in cameras]
        self._remember()
        shown = {name: plan.wells for name, plan in self._plans.items()}
        if shown != {pipeline.camera: pipeline.wells for _, pipeline in cameras}:
            self._plans = {
                pipeline.camera: self._plan(path, pipeline.camera, pipeline.wells) for path, pipeline in cameras
            }

    def saw(self, frame: Frame, shift: tuple[float, float]) -> None:
        """The newest frame of its camera; nothing is copied."""
        self._sightings[frame.camera] = Sighting(frame, shift)

    def attend(self) -> None:
        """Do what the page has asked since."""
        while not self._errands.empty():
            errand, future = self._errands.get()
            if future.set_running_or_notify_cancel():
                try:
                    done = errand()
                    self._remember()  # before the page looks again
                    future.set_result(done)
                except SpillwatchError as exc:
                    future.set_exception(exc)

    def close(self) -> None:
        """The loop has ended; nobody waits for it any longer."""
        self._closed = True
        while not self._errands.empty():
            _, future = self._errands.get()
            future.set_exception(CommandError("spillwatch is being stopped"))

    def _remember(self) -> None:
        self._memories = {pipeline.camera: pipeline.alarms.memory() for pipeline in self._pipelines}

    def _plan(self, path: Path, camera: str, wells: Wells) -> Plan:
        old = self._plans.get(camera)
        if old and old.wells is wells:
            return old
        return Plan(camera=camera, wells=wells, wells_file=path, edition=old.edition + 1 if old else 1)

    # The page's

    @property
    def name(self) -> str:
        return self._name

    @property
    def evidence(self) -> Path | None:
        return self._evidence

    def plans(self) -> Sequence[Plan]:
        return list(self._plans.values())

    def sighting(self, camera: str) -> Sighting | None:
        return self._sightings.get(camera)

    def suppressions(self) -> Sequence[Suppression]:
        return [item for memory in self._memories.values() for item in memory.suppressions]

    def standing(self) -> Sequence[AlarmEvent]:
        return [event for memory in self._memories.values() for event in standing(memory)]

    def age_s(self) -> float:
        return time.monotonic() - self._turned_s

    def submit(self, payload: Mapping[str, Any]) -> Answer:
        return self._asked(payload, lambda: self._orders.command(json.dumps(payload).encode()))

    def judge(self, alarm: str, *, verdict: bool | None, note: str, by: str) -> Answer:
        now = datetime.now(UTC)
        judgement = Judgement(alarm=alarm, verdict=verdict, note=note, by=by, at=now)

        def keep() -> Answer:
            self._orders.judge(judgement)
            return Answer(ok=True, refused=None, request={"alarm": alarm, "verdict": verdict, "by": by}, at=now)

        return self._asked({"alarm": alarm}, keep)

    def change_wells(self, camera: str, rows: Sequence[Mapping[str, Any]], *, digest: str, by: str) -> Answer:
        plan, now = self._plans.get(camera), datetime.now(UTC)
        asked: dict[str, Any] = {"camera": camera, "by": by}
        if plan is None:
            return _refused(asked, f"there is no camera {camera!r}")
        with self._editing:
            try:
                backup = editing.rewrite(plan.wells_file, rows, expected=digest, at=now)
            except SpillwatchError as exc:
                return _refused(asked, str(exc))
            asked |= {"backup": backup.name}

            begun = threading.Event()

            def reload() -> Answer:
                begun.set()
                try:
                    self._orders.reload()
                except SpillwatchError:
                    backup.replace(plan.wells_file)
                    raise
                return Answer(ok=True, refused=None, request=asked, at=now)

            answer = self._asked(asked, reload)
            if not answer.ok and not begun.is_set():  # a reload that goes on takes the file back itself, or keeps to it
                backup.replace(plan.wells_file)
            return answer

    def report(self, since: str) -> str:
        """By a process of its own: drawing takes a core for seconds, and memory that is given back with it."""
        environment = {**os.environ, "SPILLWATCH_SITE": self._name}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "report.html"
            asked = ["report", "--state", str(self._state), "--since", since, "--out", str(out)]
            words = [sys.executable, "-m", "spillwatch", *asked]
            try:
                subprocess.run(words, check=True, timeout=REPORT_S, capture_output=True, env=environment)  # noqa: S603
                return out.read_text(encoding="utf-8")
            except subprocess.CalledProcessError as exc:
                raise SpillwatchError(f"no report: {exc.stderr.decode(errors='replace').strip()}") from exc
            except (OSError, subprocess.TimeoutExpired) as exc:
                raise SpillwatchError(f"no report: {exc}") from exc

    def wells_digest(self, camera: str) -> str:
        return editing.digest(self._plans[camera].wells_file)

    def _asked(self, request: Mapping[str, Any], errand: Callable[[], Answer]) -> Answer:
        """Have the loop do it, and wait for what comes of it."""
        future: Future[Answer] = Future()
        self._errands.put((errand, future))
        self._wake()
        if self._closed:
            self.close()
        try:
            return future.result(PATIENCE_S)
        except SpillwatchError as exc:
            return _refused(request, str(exc))
        except FutureTimeoutError:
            if future.cancel():
                return _refused(request, f"spillwatch has not come to it within {PATIENCE_S:g} s")
            return _refused(request, f"spillwatch has not finished it within {PATIENCE_S:g} s")


def _refused(request: Mapping[str, Any], why: str) -> Answer:
    return Answer(ok=False, refused=why, request=dict(request), at=datetime.now(UTC))
