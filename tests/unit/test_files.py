"""docs/files.md shows files that are read, and every key of those that are written."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from spillwatch import truth
from spillwatch.model.evaluation import Evaluation
from spillwatch.wells import wellmap

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.fixture(name="shown")
def _shown() -> dict[str, str]:
    """The block of code under each heading."""
    parts = re.findall(r"^## (.+?)$.*?^```\w*\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return {heading.partition(":")[0]: block for heading, block in parts}


def test_files_are_read_and_scored_as_shown(shown: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(shown["Wells"], encoding="utf-8")
    (tmp_path / "t.json").write_text(shown["Truth of a clip"], encoding="utf-8")
    wells = wellmap.load(tmp_path / "w.toml")
    assert truth.wells_of_truth(tmp_path / "t.json").ids == wells.ids == ("3L4",)

    extent = truth.Extent(frames=500, seconds=40.0, wells=wells)
    score = truth.score_raised([("3L4", 20.88)], truth.load(tmp_path / "t.json"), extent)
    assert {**score, "well_hours": 0.92} == json.loads(shown["Score of a clip"])


def test_figures_of_a_model_have_the_keys_shown(shown: dict[str, str]) -> None:
    arrays = {"scores", "spill"}
    written = [field.name for field in dataclasses.fields(Evaluation) if field.name not in arrays]
    assert sorted(json.loads(shown["Figures of a model"])) == sorted(written)
