"""Scores into spills: a one-sided CUSUM per well, as arrays over wells on the camera's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spillwatch.watch.baseline import Baseline

if TYPE_CHECKING:
    from spillwatch.records import F32, F64, Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreScale:
    """Three marks on the model's score: the median of normal wells, the threshold, the median of spills."""

    normal: float
    threshold: float
    spill: float

    def __post_init__(self) -> None:
        if not 0 < self.normal < self.threshold < self.spill:
            raise ValueError(
                f"the threshold {self.threshold:g} must lie between the median scores of normal wells "
                f"({self.normal:g}) and of spills ({self.spill:g})"
            )

    def strength(self, logs: F64) -> F64:
        """(wells,) natural logarithms of scores as strengths: -1 a typical normal well, 0 the threshold, +1 a typical
        spill, linear between.

        Strengths are limited to -1..+1, so that one wild score, a glove or a flash, is worth no more than one frame
        of a typical spill.
        """
        marks = np.log([self.normal, self.threshold, self.spill])
        return np.asarray(np.interp(logs, marks, [-1.0, 0.0, 1.0]), np.float64)


class SpillDetector:
    """Page's one-sided CUSUM (Biometrika 41, 1954) in seconds; its reference value is the threshold, 0, by default.

    Evidence grows by (strength - reference) times elapsed time and never falls below zero: at reference 0 a typical
    spill raises after ``on_s`` seconds at any frame rate, and a disturbance shorter than that never does. A well
    returns to normal once its evidence has been at ``off_s`` or less for ``off_delay_s`` seconds of picture. Evidence
    is capped at twice ``on_s``, so that a long spill ends as promptly as a short one.
    """

    def __init__(
        self,
        wells: int,
        scale: ScoreScale,
        *,
        on_s: float,
        off_s: float,
        off_delay_s: float,
        max_step_s: float,
        reference: float = 0.0,
    ) -> None:
        self._scale = scale
        self._baseline = Baseline(wells, normal=scale.normal, threshold=scale.threshold)
        self._on_s = on_s
        self._off_s = off_s
        self._off_delay_s = off_delay_s
        self._max_step_s = max_step_s
        self._reference = reference
        self._last_s: float | None = None
        self._low_for_s = np.zeros(wells)
        self.strength: F64 = np.full(wells, np.nan)
        """(wells,) of the last frame, -1..+1; NaN where a well was not seen."""
        self.evidence: F64 = np.zeros(wells)
        self.active: Bools = np.zeros(wells, np.bool_)

    @property
    def threshold(self) -> float:
        """The model's threshold: the score of strength 0."""
        return self._scale.threshold

    @property
    def common(self) -> bool:
        """Something lifts many wells at once; what they share is taken off before evidence is gathered."""
        return self._baseline.common

    def resume(self, active: Bools) -> None:
        """(wells,) that were active before a restart: they stay so, unless they look normal for the off-delay."""
        self.active = active.copy()

    def lose_sight(self, until_s: float | None = None) -> None:
        """Nothing is seen until then (None: until the next step): a picture alone says nothing of the time before."""
        self._last_s = until_s

    def step(self, time_s: float, scores: F32, covered: Bools | None = None) -> Bools:
        """(wells,) scores at a time, NaN where a well is not watched, to (wells,) active.

        Evidence of an unwatched well is nil; that of a ``covered`` one waits until it is seen again.
        """
        elapsed_s = 0.0 if self._last_s is None else min(max(time_s - self._last_s, 0.0), self._max_step_s)
        self._last_s = time_s
        watched = ~np.isnan(scores)
        seen = watched if covered is None else watched & ~covered
        logs = np.log(np.where(watched, np.maximum(scores, 1e-12), self._scale.normal), dtype=np.float64)
        alone = self._baseline.step(time_s, logs, counted=seen & ~self.active)
        self.strength = np.where(seen, self._scale.strength(alone), np.nan)
        gain = np.where(seen, self.strength - self._reference, 0.0)
        grown = np.clip(self.evidence + gain * elapsed_s, 0.0, 2 * self._on_s)
        self.evidence = np.where(watched, grown, 0.0)
        low = seen & (self.evidence <= self._off_s)
        self._low_for_s = np.where(low, self._low_for_s + elapsed_s, np.where(seen, 0.0, self._low_for_s))
        held = self.active & (self._low_for_s < self._off_delay_s)
        self.active = ((self.evidence >= self._on_s) | held) & watched
        usual = seen & (self.strength < 0) & (self.evidence == 0) & ~self.active
        self._baseline.learn(elapsed_s, logs, usual=usual)
        return self.active
