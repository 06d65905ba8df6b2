"""Two models over the same wells: which of them raises what, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from spillwatch.records import F32, Bools, View
    from spillwatch.watch.detection import SpillDetector

BINS = 80
"""Of score over threshold, by its logarithm, from ``LOW`` to ``HIGH``."""
LOW, HIGH = np.log(1e-4), np.log(1e4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One well from the first alarm of either model until both have none.

    ``live_s`` and ``candidate_s`` are when each raised it, on the camera's clock, None where it did not; ``at`` is when
    the first of them did. ``alarm`` is the real alarm's name, None where only the candidate would have raised one.
    Peaks are the highest scores, each in its own model's units.
    """

    well: str
    at: datetime
    live_s: float | None = None
    candidate_s: float | None = None
    alarm: str | None = None
    live_peak: float = 0.0
    candidate_peak: float = 0.0

    @property
    def kind(self) -> str:
        """``both``, ``live_only`` or ``candidate_only``."""
        if self.live_s is None:
            return "candidate_only"
        return "live_only" if self.candidate_s is None else "both"

    @property
    def delay_s(self) -> float | None:
        """How much later the candidate is; negative when it is the earlier."""
        return later_s(self.live_s, self.candidate_s)


def later_s(live_s: float | None, candidate_s: float | None) -> float | None:
    """How much later the candidate raised; None where one of the two did not."""
    return None if live_s is None or candidate_s is None else round(candidate_s - live_s, 3)


class Contest:
    """One camera's wells; the candidate's ``detector`` is its own, the live one's alarms are told of by ``raised``."""

    def __init__(self, wells: tuple[str, ...], detector: SpillDetector) -> None:
        self._wells = wells
        self._detector = detector
        self._cases: dict[str, Case] = {}
        self._unseen: list[Case] = []
        self._begun = False
        self.opened: list[Case] = []
        """Cases that began at the last step."""

    def lose_sight(self) -> None:
        """Nothing is seen until the next step."""
        self._detector.lose_sight()

    def raised(self, well: str, alarm: str, at: datetime, time_s: float) -> None:
        """The live model raised a spill."""
        case = self._cases.get(well)
        if case is None:
            case = Case(well=well, at=at)
            self._unseen.append(case)
        if case.live_s is None:
            case = replace(case, live_s=time_s, alarm=alarm)
        self._cases[well] = case

    def step(self, view: View, scores: F32, at: datetime) -> list[Case]:
        """The candidate's (wells,) scores, NaN where a well is not watched, to the cases that are over."""
        if not self._begun:  # what stands already is nobody's news
            self._begun = True
            told = [case.well for case in self._cases.values()]
            self._detector.resume(view.active & ~np.isin(self._wells, told))
        before = self._detector.active
        active = self._detector.step(view.time_s, scores, view.covered)
        self.opened = [self._cases[case.well] for case in self._unseen]
        self._unseen.clear()
        for i in np.flatnonzero(active & ~before):
            well = self._wells[i]
            if well not in self._cases:
                self._cases[well] = Case(well=well, at=at)
                self.opened.append(self._cases[well])
            if self._cases[well].candidate_s is None:
                self._cases[well] = replace(self._cases[well], candidate_s=view.time_s)
        return [self._cases.pop(well) for well in self._over(view, scores, active)]

    def close(self) -> list[Case]:
        """No more comes: every case is over."""
        cases = list(self._cases.values())
        self._cases.clear()
        self._unseen.clear()
        return cases

    def _over(self, view: View, scores: F32, active: Bools) -> list[str]:
        over = []
        for well, case in self._cases.items():
            i = self._wells.index(well)
            live = max(case.live_peak, float(np.nan_to_num(view.scores[i])))
            candidate = max(case.candidate_peak, float(np.nan_to_num(scores[i])))
            self._cases[well] = replace(case, live_peak=live, candidate_peak=candidate)
            if not (active[i] or view.active[i]):
                over.append(well)
        return over


class Scores:
    """How both models scored the same wells: a histogram of each, and how often they agree."""

    def __init__(self) -> None:
        self.histograms = np.zeros((2, BINS), np.int64)
        self.agreement = np.zeros((2, 2), np.int64)  # live above its threshold, candidate above its own

    @classmethod
    def of(cls, values: Any) -> Scores:
        """From what ``json`` gave; none of it where that cannot be."""
        new = cls()
        if isinstance(values, dict):
            histograms, agreement = np.array(values.get("histograms")), np.array(values.get("agreement"))
            if histograms.shape == new.histograms.shape and agreement.shape == (2, 2):
                new.histograms, new.agreement = histograms.astype(np.int64), agreement.astype(np.int64)
        return new

    def json(self) -> dict[str, Any]:
        return {"histograms": self.histograms.tolist(), "agreement": self.agreement.tolist()}

    def join(self, other: Scores) -> None:
        """Count what another counted."""
        self.histograms += other.histograms
        self.agreement += other.agreement

    def add(self, live: F32, candidate: F32, live_threshold: float, candidate_threshold: float) -> None:
        """(wells,) scores of one frame; NaN is left out."""
        known = ~(np.isnan(live) | np.isnan(candidate))
        logs = [np.log(live[known] / live_threshold), np.log(candidate[known] / candidate_threshold)]
        for row, values in enumerate(logs):
            places = ((values - LOW) * (BINS / (HIGH - LOW))).astype(np.intp).clip(0, BINS - 1)
            self.histograms[row] += np.bincount(places, minlength=BINS)
        self.agreement += np.bincount(2 * (logs[0] > 0) + (logs[1] > 0), minlength=4).reshape(2, 2)
