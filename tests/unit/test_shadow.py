"""A candidate beside the model in force: what it counts, and that nothing of it reaches the live one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from spillwatch import build
from spillwatch.config import CameraSettings, ModelSettings, Settings
from spillwatch.errors import ModelError
from spillwatch.model import bundle as bundles
from spillwatch.records import Frame, Planes
from spillwatch.shadow import CASES, FIGURES, Shadow, place, shadow
from spillwatch.watch.contest import Contest
from spillwatch.watch.detection import ScoreScale, SpillDetector
from tests.support.simulated import NORMAL, ON_S, SCALE, SPILL, SimulatedLine, TableScorer, frame, gap
from tests.unit.test_promoting import model

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8


class Pair:
    """A simulated line, and a candidate beside it with ten times its scores and threshold."""

    def __init__(self, folder: Path, scorer: TableScorer | None = None) -> None:
        self.line = SimulatedLine()
        self.scorer = scorer or TableScorer(3)
        bundle = bundles.load(bundles.default_path())
        scale = ScoreScale(normal=10 * SCALE.normal, threshold=10 * SCALE.threshold, spill=10 * SCALE.spill)
        judge = build.Judge(replace(bundle, name="candidate"), self.scorer, scale)  # type: ignore[arg-type]
        live = build.Judge(bundle, self.line.scorer, SCALE)  # type: ignore[arg-type]
        detector = SpillDetector(3, scale, on_s=ON_S, off_s=0.2, off_delay_s=1.0, max_step_s=0.5)
        contest = Contest(self.line.wells.ids, detector)
        self.folder = folder / "shadow"
        self.shadow = Shadow(judge, live, [(self.line.pipeline, contest)], self.folder)

    def watch(self, seconds: float, live: list[float], candidate: list[float], *, idle: bool = True) -> None:
        for _ in range(round(seconds * self.line.fps)):
            self.line.scorer.next = np.array(live, np.float32)
            self.scorer.next = 10 * np.array(candidate, np.float32)
            grey = Planes(*(np.full(size, 90, np.uint8) for size in ((200, 320), (100, 160), (100, 160))))
            item = Frame(**{**_fields(frame(self.line.time_s)), "planes": grey})
            self.line.frames += 1
            self.shadow.look(self.line.pipeline, item, self.line.pipeline.step(item))
            if idle:
                assert self.shadow.work()
                assert not self.shadow.work()

    def kept(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        self.shadow.keep()
        lines = (self.folder / CASES).read_text().splitlines() if (self.folder / CASES).exists() else []
        return json.loads((self.folder / FIGURES).read_text()), [json.loads(line) for line in lines]


def _fields(item: Frame) -> dict[str, Any]:
    return {name: getattr(item, name) for name in ("camera", "at", "time_s", "planes", "lag_s")}


def test_alarms_of_both_are_paired_and_those_of_one_are_kept_with_a_picture(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.watch(2, [NORMAL] * 3, [NORMAL] * 3)
    pair.watch(1, [SPILL, NORMAL, NORMAL], [NORMAL, NORMAL, SPILL])
    pair.watch(2, [SPILL, SPILL, NORMAL], [SPILL, NORMAL, SPILL])
    pair.watch(6, [NORMAL] * 3, [NORMAL] * 3)
    figures, cases = pair.kept()
    assert {case["well"]: case["kind"] for case in cases} == {"1": "both", "2": "live_only", "3": "candidate_only"}
    by = {case["well"]: case for case in cases}
    assert by["1"]["delay_s"] == pytest.approx(1.0, abs=0.1)
    assert by["1"]["alarm"].startswith("cam/1/spill/")
    assert (by["2"]["delay_s"], by["3"]["alarm"], by["3"]["live_s"]) == (None, None, None)
    assert by["3"]["candidate_peak"] == pytest.approx(10 * SPILL)
    picture: U8 = np.frombuffer(base64.b64decode(by["3"]["png"]), np.uint8)
    assert cv2.imdecode(picture, cv2.IMREAD_COLOR).shape[:2] == (28, 48)
    assert (figures["both"], figures["live_only"], figures["candidate_only"], figures["shed"]) == (1, 1, 1, 0)
    assert np.sum(figures["scores"]["agreement"]) == 3 * figures["frames"]
    assert figures["scores"]["agreement"][1][1] == 2 * 12.5
    tally = pair.shadow.tally()
    assert (tally.both, tally.fault) == (1, None)
    assert tally.cost_s > 0


def test_a_busy_loop_sheds_the_shadow_and_counts_it(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.watch(4, [NORMAL] * 3, [NORMAL] * 3, idle=False)
    assert pair.shadow.work()
    tally = pair.shadow.tally()
    assert (tally.frames, tally.shed) == (1, 49)


def test_figures_go_on_after_a_restart(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.watch(4, [NORMAL] * 3, [NORMAL] * 3)
    before, _ = pair.kept()
    again = Pair(tmp_path)
    again.watch(1, [NORMAL] * 3, [NORMAL] * 3)
    after, _ = again.kept()
    assert after["since"] == before["since"]
    assert after["frames"] == before["frames"] + 12
    assert np.sum(after["scores"]["histograms"]) == 6 * after["frames"]


def test_a_blind_camera_is_no_evidence_to_the_candidate_either(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.watch(2, [NORMAL] * 3, [SPILL, NORMAL, NORMAL])
    hole = gap(pair.line.time_s)
    pair.shadow.look(pair.line.pipeline, hole, pair.line.pipeline.step(hole))
    assert not pair.shadow.work()


def test_an_alarm_that_stands_already_is_no_case_of_the_candidate(tmp_path: Path) -> None:
    before = Pair(tmp_path / "before")
    before.watch(2, [SPILL, NORMAL, NORMAL], [SPILL, NORMAL, NORMAL])
    after = Pair(tmp_path)
    after.line = before.line
    after.shadow._cameras["cam"].pipeline = before.line.pipeline  # as a reload leaves it
    after.watch(2, [SPILL, NORMAL, NORMAL], [SPILL, NORMAL, NORMAL])
    after.watch(6, [NORMAL] * 3, [NORMAL] * 3)
    assert after.kept()[1] == []


class BrokenScorer(TableScorer):
    def score(self, crops: U8) -> Any:  # noqa: ARG002 - as the protocol has it
        raise RuntimeError("its weights are of lead")


@pytest.mark.logs_error("shadow.failed")
def test_a_fault_ends_the_shadow_alone(tmp_path: Path) -> None:
    pair = Pair(tmp_path, BrokenScorer(3))
    pair.watch(0.1, [NORMAL] * 3, [NORMAL] * 3)
    assert pair.shadow.tally().fault == "RuntimeError: its weights are of lead"
    pair.watch(2, [SPILL, NORMAL, NORMAL], [NORMAL] * 3, idle=False)
    assert not pair.shadow.work()
    assert pair.line.pipeline.view is not None
    assert pair.line.pipeline.view.active[0], "the live one watches on"


def test_a_full_disk_costs_the_figures_alone(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.folder.write_text("in the way")
    pair.watch(1, [NORMAL] * 3, [NORMAL] * 3)
    pair.shadow.keep()
    assert pair.shadow.tally().fault is None


def test_numbers_that_are_none_do_no_harm(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.watch(1, [NORMAL] * 3, [np.nan, np.inf, NORMAL])
    figures, _ = pair.kept()
    assert np.sum(figures["scores"]["agreement"]) == figures["frames"]


def test_the_settings_name_it(tmp_path: Path) -> None:
    candidate = model(tmp_path / "candidate.safetensors", 1.01)
    line = SimulatedLine()
    camera = CameraSettings(id="cam", kind="rtsp", url="rtsp://127.0.0.1:9/c", wells=tmp_path / "w.toml")  # type: ignore[arg-type]
    live = build.judge(ModelSettings(device="cpu"))

    def named(path: Path | None) -> Shadow | None:
        state = {"directory": tmp_path}
        settings = Settings(model=ModelSettings(shadow=path, device="cpu"), state=state)  # type: ignore[arg-type]
        return shadow(settings, live, [(camera, line.pipeline)])

    assert named(None) is None
    assert named(candidate) is not None
    assert named(bundles.default_path()) is None, "it was promoted and is the model in force itself"
    with pytest.raises(ModelError, match="does not exist"):
        named(tmp_path / "none")
    assert place(tmp_path, "a", "b") == tmp_path / "shadow/a~b"
