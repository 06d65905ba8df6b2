from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from spillwatch.errors import ModelError, PublishError
from spillwatch.model import report, training
from spillwatch.model.evaluation import evaluate
from tests.unit.model.crops import write_data

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.model.training import TrainResult


def test_the_same_seed_gives_the_same_weights(result: TrainResult, data: Path) -> None:
    torch.rand(7)  # what the caller drew must not matter
    again = training.train(data, preset=result.bundle.preset, seed=3).bundle
    assert again.name == result.bundle.name
    assert again.threshold == result.bundle.threshold
    other = training.train(data, preset=result.bundle.preset, seed=4).bundle
    assert other.name != result.bundle.name


def test_training_leaves_the_callers_random_numbers_alone(data: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    training.train(data, preset="seed", seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_the_bundle_says_what_it_is(result: TrainResult) -> None:
    bundle = result.bundle
    assert bundle.name.startswith(f"{bundle.preset}-")
    assert bundle.threshold > 0
    assert {"0.01", "0.05", "0.5", "0.95", "0.99"} <= bundle.normal_quantiles.keys() == bundle.spill_quantiles.keys()
    assert (result.n_normal, result.n_spill, result.repeats, result.unreadable) == (60, 12, 0, 0)


def test_spills_score_higher_than_normal_wells(result: TrainResult, data: Path) -> None:
    assert np.median(result.spill_scores) > np.median(result.normal_scores)
    if result.bundle.preset == "default":
        assert evaluate(result.bundle, data).auroc > 0.9


def test_progress_is_told(data: Path) -> None:
    told: list[tuple[int, int]] = []
    training.train(data, preset="seed", seed=0, progress=lambda done, total, _: told.append((done, total)))
    assert told == [(epoch, 5) for epoch in range(1, 6)]


def test_an_unknown_preset_is_named(data: Path) -> None:
    with pytest.raises(ModelError, match="preset 'best' is unknown; choose one of default, seed"):
        training.train(data, preset="best", seed=0)


@pytest.mark.parametrize(("normal", "spill"), [(4, 12), (60, 4)])
def test_too_few_crops_are_refused(tmp_path: Path, normal: int, spill: int) -> None:
    write_data(tmp_path, normal=normal, spill=spill)
    with pytest.raises(ModelError, match=f"holds only {normal} normal and {spill} spill crops"):
        training.train(tmp_path, preset="seed", seed=0)


@pytest.mark.parametrize("preset", ["default", "seed"])
def test_five_of_each_are_enough(tmp_path: Path, preset: str) -> None:
    write_data(tmp_path, normal=5, spill=5)
    assert training.train(tmp_path, preset=preset, seed=0).bundle.threshold > 0


def test_reports_hold_everything_themselves(result: TrainResult, data: Path, tmp_path: Path) -> None:
    evaluation = evaluate(result.bundle, data)
    report.write_training_report(tmp_path / "a.html", result, None)
    report.write_training_report(tmp_path / "t.html", result, evaluation)
    report.write_evaluation_report(tmp_path / "e.html", result.bundle, evaluation)
    for name, figures in (("a", 3), ("t", 4), ("e", 2)):
        page = (tmp_path / f"{name}.html").read_text()
        assert page.count("<img") == page.count('src="data:image/svg+xml;base64,') == figures
        assert result.bundle.name in page
        assert "http" not in page.replace("http-equiv", "")
    with pytest.raises(PublishError, match="cannot be written"):
        report.write_training_report(tmp_path / "no" / "r.html", result, None)


def test_equal_results_are_equal_pages(result: TrainResult, tmp_path: Path) -> None:
    for name in ("1", "2"):
        report.write_training_report(tmp_path / name, result, None)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
