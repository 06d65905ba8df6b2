"""The plate around each well, sampled once per frame for all wells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F32, Bools, Frame, Wells

SAMPLES = 24
RADII = (1.25, 1.45)
"""Of the oval's own: beyond its rim and the splashes on it, nearer than the next row."""


class Surround:
    """Rings of samples; ``apart`` (wells, samples) marks those that fall into no other well's oval."""

    def __init__(self, wells: Wells) -> None:
        angles = np.arange(SAMPLES) * (2 * np.pi / SAMPLES)
        radii = np.resize(RADII, SAMPLES)
        circle = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self._points = wells.centres[:, None] + circle[None] * wells.sizes[:, None] / 2  # (wells, samples, 2)
        away = (self._points[:, :, None] - wells.centres[None, None]) / (wells.sizes / 2)
        self.apart: Bools = (np.square(away).sum(axis=3) > 1.1**2).all(axis=2)

    def __call__(self, frame: Frame, shift: tuple[float, float] = (0.0, 0.0)) -> F32:
        """(3, wells, samples) float32 luma, Cb, Cr, 0..255; beyond the frame its edge is repeated."""
        points = (self._points + shift - 0.5).astype(np.float32)
        half = (points - 0.5) / 2
        planes = frame.planes
        sampled = [
            cv2.remap(plane, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for plane, at in ((planes.y, points), (planes.u, half), (planes.v, half))
        ]
        return np.stack(sampled).astype(np.float32)
