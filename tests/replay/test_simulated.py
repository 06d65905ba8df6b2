"""A simulated line with faults, through the whole of replay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from spillwatch.config import load
from spillwatch.records import Condition
from spillwatch.replay import Job, replay

ROOT = Path(__file__).resolve().parents[2]


def test_faults_are_named_and_cleared_and_hide_no_spill(tmp_path: Path) -> None:
    video = tmp_path / "line.mp4"
    words = ["--seed", "7", "--seconds", "40", "--size", "960x600", "--faults"]
    subprocess.run([sys.executable, ROOT / "tools/simulate_line.py", video, *words], check=True, capture_output=True)
    outcome = replay(load(None), Job(video=video, wells=tmp_path / "line.wells.toml", truth=tmp_path / "line.json"))
    assert outcome.score is not None
    assert outcome.score["missed"] == outcome.score["false_alarms"] == 0
    named = [(event.condition, event.active) for event in outcome.events if event.well is None]
    dark, frozen = Condition.CAMERA_DARK, Condition.CAMERA_FROZEN
    assert named == [(dark, True), (dark, False), (frozen, True), (frozen, False)]
    times_s = [event.media_time_s or 0.0 for event in outcome.events if event.well is None]
    for at_s, due_s in zip(times_s, (12, 15, 26, 29), strict=True):
        assert due_s <= at_s <= due_s + 2
