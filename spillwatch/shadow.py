"""A candidate beside the model in force: the same crops, its own threshold and detector, and no alarm is told of it.

It works when the daemon's loop has nothing else to do, so that it is shed first when frames come faster than they can
be looked at; and whatever goes wrong in it ends it alone.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from spillwatch import build, profile
from spillwatch.config import ModelSettings
from spillwatch.errors import ModelError
from spillwatch.model import stock
from spillwatch.outputs import write_whole
from spillwatch.records import SHADOW, Condition, Frame, ShadowTally, json_value, rfc3339
from spillwatch.store.exhibit import boxed, png
from spillwatch.watch.contest import Contest, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spillwatch.build import Judge
    from spillwatch.config import CameraSettings, Settings
    from spillwatch.records import U8, AlarmEvent, Gap, View
    from spillwatch.watch.contest import Case
    from spillwatch.watch.pipeline import Pipeline

FIGURES, CASES = "figures.json", "cases.jsonl"

MOST_CASES = 1000
"""Alarms of one or the other that are written down, about 5 kB each; more are counted only."""

KEPT = 5
"""Pairs of models of which figures are kept; the oldest go."""

_LOG = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Look:
    """What there is to look at in one camera's newest frame."""

    frame: Frame
    view: View
    crops: U8


@dataclass(slots=True, eq=False)
class _Watched:
    """One camera."""

    pipeline: Pipeline
    contest: Contest
    waiting: _Look | None = None
    boxes: dict[str, U8] = field(default_factory=dict)  # of wells in a case, as they were at its first alarm


class Shadow:
    """``look``, ``work``, ``close`` and ``keep`` are the loop's and never raise; ``tally`` is for any thread.

    Without a ``folder`` nothing is kept.
    """

    def __init__(
        self, judge: Judge, live: Judge, cameras: Sequence[tuple[Pipeline, Contest]], folder: Path | None = None
    ) -> None:
        self._judge = judge
        self._cameras = {pipeline.camera: _Watched(pipeline, contest) for pipeline, contest in cameras}
        self._folder = folder
        self._fault: str | None = None
        self._before = _read(folder / FIGURES) if folder else {}
        self._about = {
            "candidate": {"name": judge.bundle.name, "threshold": judge.scale.threshold},
            "live": {"name": live.bundle.name, "threshold": live.scale.threshold},
            "since": self._before.get("since") or rfc3339(datetime.now(UTC)),
        }
        self.scores = Scores.of(self._before.get("scores"))
        self._counts: dict[str, float] = {
            name: self._before.get(name, 0)
            for name in ("frames", "shed", "cost_s", "both", "live_only", "candidate_only")
        }
        self._cases: list[str] = []
        self._written = self._counts["both"] + self._counts["live_only"] + self._counts["candidate_only"]

    def tally(self) -> ShadowTally:
        counts = self._counts
        return ShadowTally(
            candidate=self._judge.bundle.name,
            frames=int(counts["frames"]),
            shed=int(counts["shed"]),
            cost_s=counts["cost_s"],
            both=int(counts["both"]),
            live_only=int(counts["live_only"]),
            candidate_only=int(counts["candidate_only"]),
            fault=self._fault,
        )

    def look(self, pipeline: Pipeline, item: Frame | Gap, events: Sequence[AlarmEvent]) -> None:
        """A frame that went through its pipeline, and what it raised; looked at later, if there is time."""
        if not self._fault:
            with _guarding(self):
                self._look(self._cameras[pipeline.camera], item, events)

    def work(self) -> bool:
        """Look at one camera's newest frame; False when there was none."""
        waiting = next((one for one in self._cameras.values() if one.waiting), None) if not self._fault else None
        if waiting is None:
            return False
        with _guarding(self):
            began_s = time.perf_counter()
            self._work(waiting)
            self._counts["cost_s"] += time.perf_counter() - began_s
        return True

    def close(self) -> list[dict[str, Any]]:
        """Nothing more comes: alarms that stand are counted as they are. The cases that are not written down yet."""
        with _guarding(self):
            for one in self._cameras.values():
                self._close(one, one.contest.close())
        return [json.loads(line) for line in self._cases]

    def keep(self) -> None:
        """Write down what was counted; to be called every minute or so, and at the end."""
        if self._folder is None:
            return
        with _guarding(self):
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            if self._cases:
                with open(self._folder / CASES, "a", encoding="utf-8") as file:
                    file.writelines(self._cases)
                self._cases.clear()
            figures = {
                **self._about,
                "until": rfc3339(datetime.now(UTC)),
                **self._counts,
                "scores": self.scores.json(),
            }
            write_whole(self._folder / FIGURES, json.dumps(figures, indent=1).encode())

    def _look(self, one: _Watched, item: Frame | Gap, events: Sequence[AlarmEvent]) -> None:
        pipeline = one.pipeline
        for event in events:
            if event.condition == Condition.SPILL and event.raises and event.well and not event.test:
                one.contest.raised(event.well, event.id.rpartition(".")[0], event.at, item.time_s)
        if one.waiting:
            self._counts["shed"] += 1
        if isinstance(item, Frame) and pipeline.crops is not None and pipeline.view is not None:
            one.waiting = _Look(item, pipeline.view, pipeline.crops)
        else:
            one.waiting = None
            one.contest.lose_sight()

    def _work(self, one: _Watched) -> None:
        look, one.waiting = one.waiting, None
        assert look is not None  # noqa: S101 -- for mypy
        served = one.pipeline.wells.in_service
        scores = self._judge.scorer.score(look.crops)
        scores = np.where(served & np.isfinite(scores), scores, np.float32(np.nan))
        closed = one.contest.step(look.view, scores, look.frame.at)
        self.scores.add(look.view.scores, scores, one.pipeline.threshold, self._judge.scale.threshold)
        self._counts["frames"] += 1
        for case in one.contest.opened:
            one.boxes[case.well] = self._box(one.pipeline, look, case.well)
        self._close(one, closed)

    def _close(self, one: _Watched, cases: Sequence[Case]) -> None:
        for case in cases:
            self._counts[case.kind] += 1
            box = one.boxes.pop(case.well, None)
            if self._written < MOST_CASES:
                self._written += 1
                self._cases.append(_line(one.pipeline.camera, case, box))

    def _box(self, pipeline: Pipeline, look: _Look, well: str) -> U8:
        index, (dx, dy) = pipeline.wells.ids.index(well), look.view.shift
        (x, y), (width, height) = (values[index].tolist() for values in (pipeline.wells.centres, pipeline.wells.sizes))
        return boxed(look.frame.planes, (x + dx, y + dy), (width, height))

    def fail(self, exc: BaseException) -> None:
        """It has failed, and rests until the next reload."""
        self._fault = f"{type(exc).__name__}: {exc}"
        _LOG.error("shadow.failed", candidate=self._judge.bundle.name, reason=self._fault, exc_info=exc)


class _guarding:  # noqa: N801 -- reads as a phrase
    """The supervising edge: a fault in the shadow ends the shadow."""

    def __init__(self, shadow: Shadow) -> None:
        self._shadow = shadow

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> bool:
        if isinstance(exc, OSError):  # a full disk is no fault of the candidate
            _LOG.warning("shadow.not_kept", reason=str(exc))
            return True
        if isinstance(exc, Exception):
            self._shadow.fail(exc)
            return True
        return False


def place(state: Path, candidate: str, live: str) -> Path:
    """Where the figures of a pair of models are kept."""
    return state / SHADOW / f"{candidate}~{live}"


def shadow(settings: Settings, live: Judge, units: Sequence[tuple[CameraSettings, Pipeline]]) -> Shadow | None:
    """The shadow that the settings name, or None; raises SpillwatchError when it cannot be used."""
    path = settings.model.shadow
    if path is None:
        return None
    judge = build.judge(ModelSettings(path=path, device="cpu"))  # a GPU is for the model in force
    if judge.bundle.preprocessing != live.bundle.preprocessing:
        raise ModelError(f"model.shadow {path} sees wells through another preprocessing than the model in force")
    if judge.bundle.name == live.bundle.name:
        _LOG.info("shadow.in_force", candidate=judge.bundle.name)  # it was promoted: there is nothing to compare
        return None
    cameras = []
    for camera, pipeline in units:
        detection = profile.detection_of_candidate(settings.detection, camera.profile, judge.bundle.name)
        detector = build.detector(len(pipeline.wells), judge, detection)
        cameras.append((pipeline, Contest(pipeline.wells.ids, detector)))
    folder = place(settings.state.folder(), judge.bundle.name, live.bundle.name)
    _prune(folder)
    _LOG.info("shadow.watches", candidate=judge.bundle.name, live=live.bundle.name, sha256=stock.digest(path))
    return Shadow(judge, live, cameras, folder)


def _prune(folder: Path) -> None:
    with suppress(OSError):
        others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
        for path in sorted(others, key=lambda path: path.stat().st_mtime)[: -(KEPT - 1)]:
            shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    """The figures of an earlier run with the same models; nothing where there are none that can be read."""
    try:
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _line(camera: str, case: Case, box: U8 | None) -> str:
    picture = base64.b64encode(png(box)).decode("ascii") if box is not None else None
    values = {"camera": camera, "kind": case.kind, **asdict(case), "delay_s": case.delay_s, "png": picture}
    return json.dumps(json_value(values), ensure_ascii=False, separators=(",", ":")) + "\n"
