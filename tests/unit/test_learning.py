"""`train` and `evaluate` as a user meets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import safetensors
import safetensors.torch

from spillwatch.model import bundle as bundles
from tests.unit.model.crops import write_data, write_test
from tests.unit.test_cli import fails, spillwatch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = write_data(tmp_path / "wells")
    write_test(folder)
    return folder


def test_train_writes_a_model_and_a_report_and_evaluate_measures_it(data: Path, tmp_path: Path) -> None:
    model, report, figures = tmp_path / "m.safetensors", tmp_path / "r.html", tmp_path / "e.json"
    result = spillwatch("train", "--data", data, "--model", model, "--preset", "seed", "--seed", 1, "--report", report)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "AUROC" in result.stderr
    assert "http" not in report.read_text().replace("http://www.w3.org", "")
    result = spillwatch("evaluate", "--model", model, "--data", data, "--json", figures, "--report", report)
    assert result.exit_code == 0, result.output
    measured = json.loads(figures.read_text())
    wanted = {"auroc", "tpr", "tnr", "threshold", "n_normal", "n_spill", "tpr_interval", "tnr_interval"}
    assert wanted <= measured.keys()
    assert (measured["n_normal"], measured["n_spill"]) == (20, 6)
    on_stdout = spillwatch("evaluate", "--model", model, "--data", data)
    assert json.loads(on_stdout.stdout) == measured


def test_the_same_seed_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        result = spillwatch("train", "--data", data, "--model", tmp_path / name, "--preset", "seed", "--seed", 5)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_corrupt_jpeg_is_named_skipped_and_counted(data: Path, tmp_path: Path) -> None:
    (data / "train" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    words = ["--data", data, "--model", tmp_path / "m.safetensors", "--preset", "seed"]
    result = spillwatch("train", *words)
    assert result.exit_code == 0, result.output
    assert "broken.jpg" in result.stderr
    assert "unreadable" in result.stderr


def test_an_empty_training_folder(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "proliv").mkdir()
    assert str(tmp_path) in fails("train", "--data", tmp_path, "--model", tmp_path / "m.safetensors")


def test_a_model_of_another_version(data: Path, tmp_path: Path) -> None:
    with safetensors.safe_open(bundles.default_path(), "pt") as file:
        metadata = {key: value.replace('"version": 1', '"version": 99') for key, value in file.metadata().items()}
        metadata = {key: "99" if key == "version" else value for key, value in metadata.items()}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    safetensors.torch.save_file(tensors, tmp_path / "m.safetensors", metadata)
    sentence = fails("evaluate", "--model", tmp_path / "m.safetensors", "--data", data)
    assert "99" in sentence
    assert "m.safetensors" in sentence
