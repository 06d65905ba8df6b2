"""The models on the real wells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spillwatch.model import bundle as bundles
from spillwatch.model.evaluation import evaluate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs_data


def test_the_bundled_model_tells_spills_from_normal_wells_of_another_cast(shared: Path) -> None:
    found = evaluate(bundles.load(bundles.default_path()), shared / "data" / "wells")
    assert (found.measured_on, found.n_normal, found.n_spill) == ("test", 1816, 58)
    assert found.auroc >= 0.998
    assert found.tpr >= 0.97
    assert found.tnr >= 0.98
