"""Between planes and pictures: the one place where colour spaces are converted.

Crops go to the scorer straight from the planes; whole frames become BGR only for people to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch import inputs
from spillwatch.records import U8, Planes

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.errors import SpillwatchError


MOST_BYTES = 64 * inputs.MIB
"""Of an image file."""


def read(path: Path, *, what: str, error: type[SpillwatchError]) -> U8 | None:
    """(H, W, 3) uint8 BGR of an image file; None when it is no image, or a larger one than 64 megapixels.

    Raises ``error`` when it is no regular file or larger than ``MOST_BYTES``, and OSError when it cannot be read.
    """
    content = inputs.read(path, what=what, error=error, most=MOST_BYTES, trusted=False)
    try:
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    except cv2.error:  # beyond OPENCV_IO_MAX_IMAGE_PIXELS
        return None
    return None if bgr is None else np.asarray(bgr, np.uint8)


def to_bgr(planes: Planes) -> U8:
    """(H, W, 3) uint8 BGR of a whole picture."""
    size = (planes.width, planes.height)
    v, u = (np.asarray(cv2.resize(plane, size), np.uint8) for plane in (planes.v, planes.u))
    return _convert(cv2.COLOR_YCrCb2BGR, planes.y, v, u, full_range=planes.full_range)


def to_rgb(y: U8, u: U8, v: U8, *, full_range: bool) -> U8:
    """(H, W, 3) uint8 RGB of three (H, W) uint8 planes of equal size."""
    return _convert(cv2.COLOR_YCrCb2RGB, y, v, u, full_range=full_range)


def _convert(code: int, y: U8, cr: U8, cb: U8, *, full_range: bool) -> U8:
    """Planes of equal size through one of OpenCV's conversions, which expect the full range."""
    merged = cv2.merge([y, cr, cb])
    if not full_range:
        merged = cv2.transform(merged, _STRETCH)
    return np.asarray(cv2.cvtColor(merged, code), np.uint8)


def from_bgr(bgr: U8) -> Planes:
    """Planes (full range) of a (H, W, 3) uint8 BGR picture; an odd last row or column is dropped.

    Chroma is the mean of 2x2 pixels, as decoders have it; OpenCV's own I420 conversion takes one pixel of the four.
    """
    height, width = (side - side % 2 for side in bgr.shape[:2])
    y, cr, cb = cv2.split(cv2.cvtColor(bgr[:height, :width], cv2.COLOR_BGR2YCrCb))
    half = (width // 2, height // 2)
    u, v = (np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8) for plane in (cb, cr))
    return Planes(y=np.asarray(y, np.uint8), u=u, v=v, full_range=True)


# 16..235 and 16..240 to 0..255, three channels at once; a table for each costs twice as much.
_LUMA, _CHROMA = 255 / 219, 255 / 224
_STRETCH = np.array(
    [[_LUMA, 0, 0, -16 * _LUMA], [0, _CHROMA, 0, 128 - 128 * _CHROMA], [0, 0, _CHROMA, 128 - 128 * _CHROMA]],
    np.float32,
)
