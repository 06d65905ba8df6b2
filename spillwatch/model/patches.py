"""The pyramid network on the CPU: matrix products of numpy, into buffers that stay.

Fresh memory for each layer of each frame costs more than the arithmetic: the system takes the pages back between
frames and hands them out again, zeroed, at every one. And what is not a matrix product costs nearly as much as what
is, so there is little of it. A layer's ReLU(p + b), p its products and b its bias, is max(p, -b) + b: here layers hand
on max(p, -b) alone, one pass instead of two, and what is lacking goes through the next layer's weights beforehand.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from spillwatch.model.architecture import LINEAR, NESTED, PATCH, PATCHES, SIDE, SPLIT, VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from spillwatch.records import F32, F64, U8

_ROWS = SIDE * SIDE // PATCH  # rows of a patch: what stays side by side in memory, whatever the order
_ORDER = np.arange(_ROWS).reshape(SPLIT[:-1]).transpose([axis - 1 for axis in NESTED[1:-1]]).ravel()
_BACK = np.argsort(_ORDER)


class PatchEngine:
    """Layers as in network.PyramidNetwork; ``state`` are its weights, in any precision."""

    def __init__(self, state: Mapping[str, npt.NDArray[np.floating]]) -> None:
        self._weights: list[F32] = []
        self._floors: list[F32 | None] = []  # (rows of a well, outputs) of each layer with ReLU: -b
        lacking: F64 = np.zeros((PATCHES, VALUES))
        for index in count():
            if f"layers.{index}.weight" not in state:
                break
            weight = state[f"layers.{index}.weight"].T.astype(np.float64)
            lacking = lacking.reshape(-1, len(weight)) @ weight + state[f"layers.{index}.bias"]
            self._weights.append(np.ascontiguousarray(weight, np.float32))
            self._floors.append(None if index in LINEAR else -lacking.astype(np.float32))
        self._lacking = lacking.astype(np.float32).ravel()
        self._wells = -1

    def score(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) uint8 RGB → (wells,) float32 mean squared errors."""
        wanted, painted = self._run(pixels)
        painted -= wanted
        return np.asarray(np.vecdot(painted, painted) * np.float32(1 / wanted.shape[1]), np.float32)

    def paint(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) float32 RGB, as repainted."""
        painted = self._run(pixels)[1].reshape(len(pixels), _ROWS, -1)
        return painted[:, _BACK].reshape(pixels.shape)

    def _run(self, pixels: U8) -> tuple[F32, F32]:
        """Wanted and painted pixels (wells, 3072) in nested order; both are overwritten by the next run."""
        wells = len(pixels)
        if wells != self._wells:
            self._reserve(wells)
        # One gather of whole rows of patches, then one conversion: twice as fast as both at once.
        np.take(pixels.reshape(wells * _ROWS, -1), self._order, axis=0, out=self._rows, mode="clip")
        np.multiply(self._rows.reshape(wells, -1), np.float32(1 / 255), out=self._wanted)
        values = self._wanted
        for weight, floor, out in zip(self._weights, self._wide_floors, self._buffers, strict=True):
            np.matmul(values.reshape(-1, len(weight)), weight, out=out)
            if floor is not None:
                np.maximum(out, floor, out=out)
            values = out
        painted = values.reshape(wells, -1)
        painted += self._lacking
        return self._wanted, painted

    def _reserve(self, wells: int) -> None:
        self._wells = wells
        self._order = (np.arange(wells)[:, None] * _ROWS + _ORDER).ravel()
        self._rows: U8 = np.empty((wells * _ROWS, PATCH * 3), np.uint8)
        self._wanted: F32 = np.empty((wells, PATCHES * VALUES), np.float32)
        # As large as what they are compared with: short rows would cost three times as much.
        self._wide_floors = [floor if floor is None else np.tile(floor, (wells, 1)) for floor in self._floors]
        self._buffers: list[F32] = []
        numbers = self._wanted.size
        for weight in self._weights:  # what one layer makes is the next one's input, cut into rows anew
            out = np.empty((numbers // len(weight), weight.shape[1]), np.float32)
            self._buffers.append(out)
            numbers = out.size
