from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spillwatch import profile
from spillwatch.config import DetectionSettings
from spillwatch.errors import ConfigError
from spillwatch.profile import Evidence, Levels, Profile

if TYPE_CHECKING:
    from pathlib import Path

EVIDENCE = Evidence(
    model="default-1",
    videos=("a.mp4", "b.mp4"),
    well_hours=84.0,
    events=120,
    budget="1 per 30 days",
    budget_per_30_days=1.0,
    fitted=True,
    met=True,
    expected_per_30_days=0.98,
    interval_per_30_days=(0.01, 40.0),
    confidence=0.9,
    extrapolation=720.0,
    strength=0.7,
    expected_delay_s=1.6,
    date="2026-11-24",
    version="0.1.0",
)


def made(**levels: float) -> Profile:
    return Profile(detection=Levels(**({"reference": 0.1, "on_s": 0.96, "off_s": 0.2} | levels)), evidence=EVIDENCE)


def test_a_profile_survives_its_file(tmp_path: Path) -> None:
    profile.save(made(), tmp_path / "p.toml")
    assert profile.load(tmp_path / "p.toml") == made()
    assert [path.name for path in tmp_path.iterdir()] == ["p.toml"]


def test_its_levels_replace_those_of_the_settings_and_no_others(tmp_path: Path) -> None:
    profile.save(made(), tmp_path / "p.toml")
    settings = DetectionSettings(off_delay_s=5.0)
    with_it = profile.detection_for(settings, tmp_path / "p.toml", "default-1")
    assert with_it == settings.model_copy(update={"reference": 0.1, "on_s": 0.96, "off_s": 0.2})
    assert profile.detection_for(settings, None, "default-1") is settings


def test_a_profile_of_another_model_is_refused(tmp_path: Path) -> None:
    profile.save(made(), tmp_path / "p.toml")
    with pytest.raises(ConfigError, match=r"p\.toml was made for model 'default-1', but 'default-2' is loaded"):
        profile.detection_for(DetectionSettings(), tmp_path / "p.toml", "default-2")


def test_levels_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for levels, said in (({"on_s": 0.1}, "off_s"), ({"reference": 0.9}, r"detection\.reference")):
        profile.save(made(**levels), tmp_path / "p.toml")
        with pytest.raises(ConfigError, match=rf"p\.toml: .*{said}.*spillwatch calibrate"):
            profile.detection_for(DetectionSettings(), tmp_path / "p.toml", "default-1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detection\n", "not valid TOML"),
        ("[detection]\nreference = 0.0\n", r"detection\.on_s: Field required"),
        ('[detection]\nreference = "high"\non_s = 1\noff_s = 0.2\n', r"detection\.reference"),
    ],
)
def test_a_faulty_profile_gets_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        profile.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_profile_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        profile.load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be written"):
        profile.save(made(), tmp_path / "none" / "p.toml")
