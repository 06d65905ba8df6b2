"""Scoring clips with truth, without a network: recordings are written by hand, videos are small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from spillwatch.cli import main
from spillwatch.config import DetectionSettings
from spillwatch.configfile import load
from spillwatch.errors import ConfigError
from spillwatch.footage import recording, sweep
from spillwatch.footage.recording import Recording
from spillwatch.footage.sweep import Job
from spillwatch.wells import wellmap
from tests.support.clips import write_clip
from tests.support.simulated import NORMAL, SCALE, SPILL, wells

if TYPE_CHECKING:
    from collections.abc import Callable

TRUE_WELLS = [{"id": str(i), "x": 30 + 60 * i, "y": 32, "w": 48, "h": 28} for i in range(3)]


def seen(scores: Callable[[float], list[float]], *, seconds: float = 20.0, fps: float = 12.5) -> Recording:
    """What a video of three wells with these scores would leave."""
    times_s = np.arange(round(seconds * fps)) / fps
    table = np.array([scores(float(t)) for t in times_s], np.float32)
    return Recording(
        video=Path("clip.mp4"),
        wells=wells(3),
        frames=len(times_s),
        seconds=seconds,
        times_s=times_s,
        scores=table,
        covered=np.zeros(table.shape, np.bool_),
        raised=[],
    )


def clips(folder: Path, *names: str, spills: list[dict[str, Any]] | None = None) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        pictures = [rng.integers(100, 130, (64, 192, 3), dtype=np.uint8) for _ in range(20)]
        write_clip(folder / f"{name}.mp4", pictures, fps=10)
        truth = {"wells": TRUE_WELLS, "spills": spills or []}
        (folder / f"{name}.json").write_text(json.dumps(truth))
    return folder


def test_a_higher_level_raises_later_and_forgives_what_is_short() -> None:
    clip = seen(lambda t: [SPILL if t >= 10 else NORMAL, SPILL if 3 <= t < 3.5 else NORMAL, NORMAL])
    at = {
        on_s: recording.raised_at(clip, SCALE, DetectionSettings(reference=0, on_s=on_s, off_s=on_s / 4))
        for on_s in (0.3, 0.8, 2.0)
    }
    assert [well for well, _at_s in at[0.3]] == ["2", "1"]
    assert [well for well, _at_s in at[0.8]] == [well for well, _at_s in at[2.0]] == ["1"]
    assert at[2.0][0][1] - at[0.8][0][1] == pytest.approx(1.2, abs=0.081)


def test_a_reference_slows_what_is_weak() -> None:
    weak = float(np.sqrt(0.01 * 0.1))  # strength one half
    clip = seen(lambda t: [weak if t >= 10 else NORMAL, NORMAL, NORMAL])
    onsets = [
        recording.raised_at(clip, SCALE, DetectionSettings(reference=reference, on_s=0.8))[0][1] - 10
        for reference in (-0.3, 0.0, 0.3)
    ]
    assert onsets == pytest.approx([0.8 / 0.8, 0.8 / 0.5, 0.8 / 0.2], abs=0.081)


def test_strengths_are_those_of_wells_in_service_that_were_seen() -> None:
    clip = seen(lambda _t: [NORMAL, SPILL, SPILL], seconds=1)
    clip.covered[5, 1] = True
    clip.wells.in_service[2] = False
    strengths = recording.strengths(clip, SCALE, DetectionSettings())
    assert strengths.shape == (12, 2)
    assert strengths[0] == pytest.approx([-1, 1])
    assert np.flatnonzero(np.isnan(strengths[:, 1])).tolist() == [5]


def test_every_clip_with_truth_is_scored_and_the_others_are_named(tmp_path: Path, log: list[Any]) -> None:
    clips(tmp_path, "a", "b", spills=[{"well": "1", "start_s": 0.5, "end_s": 1.5}])
    (tmp_path / "b.json").rename(tmp_path / "b.truth.json")
    clips(tmp_path, "c")
    (tmp_path / "c.json").unlink()
    result = sweep.score(load(None), Job(folders=[tmp_path], out_of_service=["0"], json=tmp_path / "j.json"))
    assert [clip["clip"] for clip in result["clips"]] == ["a.mp4", "b.mp4"]
    assert result["total"]["spill_count"] == 2
    assert result["total"]["well_hours"] == pytest.approx(2 * 2 * 2 / 3600, rel=0.01)
    assert json.loads((tmp_path / "j.json").read_text()) == result
    assert [entry["video"] for entry in log if entry["event"] == "score.clip_without_truth"] == [
        str(tmp_path / "c.mp4")
    ]


def test_the_sweep_agrees_with_the_pipeline_at_the_level_in_force(tmp_path: Path) -> None:
    result = sweep.score(load(None), Job(folders=[clips(tmp_path, "a")]))
    here = next(row for row in result["sweep"] if row["on_s"] == result["on_s"])
    assert {key: here[key] for key in result["total"]} == result["total"]


def test_the_command_line_prints_a_table_and_writes_a_page(tmp_path: Path) -> None:
    clips(tmp_path, "a", "b")
    report = tmp_path / "r.html"
    done = CliRunner().invoke(main, ["score", str(tmp_path), "--wells-from-truth", "--report", str(report)])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1].startswith("a.mp4")
    assert "on_s = 0.8" in done.stdout
    assert "2 clips against their truth" in report.read_text()


def test_a_broken_clip_is_named_and_stops_no_other(tmp_path: Path) -> None:
    clips(tmp_path, "a", "b", "c", spills=[{"well": "1", "start_s": 0.5, "end_s": 1.5}])
    (tmp_path / "b.mp4").write_bytes(b"")
    words = ["score", tmp_path, "--report", tmp_path / "r.html", "--json", tmp_path / "j.json"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "spillwatch: 1 of 3 clips could not be watched to their end"
    result = json.loads((tmp_path / "j.json").read_text())
    fault = f"{tmp_path / 'b.mp4'} is empty; record or copy it again"
    assert result["faults"] == [fault]
    assert [row["fault"] for row in result["clips"]] == [None, fault, None]
    assert [row["spill_count"] for row in result["clips"]] == [1, None, 1]
    assert result["clips"][0].keys() == result["clips"][1].keys()
    assert result["total"]["spill_count"] == 2
    assert fault in done.stdout
    assert fault in (tmp_path / "r.html").read_text()


def test_a_clip_that_is_cut_short_is_scored_and_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cut = tmp_path / "a.mkv"
    write_clip(cut, [rng.integers(100, 130, (64, 192, 3), dtype=np.uint8) for _ in range(100)], fps=10)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (tmp_path / "a.json").write_text(json.dumps({"wells": TRUE_WELLS, "spills": []}))
    result = sweep.score(load(None), Job(folders=[tmp_path]))
    assert 0 < result["clips"][0]["frames"] < 100
    assert "cut short" in result["clips"][0]["fault"]
    assert result["faults"] == [result["clips"][0]["fault"]]


def test_a_truth_that_is_wrong_ends_it_before_anything_is_watched(tmp_path: Path) -> None:
    clips(tmp_path, "a", "b")
    (tmp_path / "b.json").write_text("{")
    seen: list[int] = []
    with pytest.raises(ConfigError, match=r"b\.json is not valid JSON"):
        sweep.score(
            load(None),
            Job(folders=[tmp_path], wells=_wells_file(tmp_path), on_clip=lambda done, _of: seen.append(done)),
        )
    assert seen == []


def _wells_file(folder: Path) -> Path:
    wellmap.save(wells(3), folder / "w.toml")
    return folder / "w.toml"


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"folders": [Path("none")]}, "none is not a folder"),
        ({"out_of_service": ["9Z"]}, "no clip has a well '9Z'"),
        ({"json": Path("none/j.json")}, r"none/j\.json cannot be written"),
    ],
)
def test_faults_are_told_in_one_sentence(tmp_path: Path, job: dict[str, Any], said: str) -> None:
    given = {"folders": [clips(tmp_path, "a")]} | job
    with pytest.raises(Exception, match=said) as caught:
        sweep.score(load(None), Job(**given))
    assert "\n" not in str(caught.value)


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no clip with truth"):
        sweep.score(load(None), Job(folders=[tmp_path]))
