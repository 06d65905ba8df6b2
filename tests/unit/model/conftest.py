"""One tiny trained model for all tests of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spillwatch.model import training
from tests.unit.model.crops import write_data, write_test

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.model.bundle import Bundle
    from spillwatch.model.training import TrainResult


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_data(tmp_path_factory.mktemp("wells"))
    write_test(folder)
    return folder


@pytest.fixture(scope="session", params=["default", "seed"])
def result(request: pytest.FixtureRequest, data: Path) -> TrainResult:
    return training.train(data, preset=request.param, seed=3)


@pytest.fixture(scope="session")
def bundle(result: TrainResult) -> Bundle:
    return result.bundle
