"""Calibration, from footage to profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spillwatch import profile
from spillwatch.config import DetectionSettings
from spillwatch.configfile import load
from spillwatch.errors import ConfigError
from spillwatch.footage import calibrating
from spillwatch.footage.calibrating import Footage, Job, calibrate, choose, parse_budget, sentences
from spillwatch.watch import budget
from spillwatch.wells import wellmap
from tests.support.simulated import wells
from tests.unit.watch.test_budget import footage
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from collections.abc import Sequence


def job(folder: Path, videos: Sequence[Path] = (Path("a.mp4"),), *, wish: str = "1 per day") -> Job:
    return Job(
        videos=videos,
        wells=folder / "w.toml",
        profile=folder / "p.toml",
        budget=wish,
        strength=0.7,
        report=folder / "r.html",
    )


@pytest.mark.needs_data
def test_a_short_calm_clip_keeps_the_levels_and_says_how_little_it_tells(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips/line_normal.mp4"
    wellmap.save(wells_of_truth(clip.with_suffix(".json"), ("1L1",)), tmp_path / "w.toml")
    settings = load(None)
    outcome = calibrate(settings, job(tmp_path, [clip], wish="1 per 30 days"))
    assert outcome.footage.raised == []
    evidence = outcome.profile.evidence
    assert evidence.well_hours == pytest.approx(83 * 40 / 3600, rel=0.01)
    assert not evidence.fitted
    assert not evidence.met
    assert any("too short to support this budget" in sentence for sentence in sentences(outcome))
    assert profile.detection_for(settings.detection, tmp_path / "p.toml", evidence.model) == settings.detection
    assert "Calibration for 1 per 30 days" in (tmp_path / "r.html").read_text()


def test_busy_footage_gets_levels_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "REPLICATES", 100)
    seen = Footage(wells=wells(20), model="m-1", series=[footage(0), footage(1)], raised=[("a.mp4", "3", 12.5)])
    outcome = choose(seen, DetectionSettings(), job(tmp_path, wish="20 per day"))
    levels, evidence = outcome.profile.detection, outcome.profile.evidence
    assert evidence.fitted
    assert evidence.met
    assert evidence.expected_per_30_days <= evidence.budget_per_30_days == 600
    low, high = evidence.interval_per_30_days
    assert low < evidence.expected_per_30_days < high
    assert levels.off_s < levels.on_s
    assert evidence.expected_delay_s == pytest.approx(levels.on_s / (0.7 - levels.reference), abs=0.01)
    assert any("3 at 12.50 s of a.mp4" in sentence for sentence in sentences(outcome))
    profile.save(outcome.profile, tmp_path / "p.toml")
    assert profile.load(tmp_path / "p.toml") == outcome.profile
    calibrating.write_report(tmp_path / "r.html", outcome)
    assert "Reference values that were tried" in (tmp_path / "r.html").read_text()


def test_footage_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    nothing = Footage(wells=wells(2), model="m", series=[], raised=[])
    with pytest.raises(ConfigError, match="no well in service was seen"):
        choose(nothing, DetectionSettings(), job(tmp_path))


def test_a_spill_that_would_never_be_raised_is_refused(tmp_path: Path) -> None:
    seen = Footage(wells=wells(20), model="m", series=[footage(0)], raised=[])
    with pytest.raises(ConfigError, match=r"strength 0\.7 is not above"):
        choose(seen, DetectionSettings(reference=0.7), job(tmp_path))


@pytest.mark.parametrize(
    ("text", "per_30_days"),
    [("1 per 30 days", 1), ("1 per day", 30), ("2 per week", 60 / 7), ("0.5 per shift", 45), ("3 per 12 hours", 180)],
)
def test_budgets_as_people_write_them(text: str, per_30_days: float) -> None:
    assert parse_budget(text) == pytest.approx(per_30_days)


@pytest.mark.parametrize("text", ["", "often", "0 per day", "1 per 0 days", "1 per fortnight", "-1 per day"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not understood"):
        parse_budget(text)
