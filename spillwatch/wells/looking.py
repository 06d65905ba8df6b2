"""A picture as a whole, from a sparse sample of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.records import Sight
from spillwatch.wells.veil import Veil

if TYPE_CHECKING:
    from spillwatch.records import U8, Frame, Wells

STEP = 8
"""Every eighth pixel of every eighth row: 36 000 of a 1920x1200 picture, in a tenth of a millisecond."""
VEIL_EVERY_S = 0.2
"""Looking for a veil costs as much again, and it does not come and go from frame to frame."""


class Looker:
    """Remembers the picture before, to tell how much has changed; ``reference`` as in Veil."""

    def __init__(self, wells: Wells, reference: U8 | None) -> None:
        self._before: U8 | None = None
        self._veil = Veil(wells, reference)
        self._veiled = 0.0
        self._veil_s = -np.inf

    def __call__(self, frame: Frame) -> Sight:
        """Measure a frame; a picture of another size counts as changed."""
        sample = np.ascontiguousarray(frame.planes.y[STEP // 2 :: STEP, STEP // 2 :: STEP])
        before, self._before = self._before, sample
        changed = 1.0
        if before is not None and before.shape == sample.shape:
            changed = float(np.count_nonzero(cv2.absdiff(sample, before) > 1)) / sample.size
        counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel()  # a third of bincount's time
        top = 255 if frame.planes.full_range else 235
        if not 0 <= frame.time_s - self._veil_s < VEIL_EVERY_S:
            self._veiled, self._veil_s = self._veil(frame.planes), frame.time_s
        return Sight(
            level=float(np.searchsorted(np.cumsum(counts), 0.9 * sample.size)),
            clipped=float(counts[top:].sum()) / sample.size,
            changed=changed,
            veiled=self._veiled,
        )
