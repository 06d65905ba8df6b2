"""A camera's scores, gathered into minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spillwatch.records import MinuteScores

if TYPE_CHECKING:
    from datetime import datetime

    from spillwatch.records import F32


class Minute:
    """Peak and mean of the logarithm of each well's scores, from one ``take`` to the next."""

    def __init__(self, camera: str, wells: tuple[str, ...]) -> None:
        self.wells = wells
        self._camera = camera
        count = len(wells)
        self._peaks: F32 = np.full(count, np.nan, np.float32)
        self._sums, self._counts = np.zeros(count), np.zeros(count, np.int64)

    def add(self, scores: F32) -> None:
        """(wells,) float32 above 0, NaN where a well has none."""
        logs = np.log(scores)
        known = ~np.isnan(logs)
        self._peaks = np.fmax(self._peaks, logs)
        self._sums += np.where(known, logs, 0)
        self._counts += known

    def take(self, at: datetime) -> MinuteScores | None:
        """What there is since the last time, and begin anew; None when no well had a score."""
        if not self._counts.any():
            return None
        means = np.where(self._counts, self._sums / np.maximum(self._counts, 1), np.nan).astype(np.float32)
        minute = MinuteScores(camera=self._camera, at=at, wells=self.wells, peaks=self._peaks.copy(), means=means)
        self._peaks[:] = np.nan
        self._sums[:] = 0
        self._counts[:] = 0
        return minute
