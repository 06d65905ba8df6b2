"""Where the table is in each frame: how far the camera has moved since the reference picture was taken.

Small patches of the reference are tracked by Lucas-Kanade steps whose matrices are computed beforehand (inverse
compositional: Baker & Matthews, "Lucas-Kanade 20 Years On", IJCV 2004), on the luma plane shrunk to about 960 pixels
across. The patches vote: what a person, a spill or steam hides is outvoted. When too few agree, the whole table is
looked for by normalised cross-correlation (Lewis, "Fast Normalized Cross-Correlation", 1995), and what is found is
believed only if the patches agree there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from spillwatch.errors import WellsError
from spillwatch.records import Alignment
from spillwatch.wells.cropping import held
from spillwatch.wells.wellmap import check_fits

if TYPE_CHECKING:
    from spillwatch.records import F32, F64, U8, Bools, Frame, Wells

I64 = npt.NDArray[np.int64]
C128 = npt.NDArray[np.complex128]

WORKING_WIDTH = 960  # frames are shrunk to about this by a whole number: half the noise, twice the capture range
FOLLOWED = 0.055  # of the frame's width: moves of 5 % are followed, and vibration on top of them
SEARCHED = 0.065  # of the frame's width: somewhat more, so that a move too far is seen to be too far
SEARCH_EVERY_S = 0.15  # a search costs several trackings: at 5 frames per second one in each, at 25 in every fourth
TRUSTED = 0.5  # share of the votes; the real table, taken for itself one pitch away, has 0.35
DOUBTED = 0.7  # share of the votes below which the table is looked for elsewhere; people leave 0.85 or more
MAX_STRAIN_PX = 2.5  # a well may lie so far off, by turn or zoom, which the shift leaves out; 3 px harm a crop

_PATCH = 20  # working pixels: about a well's width at 1920
_CELLS = 56  # the plate is divided into about so many, of which each gives its best patch
_ENOUGH = 12  # patches: fewer cannot outvote anything
_ALIKE = 0.75  # zero-mean normalised correlation at which a patch is recognised; other places reach it too at 0.6
_MIN_CONTRAST = 1.5  # grey levels: standard deviation of a patch; below it coding and rounding are all there is
_MIN_CORNER = 800.0  # squared grey levels: smaller eigenvalue of a patch's gradients; noise alone has half of it
_NECK = 2.4  # heights of a well: what moves around it, above or below
_NEAR = 0.6  # working pixels: patches that agree with the table's motion to this vote for it
_CAPTURED = 2.5  # working pixels: beyond it a Lucas-Kanade step means nothing
_EXACT = 0.5  # working pixels: a step no longer than this need not be repeated
_COMPLEX = np.array([1, 1j])  # x, y to x + iy
_STEPS = 4  # one does for vibration; a knock of a few pixels takes more


class Registrar:
    """Aligns frames to the ``reference``, (H, W) uint8 luma; without it, to the first frame with enough to see.

    Raises WellsError when the reference does not hold the wells, or shows nothing to hold on to.
    """

    def __init__(self, wells: Wells, reference: U8 | None) -> None:
        self._wells = wells
        self._table = None if reference is None else _Table(wells, reference)
        self._shift: F64 = np.zeros(2)  # x, y in pixels of the frame
        self._searched_s = -np.inf

    def __call__(self, frame: Frame) -> Alignment:
        """Where the table is in this frame."""
        luma = frame.planes.y
        if self._table is None:
            return self._learn(luma)
        if luma.shape != self._table.shape:
            return replace(self._answer(trusted=False, response=0.0), reason=_resized(luma.shape, self._table.shape))
        picture = self._table.shrink(luma)
        found = self._table.track(picture, self._shift)
        if found.votes < DOUBTED and frame.time_s - self._searched_s >= SEARCH_EVERY_S:
            self._searched_s = frame.time_s
            elsewhere = self._table.track(picture, self._table.search(picture))
            found = max(found, elsewhere, key=lambda match: match.votes)
        trusted = found.votes >= TRUSTED and found.strain_px <= MAX_STRAIN_PX and self._can_follow(found.shift, luma)
        if trusted:
            self._shift = found.shift
        return self._answer(trusted=trusted, response=found.votes)

    def _learn(self, luma: U8) -> Alignment:
        check_fits(self._wells, width=luma.shape[1], height=luma.shape[0])
        try:
            self._table = _Table(self._wells, luma)
        except WellsError:  # dark or washed out: the next frame may do
            return self._answer(trusted=False, response=0.0)
        return self._answer(trusted=True, response=1.0)

    def _can_follow(self, shift: F64, luma: U8) -> bool:
        """Whether a move is not too far, and keeps all wells in the frame."""
        height, width = luma.shape
        kept = held(self._wells, (float(shift[0]), float(shift[1])), width=width, height=height)
        return float(np.hypot(*shift)) <= FOLLOWED * width and bool(kept.all())

    def _answer(self, *, trusted: bool, response: float) -> Alignment:
        return Alignment(float(self._shift[0]), float(self._shift[1]), trusted, response)


@dataclass(frozen=True, slots=True)
class _Match:
    """``shift`` (2,) in pixels of the frame; ``votes`` 0..1; ``strain_px``: how far off it the worst well is."""

    shift: F64
    votes: float
    strain_px: float


class _Table:
    """What is known of the reference. Working pixels are those of its shrunken part around the table."""

    def __init__(self, wells: Wells, luma: U8) -> None:
        height, width = luma.shape
        check_fits(wells, width=width, height=height)
        self.shape = (height, width)
        self._shrink = max(1, round(width / WORKING_WIDTH))
        self._aim(wells)
        picture = self.shrink(luma)
        steady = _steady(picture, self._wells, wells.sizes / self._shrink)
        reach = int(np.ceil(SEARCHED * width / self._shrink / 2)) * 2
        corners = _choose(picture, steady, self._plate)
        if len(corners) < _ENOUGH:
            raise WellsError(
                "the reference picture shows too little of the table to align frames to; take another, in good light"
            )
        self._patches = _Patches(picture, steady, corners)
        self._overview = _Overview(picture, reach)
        # As x + iy from the middle of the wells, about which they turn.
        middle = self._wells.mean(axis=0)
        self._places: C128 = (corners + (_PATCH - 1) / 2 - middle) @ _COMPLEX
        self._radius = float(np.hypot(*(self._wells - middle).T).max())

    def _aim(self, wells: Wells) -> None:
        """Look at the plate, which is the wells and its edges around them, and around it as far as is searched."""
        plate = np.array([wells.centres.min(axis=0), wells.centres.max(axis=0)])
        plate += np.array([[-2.5], [2.5]]) * wells.sizes.max()
        reach = np.array([[-1.0], [1.0]]) * SEARCHED * self.shape[1]
        low, high = np.floor(np.clip(plate + reach, 0, self.shape[::-1]))
        block = 2 * self._shrink  # the overview halves it once more
        left, top, right, bottom = (int(v) for v in (*low, *(low + (high - low) // block * block)))
        self._part = slice(top, bottom), slice(left, right)
        self._size = ((right - left) // self._shrink, (bottom - top) // self._shrink)
        self._plate = np.clip((plate - low) / self._shrink, 0, self._size).astype(np.int64)
        # A pixel's centre is at a whole number, so that a picture's corner is at -0.5.
        self._wells = (wells.centres - low + 0.5) / self._shrink - 0.5  # (wells, 2) working pixels

    def shrink(self, luma: U8) -> U8:
        """The part around the table of an (H, W) uint8 luma, in working pixels."""
        return np.asarray(cv2.resize(luma[self._part], self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def search(self, picture: U8) -> F64:
        """(2,) shift in pixels of the frame: where the table looks most like itself, wherever it was before."""
        return np.asarray(self._overview.search(picture) * self._shrink, np.float64)

    def track(self, picture: U8, shift: F64) -> _Match:
        """The motion that the patches agree on, starting from a shift in pixels of the frame."""
        aim = np.broadcast_to(shift @ _COMPLEX / self._shrink, len(self._places))
        for _ in range(_STEPS):
            moves, alike = self._patches.step(picture, aim)
            motion = self._agree(moves, alike >= _ALIKE)
            if motion is None:
                return _Match(shift, 0.0, 0.0)
            middle, turn = motion
            expected = middle + turn * self._places
            if np.abs(expected - aim).max() <= _EXACT:
                break
            aim = expected
        agree = (alike >= _ALIKE) & (np.abs(moves - expected) <= _NEAR)
        votes = self._patches.weights[agree].sum() / self._patches.weights.sum()
        strain = abs(turn) * self._radius
        return _Match(np.array([middle.real, middle.imag]) * self._shrink, float(votes), strain * self._shrink)

    def _agree(self, moves: C128, known: Bools) -> tuple[complex, complex] | None:
        """The shift of the wells' middle, and turn and zoom about it, that most patches tell; None if too few do."""
        if known.sum() < _ENOUGH:
            return None
        middle, turn = complex(_median(moves.real[known]), _median(moves.imag[known])), 0j
        for near in (4 * _NEAR, _NEAR):
            agree = known & (np.abs(moves - middle - turn * self._places) <= near)
            if agree.sum() < _ENOUGH:
                return None
            # Least squares of a similarity: with x + iy, moving by a turn and a zoom is one multiplication.
            here, there = self._places[agree].mean(), moves[agree].mean()
            arms = self._places[agree] - here
            turn = complex(np.vdot(arms, moves[agree] - there) / np.vdot(arms, arms))
            middle = complex(there - turn * here)
        return middle, turn


class _Patches:
    """Squares of the reference that have corners, and what a Lucas-Kanade step on each of them needs."""

    def __init__(self, picture: U8, steady: F32, corners: I64) -> None:
        self._corners = corners  # (patches, 2) x, y of the top left pixel
        self.weights = _distinctness(picture, corners)  # (patches,)
        self._mask = _cut(steady, corners)  # (patches, pixels)
        self._count = self._mask.sum(axis=1)
        look, *slopes = (
            self._centred(_cut(plane, corners)) for plane in (picture.astype(np.float32), *_slopes(picture))
        )
        norm = np.linalg.norm(look, axis=1)[:, None]
        look = look / norm
        # Light scales and lifts a patch: what the slopes share with that is no motion.
        slopes = [(g - (g * look).sum(axis=1, keepdims=True) * look) / norm for g in slopes]
        slope = np.stack(slopes, axis=1)  # (patches, 2, pixels)
        self._solve = np.linalg.inv(np.einsum("kin,kjn->kij", slope, slope))
        # A step falls a little short of what is left to the nearest whole pixel. With starts spread evenly around the
        # aim that cancels out over the patches (the spread: Roberts' R2 sequence).
        spread = np.arange(len(corners))[:, None] * (0.7548776662466927, 0.5698402909980532) % 1.0 - 0.5
        self._dither = spread @ _COMPLEX
        self._basis = np.concatenate([slope, look[:, None]], axis=1)  # (patches, 3, pixels)

    def _centred(self, cut: F32) -> F32:
        mean = (cut * self._mask).sum(axis=1) / self._count
        return np.asarray((cut - mean[:, None]) * self._mask, np.float32)

    def step(self, picture: U8, aim: C128) -> tuple[C128, F64]:
        """(patches,) motion x + iy in working pixels, of which ``aim`` is a guess, and likeness there, -1..1."""
        start = np.rint(aim + self._dither)
        room = np.array(picture.shape[::-1]) - _PATCH
        corners = self._corners + start.view(np.float64).reshape(-1, 2).astype(np.int64)
        inside = ((corners >= 0) & (corners <= room)).all(axis=1)
        if not inside.all():
            corners = np.clip(corners, 0, room)
        seen = _cut(picture, corners) * self._mask
        found = np.matmul(self._basis, seen[:, :, None])[:, :, 0].astype(np.float64)
        energy = np.einsum("kn,kn->k", seen, seen) - seen.sum(axis=1) ** 2 / self._count
        norm = np.sqrt(np.maximum(energy, _MIN_CONTRAST**2 * self._count))
        pull = found[:, :2] / norm[:, None]
        move = -np.einsum("kij,kj->ki", self._solve, pull)
        alike = found[:, 2] / norm - 0.5 * (move * pull).sum(axis=1)  # as it will be after the step
        alike[~inside | (np.abs(move).max(axis=1) > _CAPTURED)] = -1
        return start + move @ _COMPLEX, alike


class _Overview:
    """The whole table at half the working size, without its light."""

    def __init__(self, picture: U8, reach: int) -> None:
        look = _relief(picture)
        self._reach = [min(reach // 2, side // 4) for side in look.shape]  # down, across
        down, across = (slice(margin, side - margin) for margin, side in zip(self._reach, look.shape, strict=True))
        self._look = np.ascontiguousarray(look[down, across])

    def search(self, picture: U8) -> F64:
        """(2,) shift in working pixels."""
        score = np.asarray(cv2.matchTemplate(_relief(picture), self._look, cv2.TM_CCOEFF_NORMED))
        x, y = cv2.minMaxLoc(score)[3]
        return np.array([x - self._reach[1], y - self._reach[0]]) * 2.0


def _resized(now: tuple[int, ...], then: tuple[int, ...]) -> str:
    return (
        f"the picture is {now[1]}x{now[0]}, but its wells were located on {then[1]}x{then[0]}: set the camera's"
        f" resolution back, or locate the wells again with: spillwatch locate"
    )


def _halved(picture: U8) -> U8:
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def _relief(picture: U8) -> F32:
    """Half the size, less the local mean, so that steam and lamps do not count."""
    small = _halved(picture).astype(np.float32)
    return np.asarray(small - cv2.blur(small, (15, 15)), np.float32)


def _cut(plane: npt.NDArray[Any], corners: I64) -> F32:
    """(patches, pixels) float32 of a contiguous plane's squares with these top left corners."""
    height, width = plane.shape
    every = (height - _PATCH + 1, width - _PATCH + 1, _PATCH, _PATCH)
    squares = np.ndarray(every, plane.dtype, plane.data, strides=plane.strides * 2)  # a view; numpy's own costs more
    return squares[corners[:, 1], corners[:, 0]].reshape(len(corners), -1).astype(np.float32)


def _median(values: F64) -> float:
    """The upper one; numpy's own costs ten times as much for so few."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


def _slopes(picture: U8) -> list[F32]:
    """Grey levels per working pixel along x and y."""
    return [np.asarray(cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=1 / 8), np.float32) for dx in (1, 0)]


def _steady(picture: U8, centres: F64, sizes: F64) -> F32:
    """1 where the table stays the same, 0 in wells and their necks to the launder, whose dross and metal never do."""
    steady = np.ones(picture.shape, np.float32)
    for (x, y), (width, height) in zip(centres, sizes * (1.0, _NECK), strict=True):
        cv2.ellipse(steady, ((float(x), float(y)), (float(width), float(height)), 0.0), 0.0, -1)
    return steady


def _choose(picture: U8, steady: F32, plate: I64) -> I64:
    """(patches, 2) top left corners of the best square of each cell (Shi & Tomasi, "Good Features to Track", 1994)."""
    dx, dy = _slopes(picture)
    xx, xy, yy = (
        np.asarray(cv2.boxFilter(product * steady, -1, (_PATCH, _PATCH), anchor=(0, 0), normalize=False))
        for product in (dx * dx, dx * dy, dy * dy)
    )
    corner = (xx + yy) / 2 - np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    (left, top), (right, bottom) = plate - np.array([[0], [_PATCH]])
    cell = max(_PATCH // 2, round(float(np.sqrt((right - left) * (bottom - top) / _CELLS))))
    best = []
    for y in range(top, bottom, cell):
        for x in range(left, right, cell):
            here = corner[y : min(y + cell, bottom), x : min(x + cell, right)]
            row, column = np.unravel_index(here.argmax(), here.shape)
            if here[row, column] >= _MIN_CORNER:
                best.append((x + int(column), y + int(row)))
    return np.array(best, np.int64).reshape(-1, 2)


def _distinctness(picture: U8, corners: I64) -> F64:
    """(patches,) 0..1: how unlike all else a patch is. One well is like another; the plate's edges are not."""
    small = _halved(picture)
    side = _PATCH // 2
    weights = np.empty(len(corners))
    for i, (x, y) in enumerate(corners // 2):
        likeness = cv2.matchTemplate(small, small[y : y + side, x : x + side], cv2.TM_CCOEFF_NORMED)
        likeness[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 0  # itself
        weights[i] = 1 - np.clip(likeness.max(), 0, 0.98)
    return weights**2  # so that many alike cannot outvote few that are not
