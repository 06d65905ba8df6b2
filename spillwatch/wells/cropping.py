"""All wells of a frame as one batch: one remap per plane, straight from the decoder's planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.errors import WellsError
from spillwatch.pictures import to_rgb
from spillwatch.wells.wellmap import check_fits

if TYPE_CHECKING:
    from spillwatch.records import F32, F64, U8, Bools, Frame, Planes, Preprocessing, Wells

OVERHANG = 0.05  # of a well's size that may hang over the frame's edge when the camera shakes: a pixel or two


class Cropper:
    """Cuts every well out of a frame as the model's preprocessing wants it.

    A well's box is resized to (height, width), blurred, and its middle square kept, all in one sampling map: the
    pixels around the square that the blur needs are sampled too and cut off again, mirrored at the box's edge as
    ``cv2.GaussianBlur`` mirrors them, so that a crop equals the one that training made of the same box. Where the
    square is as high as the box, the strip's own edge is the box's, and the blur itself mirrors.
    """

    def __init__(self, wells: Wells, preprocessing: Preprocessing) -> None:
        self._wells = wells
        self._how = preprocessing
        self._blurs = preprocessing.blur_sigma > 0
        reach = preprocessing.blur_kernel // 2 if self._blurs else 0
        # Wells stand side by side, so that across a margin is always needed, or one would bleed into the next.
        self._margins = (0 if preprocessing.height == preprocessing.size else reach, reach)  # down, across
        self._size: tuple[int, int] | None = None
        self._luma: _Maps
        self._chroma: _Maps

    def __call__(self, frame: Frame, shift: tuple[float, float] = (0.0, 0.0)) -> U8:
        """(wells, 3, size, size) uint8 RGB, laid out in memory as (wells, size, size, 3).

        ``shift`` is how far the table has moved in this frame, x and y in pixels. Raises WellsError when the frame
        does not hold all wells.
        """
        planes = frame.planes
        if self._size != (planes.width, planes.height):
            self._aim(planes)
        if shift != (0.0, 0.0) and not held(self._wells, shift, width=planes.width, height=planes.height).all():
            raise WellsError(
                f"the camera has moved by {shift[0]:.0f}, {shift[1]:.0f} px and no longer sees all wells; turn it back"
            )
        luma = self._luma.moved(*shift)
        chroma = self._chroma.moved(shift[0] / 2, shift[1] / 2)
        y, u, v = _sample(planes.y, luma), _sample(planes.u, chroma), _sample(planes.v, chroma)
        strip = to_rgb(y, u, v, full_range=planes.full_range)
        if self._blurs:
            kernel = (self._how.blur_kernel, self._how.blur_kernel)
            strip = np.asarray(cv2.GaussianBlur(strip, kernel, self._how.blur_sigma), np.uint8)
        wide = strip.reshape(len(strip), len(self._wells), -1, 3)
        down, across = (slice(margin, margin + self._how.size) for margin in self._margins)
        return np.ascontiguousarray(wide[down, :, across].transpose(1, 0, 2, 3)).transpose(0, 3, 1, 2)

    def _aim(self, planes: Planes) -> None:
        check_fits(self._wells, width=planes.width, height=planes.height)
        x, y = sampling(self._wells, self._how, self._margins)
        self._luma = _Maps(x, y)
        half = np.float32(0.5)  # a chroma sample stands in the middle of 2x2 luma samples
        self._chroma = _Maps((x - half) * half, (y - half) * half)
        self._size = (planes.width, planes.height)


def held(wells: Wells, shift: tuple[float, float], *, width: int, height: int) -> Bools:
    """(wells,) bool: whether a well, so many pixels away from its place, is still in the frame."""
    half = wells.sizes * (0.5 - OVERHANG)
    centres = wells.centres + np.array(shift)
    return np.asarray(((centres >= half) & (centres + half <= (width, height))).all(axis=1), np.bool_)


class _Maps:
    """Where to sample. Plain floats: a sum is cheap, and OpenCV 5 samples by them faster than by fixed-point maps."""

    def __init__(self, x: F32, y: F32) -> None:
        self._still = np.stack([x, y])
        self._moved = np.empty_like(self._still)

    def moved(self, dx: float, dy: float) -> F32:
        """(2, rows, columns) float32 x and y, overwritten by the next."""
        return np.add(self._still, np.array([dx, dy], np.float32)[:, None, None], out=self._moved)


def _sample(plane: U8, maps: F32) -> U8:
    return np.asarray(cv2.remap(plane, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def sampling(wells: Wells, how: Preprocessing, margins: tuple[int, int]) -> tuple[F32, F32]:
    """Where to sample, in pixels of the frame: x and y, both (size + 2 down, wells * (size + 2 across)) float32.

    ``margins`` are down and across. The wells stand side by side in one wide strip, on whose long rows OpenCV's
    filters run fastest.
    """
    down = _offsets(how.size, how.height, margins[0])
    across = _offsets(how.size, how.width, margins[1])
    x = wells.centres[:, 0, None] + across * wells.sizes[:, 0, None]  # (wells, columns)
    y = wells.centres[:, 1, None] + down * wells.sizes[:, 1, None]  # (wells, rows)
    shape = (len(down), len(wells), len(across))
    # A pixel's centre is at a whole number; a box of width w round c covers c - w/2 .. c + w/2.
    xs = np.broadcast_to(x[None, :, :], shape).reshape(len(down), -1) - 0.5
    ys = np.broadcast_to(y.T[:, :, None], shape).reshape(len(down), -1) - 0.5
    return xs.astype(np.float32), ys.astype(np.float32)


def _offsets(size: int, full: int, margin: int) -> F64:
    """Positions of samples across a box, as fractions of it from its centre, mirrored beyond its edges."""
    index = np.arange(-margin, size + margin) + (full - size) // 2
    index = np.abs(index)
    index = (full - 1) - np.abs((full - 1) - index)
    return np.asarray((index + 0.5) / full - 0.5, np.float64)
