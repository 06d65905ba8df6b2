"""A spill painted into a frame, for the self-test: a well run empty, a smooth grey-blue oval."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F64, U8, Frame, Wells

REACH = 0.9
"""Of the oval is painted over; its rim stays the well's own."""
BLUE, RED = 14.0, -10.0
"""Cb and Cr of an empty well, from grey."""
SLOPE = 0.05
"""Share by which it grows darker from the middle downwards, as a hollow does."""


class Painter:
    """Paints into a copy: the frame that is handed in stays as the camera gave it."""

    def __init__(self, wells: Wells) -> None:
        self._wells = wells

    def __call__(self, frame: Frame, well: int, shift: tuple[float, float] = (0.0, 0.0)) -> Frame:
        """The frame with a spill in the well of this row, all wells being moved by ``shift`` pixels (x, y).

        It is as bright as the well was, so that it is no more conspicuous than a real one.
        """
        centre, half = self._wells.centres[well] + shift, self._wells.sizes[well] / 2
        planes = frame.planes
        y = _filled(planes.y, centre, half, slope=SLOPE)
        u = _filled(planes.u, centre / 2, half / 2, level=128 + BLUE)
        v = _filled(planes.v, centre / 2, half / 2, level=128 + RED)
        return replace(frame, planes=replace(planes, y=y, u=u, v=v))


def _filled(plane: U8, centre: F64, half: F64, *, level: float | None = None, slope: float = 0.0) -> U8:
    """A copy of a plane whose oval is smooth: at a level, or at that of what it covers."""
    painted = plane.copy()
    left, top = np.maximum(np.floor(centre - half), 0).astype(int)
    right, bottom = np.ceil(centre + half).astype(int)
    patch = painted[top:bottom, left:right]
    rows, columns = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]] + 0.5
    across, down = (columns - centre[0]) / half[0], (rows - centre[1]) / half[1]
    cover = np.clip((1 - np.hypot(across, down) / REACH) * half.min() + 0.5, 0, 1)
    fill = (patch.mean() if level is None else level) * (1 - slope * down)
    patch[:] = np.rint(patch + cover * (np.clip(fill, 0, 255) - patch)).astype(np.uint8)
    return painted
