"""The real clips, through the whole of replay with the bundled model."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.configfile import load
from spillwatch.replay import Job, replay
from spillwatch.wells import wellmap
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.replay import Outcome

pytestmark = pytest.mark.needs_data


def watch(video: Path, truth: Path, tmp_path: Path, **more: Any) -> Outcome:
    """Replay a clip with its truth's wells; 1L1 has a rod standing in it and is out of service."""
    wells = tmp_path / "wells.toml"
    wellmap.save(wells_of_truth(truth, ("1L1",)), wells)
    return replay(load(None), Job(video=video, wells=wells, truth=truth, **more))


def test_three_spills_are_raised_on_their_wells_and_nothing_else(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips/line_spills.mp4"
    outcome = watch(clip, clip.with_suffix(".json"), tmp_path, score=tmp_path / "s.json")
    score = json.loads((tmp_path / "s.json").read_text())
    assert score == outcome.score
    assert (score["missed"], score["false_alarms"]) == (0, 0)
    assert [row["well"] for row in score["spills"]] == ["1U7", "4U5", "4U7"]
    assert all(row["delay_s"] <= 1.0 for row in score["spills"])
    assert {event.well for event in outcome.events} == {"1U7", "4U5", "4U7"}
    assert {event.condition for event in outcome.events} == {"spill"}


def test_a_normal_line_raises_nothing(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips/line_normal.mp4"
    outcome = watch(clip, clip.with_suffix(".json"), tmp_path)
    assert outcome.events == []
    assert outcome.frames == 500


def test_faults_are_named_and_cleared_and_the_spill_among_them_is_raised_once(shared: Path, tmp_path: Path) -> None:
    """Light +25 % at 6 s, dark 12 to 15 s, a spill 20.13 to 29.21 s, frozen 26 to 29 s, knocked by 9 px at 32 s."""
    clip = shared / "clips/line_faults.mp4"
    outcome = watch(clip, clip.with_suffix(".json"), tmp_path)
    assert outcome.score is not None
    assert (outcome.score["missed"], outcome.score["false_alarms"]) == (0, 0)
    story = [(event.well or event.condition, event.active, event.media_time_s or 0.0) for event in outcome.events]
    assert [(what, active) for what, active, _at_s in story] == [
        ("camera_dark", True),
        ("camera_dark", False),
        ("3L4", True),
        ("camera_frozen", True),
        ("camera_frozen", False),
        ("3L4", False),
    ]
    due_s = [(12, 14), (15, 17), (20.13, 21.13), (26, 28), (29, 31), (29.21, 40)]
    assert all(low <= at_s <= high for (_what, _active, at_s), (low, high) in zip(story, due_s, strict=True))


def test_the_same_input_gives_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips/line_spills.mp4"
    logs = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    for log in logs:
        watch(clip, clip.with_suffix(".json"), tmp_path, events=log)
    assert logs[0].read_bytes() == logs[1].read_bytes()
    assert len(logs[0].read_text().splitlines()) >= 3


@pytest.mark.parametrize("fps", [5, 12.5, 25])
def test_the_frame_rate_does_not_change_which_wells_alarm(shared: Path, tmp_path: Path, fps: float) -> None:
    clip = shared / "clips/line_spills.mp4"
    again = tmp_path / "again.mp4"
    resample = ["-vf", f"fps={fps}", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "18"]
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", str(clip), *resample, str(again)], check=False)
    if done.returncode:
        pytest.skip("ffmpeg could not resample the clip")
    outcome = watch(again, clip.with_suffix(".json"), tmp_path)
    assert outcome.score is not None
    assert (outcome.score["missed"], outcome.score["false_alarms"]) == (0, 0)


def test_the_command_line_does_all_of_it(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips/line_spills.mp4"
    wells = tmp_path / "w.toml"
    wellmap.save(wells_of_truth(clip.with_suffix(".json"), ("1L1",)), wells)
    names = {"--events": "e.jsonl", "--annotated": "a.mp4", "--json": "s.json", "--report": "r.html"}
    words = [str(word) for option, name in names.items() for word in (option, tmp_path / name)]
    words += ["--wells", str(wells), "--truth", str(clip.with_suffix(".json"))]
    command = [sys.executable, "-m", "spillwatch", "replay", str(clip), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "0 missed, 0 false alarms" in done.stderr
    for name in names.values():
        assert (tmp_path / name).stat().st_size > 0
