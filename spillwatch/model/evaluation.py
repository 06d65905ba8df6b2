"""How well a model tells spills from normal wells, on labelled crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, roc_auc_score

from spillwatch.model.dataset import load_labelled
from spillwatch.model.scoring import Scorer

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.model.bundle import Bundle
    from spillwatch.model.dataset import Labelled
    from spillwatch.records import F32, U8, Bools

CHUNK = 512  # crops scored at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Scores, labels and what follows from them. Intervals are Wilson's, 95 %.

    ``scores`` is (crops,) float32, ``spill`` (crops,) bool; an alarm is a score above ``threshold``. ``tpr`` is the
    share of spills found, ``tnr`` that of normal wells left alone.
    """

    model: str
    preset: str
    measured_on: str
    data_digest: str
    threshold: float
    auroc: float
    tpr: float
    tnr: float
    tpr_interval: tuple[float, float]
    tnr_interval: tuple[float, float]
    missed: int
    false_alarms: int
    n_normal: int
    n_spill: int
    unreadable: int
    scores: F32
    spill: Bools

    def as_json(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {key: value for key, value in vars(self).items() if key not in {"scores", "spill"}}


def evaluate(bundle: Bundle, data: Path, *, threshold: float | None = None) -> Evaluation:
    """Measure on ``data/test`` where it is there, else on all of its normal and spill crops."""
    crops = load_labelled(data, bundle.preprocessing)
    return measure(bundle, crops, score_all(Scorer(bundle, "cpu"), crops.crops), threshold=threshold)


def score_all(scorer: Scorer, crops: U8) -> F32:
    """(crops, size, size, 3) uint8 RGB → (crops,) float32, in pieces that fit any memory."""
    pieces = [scorer.score(crops[i : i + CHUNK].transpose(0, 3, 1, 2)) for i in range(0, len(crops), CHUNK)]
    return np.concatenate([*pieces, np.zeros(0, np.float32)])


def measure(bundle: Bundle, data: Labelled, scores: F32, *, threshold: float | None = None) -> Evaluation:
    """The figures that scores and labels give at a threshold, by default the model's own."""
    threshold = bundle.threshold if threshold is None else threshold
    table = confusion_matrix(data.spill, scores > threshold, labels=[False, True])
    (right_normal, false_alarms), (missed, found) = table.tolist()
    return Evaluation(
        model=bundle.name,
        preset=bundle.preset,
        measured_on=data.source,
        data_digest=data.digest,
        threshold=threshold,
        auroc=float(roc_auc_score(data.spill, scores)),
        tpr=found / (found + missed),
        tnr=right_normal / (right_normal + false_alarms),
        tpr_interval=wilson(found, found + missed),
        tnr_interval=wilson(right_normal, right_normal + false_alarms),
        missed=missed,
        false_alarms=false_alarms,
        n_normal=right_normal + false_alarms,
        n_spill=found + missed,
        unreadable=data.unreadable,
        scores=scores,
        spill=data.spill,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion, after Wilson (1927)."""
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
