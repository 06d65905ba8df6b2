"""A simulated line with faults, through the whole of replay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from spillwatch.configfile import load
from spillwatch.records import Condition
from spillwatch.replay import Job, replay

ROOT = Path(__file__).resolve().parents[2]


def test_faults_are_named_and_cleared_and_hide_no_spill(tmp_path: Path) -> None:
    video = tmp_path / "line.mp4"
    words = ["--seed", "7", "--seconds", "40", "--size", "960x600", "--faults", "--lens"]
    subprocess.run([sys.executable, ROOT / "tools/simulate_line.py", video, *words], check=True, capture_output=True)
    outcome = replay(load(None), Job(video=video, wells=tmp_path / "line.wells.toml", truth=tmp_path / "line.json"))
    assert outcome.score is not None
    assert outcome.score["missed"] == outcome.score["false_alarms"] == 0
    named = [(event.condition, event.active) for event in outcome.events if event.well is None]
    dark, frozen, blurred = Condition.CAMERA_DARK, Condition.CAMERA_FROZEN, Condition.CAMERA_BLURRED
    told = (dark, blurred, frozen, blurred)  # the lens is greasy at 18 s and covered at 35 s
    assert named == [(condition, active) for condition in told for active in (True, False)]
    times_s = [event.media_time_s or 0.0 for event in outcome.events if event.well is None]
    for at_s, due_s in zip(times_s, (12, 15, 18, 21, 26, 29, 35, 38), strict=True):
        assert due_s <= at_s <= due_s + 2
