"""How much of the table is seen through a veil: grease, fog, a cloth before the lens, a lens out of focus.

Detail is how much more a pixel differs from one a few pixels away than from its neighbour. Noise, which differs as much
from the one as from the other, cancels out (the nugget of a variogram: Matheron, "Principles of Geostatistics", 1963);
what remains is taken as a share of the brightness, so that light does not count either. It is compared with that of the
reference, part by part: steam and people hide some parts of a table, a veil most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F32, U8, Planes, Wells

FADED = 0.6
"""Of the reference's detail: below it a part is veiled. `python -m tools.bench_veil` shows where that is: between a
blur that costs a quarter of the spills and one that hides all."""
LEAST = 0.03
"""Detail below which a part shows nothing; a casting table has 0.1 and more everywhere."""

_PARTS = (6, 4)  # across, down
_SAMPLES = 16  # a part's side: 256 differences tell its detail within a tenth
_BLACK = 8.0  # grey levels above black, below which nothing is lit
_ROUNDING = 2.0  # squared grey levels, of four differences between whole numbers
_MIN_PARTS = 8  # fewer that show anything in the reference tell nothing


class Veil:
    """Compares pictures with the ``reference``, (H, W) uint8 luma of the full range; without it, with the first
    picture that shows something."""

    def __init__(self, wells: Wells, reference: U8 | None) -> None:
        self._centres, self._sizes = wells.centres, wells.sizes
        self._shape: tuple[int, int] | None = None
        self._usual: F32 | None = None
        if reference is not None:
            self._learn(reference, full_range=True)

    def __call__(self, planes: Planes) -> float:
        """The share of the table that is veiled, 0..1; 0 where it cannot be told."""
        if self._usual is None:
            self._learn(planes.y, full_range=planes.full_range)
        if self._usual is None:
            return 1.0
        if planes.y.shape != self._shape:  # nor is it aligned then
            return 0.0
        telling = self._usual >= LEAST
        if telling.sum() < _MIN_PARTS:
            return 0.0
        detail = self._detail(planes.y, full_range=planes.full_range)
        return float((detail < FADED * self._usual)[telling].mean())

    def _learn(self, luma: U8, *, full_range: bool) -> None:
        self._aim(luma)
        detail = self._detail(luma, full_range=full_range)
        if (detail >= LEAST).sum() >= _MIN_PARTS:
            self._shape, self._usual = luma.shape, detail

    def _aim(self, luma: U8) -> None:
        """Sample the table, which is the wells and a well's width around them, evenly."""
        self._far = max(2, round(float(np.median(self._sizes[:, 0])) / 8))  # the width of a rim
        room = np.array(luma.shape[::-1]) - self._far
        low = np.clip(self._centres.min(axis=0) - self._sizes.max(), 0, room - 1).astype(int)
        high = np.clip(self._centres.max(axis=0) + self._sizes.max(), low + 1, room).astype(int)
        steps = np.maximum((high - low) // (np.array(_PARTS) * _SAMPLES), 1)
        self._places = [(int(low[i]), int(high[i]), int(steps[i])) for i in (1, 0)]

    def _samples(self, luma: U8, *, down: int = 0, across: int = 0) -> F32:
        """(rows, columns) float32: the luma at so many pixels from the places that are looked at."""
        (top, bottom, tall), (left, right, wide) = self._places
        return luma[top + down : bottom + down : tall, left + across : right + across : wide].astype(np.float32)

    def _detail(self, luma: U8, *, full_range: bool) -> F32:
        """(parts,) float32, as a share of each part's brightness."""
        here = self._samples(luma)
        energy = np.zeros_like(here)
        for away, sign in ((self._far, 1), (1, -1)):
            energy += sign * np.square(here - self._samples(luma, across=away))
            energy += sign * np.square(here - self._samples(luma, down=away))
        per_part, light = (cv2.resize(plane, _PARTS, interpolation=cv2.INTER_AREA).ravel() for plane in (energy, here))
        light = np.maximum(light - (0 if full_range else 16), _BLACK)
        return np.asarray(np.sqrt(np.maximum(per_part - _ROUNDING, 0)) / light, np.float32)
