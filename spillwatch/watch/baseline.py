"""What is usual for each well, and what befalls all of them at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F64, Bools

MEMORY_S = 60.0
"""Time constant with which a well's usual score is followed: dross and daylight change in minutes."""
BOUND = 1.5
"""A well's usual score may lie this far (natural logarithm, a factor of 4.5) above the model's normal median, and no
further is it excused: what comes slowly enough must not become usual without limit."""
SHARE = 0.2
"""What lifts this share of the wells at the same moment has a common cause: light, dust, a shake."""
LEAST = 4
"""... and at least so many wells, since two or three may well spill together."""
NOISE = 0.7
"""The lift that the most lifted fifth of wells shows on a quiet line (natural logarithm); what exceeds it is common."""
HARMLESS, HARMFUL = 0.25, 0.5
"""... of the way from normal to the threshold: a common lift that ends below the first is nobody's alarm, and taking it
off would only hide weak spills; one that ends above the second is taken off in full."""
COMMON_ON, COMMON_OFF = 1.2, 0.6
"""The common lift beyond noise (a factor of 3.3, and 1.8) at which it is a condition of its own, and ends."""
COMMON_DELAY_S = 0.5
"""... once it has lasted for so long: people who pass lift a row for a moment."""


class Baseline:
    """Takes from each well's log score what is usual for it and what is common to all; arrays over wells."""

    def __init__(self, wells: int, *, normal: float, threshold: float) -> None:
        self._normal = math.log(normal)
        self._room = math.log(threshold) - self._normal
        self._excess: F64 = np.zeros(wells)
        self._last_s: float | None = None
        self._common_for_s = 0.0
        self.common = False

    def step(self, time_s: float, logs: F64, *, counted: Bools) -> F64:
        """(wells,) log scores to (wells,) log scores of wells as they would be alone on a usual day.

        ``counted`` (wells,) marks the wells that may tell what is common: watched, uncovered and not in alarm, so
        that a first spill never excuses the second.
        """
        elapsed_s = 0.0 if self._last_s is None else min(max(time_s - self._last_s, 0.0), 1.0)
        self._last_s = time_s
        excused = logs - self._excess
        lift = self._common_lift(excused[counted] - self._normal)
        self._judge(lift, elapsed_s)
        harm = ((lift + NOISE) / self._room - HARMLESS) / (HARMFUL - HARMLESS)
        return np.asarray(excused - lift * min(max(harm, 0.0), 1.0), np.float64)

    def learn(self, elapsed_s: float, logs: F64, *, usual: Bools) -> None:
        """Follow the wells that are judged usual, within bounds; never one that is not."""
        wanted = np.clip(logs - self._normal, 0.0, BOUND)
        share = np.where(usual, -math.expm1(-elapsed_s / MEMORY_S), 0.0)
        self._excess += share * (wanted - self._excess)

    def _common_lift(self, lifts: F64) -> float:
        least = max(LEAST, math.ceil(SHARE * len(lifts)))
        if len(lifts) < 2 * least:
            return 0.0  # too few wells to tell a cause in common from several spills
        shared = float(np.partition(lifts, len(lifts) - least)[len(lifts) - least])
        return max(shared - NOISE, 0.0)

    def _judge(self, lift: float, elapsed_s: float) -> None:
        lifted = lift > (COMMON_OFF if self.common else COMMON_ON)
        self._common_for_s = self._common_for_s + elapsed_s if lifted else 0.0
        self.common = lifted and (self.common or self._common_for_s >= COMMON_DELAY_S)
