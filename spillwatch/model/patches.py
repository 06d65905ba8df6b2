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

BLOCK = 28
"""Wells at a time: what they need stays in a core's own cache, and 84 are three times as many."""


class PatchEngine:
    """Layers as in network.PyramidNetwork; ``state`` are its weights, in any precision."""

    def __init__(self, state: Mapping[str, npt.NDArray[np.floating]]) -> None:
        self._weights: list[F32] = []
        self._buffers: list[F32] = []
        # -b of each layer with ReLU, for every row: one short row costs thrice that
        self._floors: list[F32 | None] = []
        lacking: F64 = np.zeros((PATCHES, VALUES))
        for index in count():
            if f"layers.{index}.weight" not in state:
                break
            weight = state[f"layers.{index}.weight"].T.astype(np.float64)
            lacking = lacking.reshape(-1, len(weight)) @ weight + state[f"layers.{index}.bias"]
            self._weights.append(np.ascontiguousarray(weight, np.float32))
            floor = np.tile(-lacking.astype(np.float32), (BLOCK, 1))
            self._floors.append(None if index in LINEAR else floor)
            self._buffers.append(np.empty_like(floor))
        self._lacking = lacking.astype(np.float32).ravel()
        self._order = (np.arange(BLOCK)[:, None] * _ROWS + _ORDER).ravel()
        self._rows: U8 = np.empty((BLOCK * _ROWS, PATCH * 3), np.uint8)
        self._wanted: F32 = np.empty((BLOCK, PATCHES * VALUES), np.float32)

    def score(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) uint8 RGB → (wells,) float32 mean squared errors."""
        scores = np.empty(len(pixels), np.float32)
        for block in _blocks(len(pixels)):
            wanted, painted = self._run(pixels[block])
            painted -= wanted
            np.vecdot(painted, painted, out=scores[block])
        return scores / np.float32(PATCHES * VALUES)

    def paint(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) float32 RGB, as repainted."""
        painted = [self._run(pixels[block])[1].copy() for block in _blocks(len(pixels))]
        rows = np.concatenate(painted).reshape(len(pixels), _ROWS, -1)
        return rows[:, _BACK].reshape(pixels.shape)

    def _run(self, pixels: U8) -> tuple[F32, F32]:
        """Wanted and painted pixels (wells, 3072) in nested order; both are overwritten by the next run."""
        wells = len(pixels)
        patches, wanted = self._rows[: wells * _ROWS], self._wanted[:wells]
        # One gather of whole rows of patches, then one conversion: twice as fast as both at once.
        np.take(pixels.reshape(wells * _ROWS, -1), self._order[: wells * _ROWS], axis=0, out=patches, mode="clip")
        np.multiply(patches.reshape(wells, -1), np.float32(1 / 255), out=wanted)
        values = wanted
        for weight, floor, buffer in zip(self._weights, self._floors, self._buffers, strict=True):
            rows = values.reshape(-1, len(weight))
            values = np.matmul(rows, weight, out=buffer[: len(rows)])
            if floor is not None:
                np.maximum(values, floor[: len(rows)], out=values)
        painted = values.reshape(wells, -1)
        painted += self._lacking
        return wanted, painted


def _blocks(wells: int) -> list[slice]:
    return [slice(low, low + BLOCK) for low in range(0, wells, BLOCK)]
