"""From scores to a threshold, and what is said about scores so that thresholds can be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from spillwatch.errors import ModelError

if TYPE_CHECKING:
    from spillwatch.records import F32

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def quantiles(scores: F32) -> dict[str, float]:
    """Quantiles of (crops,) scores by level, as they travel in a bundle."""
    values = np.quantile(scores.astype(np.float64), LEVELS)
    return {f"{level:g}": float(value) for level, value in zip(LEVELS, values, strict=True)}


def tree_threshold(normal: F32, spill: F32) -> float:
    """The split of a decision tree of depth 1 over both classes' scores: the seed document's rule."""
    scores = np.concatenate([normal, spill])
    labels = np.repeat([0, 1], [len(normal), len(spill)])
    tree = DecisionTreeClassifier(max_depth=1, random_state=0).fit(scores[:, None], labels).tree_
    if tree.node_count == 1:
        raise ModelError("no threshold exists: normal and spill crops score the same; check that the folders differ")
    return float(tree.threshold[0])


def between(normal: F32, spill: F32, *, normal_level: float = 0.99, spill_level: float = 0.01) -> float:
    """Halfway, in log score, between nearly the highest normal and nearly the lowest spill.

    Scores spread over decades and each class lies far from the other, so that a quantile of normals alone would sit at
    their edge, where the next camera's normals will be.
    """
    high = np.log(np.quantile(normal.astype(np.float64), normal_level))
    low = np.log(np.quantile(spill.astype(np.float64), spill_level))
    return float(np.exp((high + low) / 2))
