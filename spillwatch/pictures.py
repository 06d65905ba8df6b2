"""Between planes and pictures: the one place where colour spaces are converted.

Crops go to the scorer straight from the planes; whole frames become BGR only for people to look at.
"""

from __future__ import annotations

import cv2
import numpy as np

from spillwatch.records import U8, Planes


def to_bgr(planes: Planes) -> U8:
    """(H, W, 3) uint8 BGR of a whole picture."""
    size = (planes.width, planes.height)
    chroma = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (planes.v, planes.u)]
    return ycrcb_to(cv2.COLOR_YCrCb2BGR, [planes.y, *chroma], full_range=planes.full_range)


def to_rgb(y: U8, u: U8, v: U8, *, full_range: bool) -> U8:
    """(H, W, 3) uint8 RGB of three (H, W) uint8 planes of equal size."""
    return ycrcb_to(cv2.COLOR_YCrCb2RGB, [y, v, u], full_range=full_range)


def ycrcb_to(code: int, planes: list[U8], *, full_range: bool) -> U8:
    """Y, Cr, Cb of equal size through one of OpenCV's conversions, which expect the full range."""
    if not full_range:
        y, cr, cb = planes
        planes = [cv2.LUT(y, _LUMA), cv2.LUT(cr, _CHROMA), cv2.LUT(cb, _CHROMA)]
    return np.asarray(cv2.cvtColor(cv2.merge(planes), code), np.uint8)


def from_bgr(bgr: U8) -> Planes:
    """Planes (BT.601, 16..235) of a (H, W, 3) uint8 BGR picture; an odd last row or column is dropped."""
    height, width = (side - side % 2 for side in bgr.shape[:2])
    i420 = cv2.cvtColor(bgr[:height, :width], cv2.COLOR_BGR2YUV_I420)
    flat = np.asarray(i420, np.uint8).reshape(-1)
    luma, quarter = height * width, height * width // 4
    return Planes(
        y=flat[:luma].reshape(height, width),
        u=flat[luma : luma + quarter].reshape(height // 2, width // 2),
        v=flat[luma + quarter :].reshape(height // 2, width // 2),
    )


_LEVELS = np.arange(256, dtype=np.float64)
_LUMA = np.clip(np.rint((_LEVELS - 16) * 255 / 219), 0, 255).astype(np.uint8)
_CHROMA = np.clip(np.rint((_LEVELS - 128) * 255 / 224 + 128), 0, 255).astype(np.uint8)
