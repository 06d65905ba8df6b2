"""One tiny trained model for all tests of the room."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from spillwatch.model import training
from tests.unit.model.crops import write_data, write_test

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spillwatch.model.bundle import Bundle
    from spillwatch.model.training import TrainResult


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_data(tmp_path_factory.mktemp("wells"))
    write_test(folder)
    return folder


@pytest.fixture(scope="session")
def trained(data: Path) -> Callable[[str], TrainResult]:
    """By a preset; each is trained once, with seed 3."""
    return cache(lambda preset: training.train(data, preset=preset, seed=3))


@pytest.fixture(scope="session", params=["default", "seed"])
def result(request: pytest.FixtureRequest, trained: Callable[[str], TrainResult]) -> TrainResult:
    return trained(request.param)


@pytest.fixture(scope="session")
def bundle(result: TrainResult) -> Bundle:
    return result.bundle
