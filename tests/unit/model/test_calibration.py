from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from spillwatch.errors import ModelError
from spillwatch.model import calibration
from spillwatch.model.dataset import Labelled
from spillwatch.model.evaluation import evaluate, measure, wilson

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.model.bundle import Bundle


def test_the_tree_splits_halfway_between_separable_classes() -> None:
    normal, spill = np.float32([1, 2, 3]), np.float32([7, 8])
    assert calibration.tree_threshold(normal, spill) == pytest.approx(5)


def test_the_tree_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    normal, spill = rng.gamma(2, 1, 500).astype(np.float32), rng.gamma(6, 1, 80).astype(np.float32)
    found = calibration.tree_threshold(normal, spill)
    tree = DecisionTreeClassifier(max_depth=1).fit(np.r_[normal, spill][:, None], np.r_[np.zeros(500), np.ones(80)])
    assert found == pytest.approx(tree.tree_.threshold[0])


def test_classes_that_score_the_same_have_no_threshold() -> None:
    with pytest.raises(ModelError, match="no threshold exists"):
        calibration.tree_threshold(np.ones(4, np.float32), np.ones(3, np.float32))


def test_between_is_the_geometric_mean_of_the_inner_quantiles() -> None:
    normal, spill = np.full(10, 1e-3, np.float32), np.full(10, 1e-1, np.float32)
    assert calibration.between(normal, spill) == pytest.approx(1e-2)
    spread = np.geomspace(1e-4, 1e-2, 101).astype(np.float32)
    expected = math.sqrt(np.quantile(spread, 0.99) * 0.1)
    assert calibration.between(spread, spill) == pytest.approx(expected)


def test_quantiles() -> None:
    found = calibration.quantiles(np.arange(101, dtype=np.float32))
    assert found == pytest.approx({"0.01": 1, "0.05": 5, "0.25": 25, "0.5": 50, "0.75": 75, "0.95": 95, "0.99": 99})


def labelled(labels: list[int]) -> Labelled:
    crops = np.zeros((len(labels), 32, 32, 3), np.uint8)
    return Labelled(crops, np.array(labels, bool), "test", "digest", 0)


def test_rates_and_counts_by_hand(bundle: Bundle) -> None:
    scores = np.float32([1, 2, 3, 9, 4, 8, 5])
    labels = [0, 0, 0, 0, 1, 1, 1]
    found = measure(bundle, labelled(labels), scores, threshold=4.0)  # a score at the threshold is no alarm
    assert (found.n_normal, found.n_spill, found.missed, found.false_alarms) == (4, 3, 1, 1)
    assert (found.tpr, found.tnr) == (pytest.approx(2 / 3), pytest.approx(3 / 4))
    assert found.auroc == pytest.approx(9 / 12) == roc_auc_score(labels, scores)


def test_wilson_by_hand() -> None:
    z, n, p = 1.959964, 58, 57 / 58
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
    assert wilson(57, 58) == pytest.approx(expected, abs=1e-6)


def test_evaluation_as_json(bundle: Bundle, data: Path) -> None:
    found = json.loads(json.dumps(evaluate(bundle, data).as_json()))
    assert found["measured_on"] == "test"
    assert (found["n_normal"], found["n_spill"]) == (20, 6)
    assert (found["model"], found["preset"], found["threshold"]) == (bundle.name, bundle.preset, bundle.threshold)
    assert found["tpr_interval"][0] <= found["tpr"] <= found["tpr_interval"][1]
    assert found["tnr_interval"][0] <= found["tnr"] <= found["tnr_interval"][1]
    assert "scores" not in found
