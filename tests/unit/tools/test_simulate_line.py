"""A small simulated line: the same for the same seed, and its truth fits its video."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

TOOL = Path(__file__).parents[3] / "tools" / "simulate_line.py"
SMALL = ("--seconds", "2", "--size", "320x200")


def simulate(out: Path, *options: str) -> list[Path]:
    """Run the tool; the files it says it wrote."""
    command = [sys.executable, str(TOOL), str(out), *SMALL, *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [Path(line) for line in done.stdout.splitlines()]


def pictures(video: Path) -> np.ndarray:
    """(frames, H, W) luma."""
    with av.open(str(video)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


def read_truth(video: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))
    return truth


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of two seconds with three spills."""
    out = tmp_path_factory.mktemp("line") / "line.mp4"
    assert simulate(out, "--seed", "5") == [out, out.with_suffix(".wells.toml"), out.with_suffix(".json")]
    return out


def test_the_same_seed_gives_the_same_files(clip: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    simulate(again, "--seed", "5")
    for suffix in (".mp4", ".wells.toml", ".json"):
        assert again.with_suffix(suffix).read_bytes() == clip.with_suffix(suffix).read_bytes()


def test_the_truth_fits_the_video(clip: Path) -> None:
    truth = read_truth(clip)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (truth["width"], truth["height"]) == (320, 200)
        assert float(stream.average_rate or 0) == truth["fps"] == 12.5
        frames = list(container.decode(stream))
    assert len(frames) == truth["frames"] == 25
    assert [frame.key_frame for frame in frames].count(True) >= 2
    for well in truth["wells"]:
        assert well["w"] / 2 < well["x"] < 320 - well["w"] / 2
        assert well["h"] / 2 < well["y"] < 200 - well["h"] / 2


def test_the_wells_file_names_the_same_wells(clip: Path) -> None:
    wells = tomllib.loads(clip.with_suffix(".wells.toml").read_text(encoding="utf-8"))["wells"]
    assert [(w["id"], w["x"], w["y"], w["width"], w["height"]) for w in wells] == [
        (w["id"], w["x"], w["y"], w["w"], w["h"]) for w in read_truth(clip)["wells"]
    ]
    assert not any(well["out_of_service"] for well in wells)


def test_spills_of_each_kind_lie_within_the_clip_on_different_wells(clip: Path) -> None:
    truth = read_truth(clip)
    spills = truth["spills"]
    assert sorted(spill["kind"] for spill in spills) == ["drained", "pour", "pour"]
    assert len({spill["well"] for spill in spills}) == 3
    assert {spill["well"] for spill in spills} <= {well["id"] for well in truth["wells"]}
    assert all(0 < spill["start_s"] < spill["end_s"] <= 2 for spill in spills)


def test_a_spill_shows_from_its_onset_on(clip: Path, tmp_path: Path) -> None:
    calm_clip = tmp_path / "calm.mp4"
    simulate(calm_clip, "--seed", "5", "--spills", "0")
    # The same seed without spills is the same line, so that what differs is the spill.
    spilt, calm = pictures(clip).astype(int), pictures(calm_clip).astype(int)
    truth = read_truth(clip)
    wells = {well["id"]: well for well in truth["wells"]}
    for spill in truth["spills"]:
        well = wells[spill["well"]]
        rows = slice(int(well["y"] - well["h"] / 2), int(well["y"] + well["h"] / 2))
        columns = slice(int(well["x"] - well["w"] / 2), int(well["x"] + well["w"] / 2))
        differs = np.abs(spilt - calm)[:, rows, columns].mean(axis=(1, 2))
        first = round(spill["start_s"] * truth["fps"])
        assert differs[first - 1] < 2 < differs[first + 1]


def test_faults_are_told_and_shown(tmp_path: Path) -> None:
    out = tmp_path / "faults.mp4"
    simulate(out, "--seed", "5", "--seconds", "6", "--faults")
    truth, seen = read_truth(out), pictures(out).astype(int)
    assert 0 < truth["flash_s"] < truth["dark_s"] < truth["freeze_s"] < truth["shift_s"] < 6
    level, fps = seen.mean(axis=(1, 2)), truth["fps"]
    assert level[round(truth["flash_s"] * fps) + 2] > 1.1 * level[round(truth["flash_s"] * fps) - 2]
    assert level[round(truth["dark_s"] * fps) + 2] < 40
    frozen = round(truth["freeze_s"] * fps) + 2
    assert np.abs(seen[frozen + 1] - seen[frozen]).mean() < 0.5


def test_faults_of_the_lens_are_told_and_shown(tmp_path: Path) -> None:
    out, clear = tmp_path / "lens.mp4", tmp_path / "clear.mp4"
    simulate(out, "--seed", "5", "--spills", "0", "--seconds", "4", "--lens")
    simulate(clear, "--seed", "5", "--spills", "0", "--seconds", "4")
    truth, differs = read_truth(out), np.abs(pictures(out).astype(int) - pictures(clear)).mean(axis=(1, 2))
    for fault, least in (("grease_s", 1), ("cover_s", 20)):
        first = round(truth[fault] * truth["fps"])
        assert differs[first - 1] < 0.5
        assert differs[first + 1] > least


def test_an_odd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        simulate(tmp_path / "line.mp4", "--size", "321x200")
    assert failure.value.returncode == 2
    assert "even" in failure.value.stderr
