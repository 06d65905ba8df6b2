"""Is there a well? Every place of the lattice is judged on the table seen square on, where all wells look alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.wells.lattice import inverse, project
from spillwatch.wells.rims import ASPECT, directions, hole_answer, rim_answers

if TYPE_CHECKING:
    from spillwatch.records import F32, F64, U8, Bools
    from spillwatch.wells.launders import Launders

WIDTH = 40.0  # px: a well's width on the table seen square on
_BEYOND = 3  # columns beyond the outermost mark that are looked at
_REACH = 5  # px: a well may lie this far from its place on the lattice
_FEWEST = 6  # wells to move the table by
_AROUND = 4.0  # pitches before and behind the known launders where others are looked for
_FAINTEST, _LEAST = 0.6, 0.2  # of what the known launders answer, and at least; elsewhere 0.2 is rare
_HOLES = (0.75, 1.0)  # of a well's width: bare metal and pits within a well show smaller


@dataclass(frozen=True, slots=True, eq=False)
class Square:
    """The table seen square on: ``grey`` (h, w) uint8, ``gx, gy`` its edge directions, ``pitch`` px between columns.

    ``xs`` (columns,) and ``ys`` (rows,) float64 px are where columns and rows lie; ``first`` is the first column.
    ``seen`` (rows, columns) bool: the place lies within the picture.
    """

    grey: U8
    gx: F32
    gy: F32
    pitch: float
    xs: F64
    ys: F64
    first: int
    seen: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How much every place looks like a well: ``rims`` and ``likeness`` (rows, columns) float64, at most 1.

    ``off`` (rows, columns, 2) float64 px is how far from its place it looks so most.
    """

    rims: F64
    likeness: F64
    off: F64

    @property
    def looks(self) -> F64:
        """(rows, columns): rim and likeness together."""
        return np.asarray(np.minimum(self.rims, 0.5) + self.likeness)


def look_square(grey: U8, table: Launders, margin: float = 1.0) -> Square:
    """The table's part of an (H, W) uint8 picture, seen square on, some columns wider than its marks.

    ``margin`` is what is seen of it before its first row and behind its last, in pitches.
    """
    pitch = WIDTH / table.width
    first, last = table.columns[0] - _BEYOND, table.columns[1] + _BEYOND
    xs = (np.arange(last - first + 1, dtype=np.float64) + 1) * pitch
    ys = np.asarray((table.depths - table.depths[0] + margin) * pitch, np.float64)
    size = (int(xs[-1] + pitch), int(ys[-1] + margin * pitch))
    scale = np.array([[pitch, 0, (1 - first) * pitch], [0, pitch, (margin - table.depths[0]) * pitch], [0, 0, 1]])
    square = np.asarray(cv2.warpPerspective(grey, scale @ inverse(table.view), size), np.uint8)
    places = np.array([(x, y) for y in ys for x in xs])
    seen = project(table.view @ inverse(scale), places)
    inside = ((seen >= 0) & (seen < grey.shape[::-1])).all(axis=1).reshape(len(ys), len(xs))
    gx, gy = directions(square)
    return Square(square, gx, gy, pitch, xs, ys, first, inside)


def judge(square: Square, match: Match) -> F64:
    """(rows, columns) float64: evidence for a well; about 1 at a clear one, below 0.6 where there is none.

    Either its rim shows and it looks like the middle one of its kind, or it is a dark hole: a well without dross.
    """
    return np.asarray(np.maximum(match.looks, 2.2 * (_holes(square) - 0.3)))


def _rims(square: Square) -> F64:
    """(rows, columns): the rim answer near every place, of the row's own kind."""
    answers = rim_answers(square.gx, square.gy, width=WIDTH, height=ASPECT * WIDTH)
    best = [_near(square, answer) for answer in answers]
    return np.where((np.arange(len(square.ys)) % 2 == 0)[:, None], *best)


def _holes(square: Square) -> F64:
    """(rows, columns): how much a dark hole lies near every place, as large as a well or smaller."""
    sizes = [size * WIDTH for size in _HOLES]
    answers = [hole_answer(square.gx, square.gy, width=size, height=ASPECT * size) for size in sizes]
    return _near(square, np.asarray(np.max(answers, axis=0), np.float32))


def _near(square: Square, answer: F32) -> F64:
    best = cv2.dilate(answer, np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8))
    return np.asarray(best[np.ix_(np.rint(square.ys).astype(int), np.rint(square.xs).astype(int))], np.float64)


def match_wells(square: Square) -> Match:
    """Compare every place with the median of its kind's clearest half."""
    rims = _rims(square)
    even = square.grey.astype(np.float32)
    around = cv2.blur(even, (3 * int(WIDTH), 3 * int(WIDTH)))
    even = (even - around) / (around + 20)
    likeness, off = np.zeros(rims.shape), np.zeros((*rims.shape, 2))
    for kind in (0, 1):
        places = [(row, column) for row in range(kind, len(square.ys), 2) for column in range(len(square.xs))]
        order = sorted(places, key=lambda place: -float(rims[place]))
        middle = np.median([_patch(square, even, place) for place in order[: len(order) // 2]], axis=0)
        for place in places:
            window = _patch(square, even, place, _REACH)
            match = cv2.matchTemplate(window, np.asarray(middle, np.float32), cv2.TM_CCOEFF_NORMED)
            _, likeness[place], _, (x, y) = cv2.minMaxLoc(match)
            middle_x, middle_y = square.xs[place[1]], square.ys[place[0]]
            off[place] = round(middle_x) + x - _REACH - middle_x, round(middle_y) + y - _REACH - middle_y
    return Match(rims, likeness, off)


def _patch(square: Square, even: F32, place: tuple[int, int], margin: int = 0) -> F32:
    """A well with its surroundings as far as the launder's middle."""
    x, y = round(square.xs[place[1]]), round(square.ys[place[0]])
    aside, above = round(0.75 * WIDTH) + margin, round(0.55 * WIDTH) + margin
    return even[y - above : y + above + 1, x - aside : x + aside + 1]


def settle(table: Launders, square: Square, match: Match, clear: Bools) -> Launders:
    """The table moved to where its ``clear`` (rows, columns) wells look most alike."""
    row, column = np.nonzero(clear)
    if len(row) < _FEWEST or np.ptp(row) == 0 or np.ptp(column) == 0:
        return table
    off = match.off[clear] / square.pitch
    depths = table.depths + [np.median(off[row == i, 1]) if (row == i).any() else 0.0 for i in range(len(table.depths))]
    goal = np.column_stack([column + square.first, table.depths[row]])
    seen = project(table.view, goal + off)
    goal[:, 1] = depths[row]
    view, _ = cv2.findHomography(goal, seen, cv2.RANSAC, 0.1 * float(np.ptp(seen[:, 0]) / np.ptp(column)))
    return table if view is None else replace(table, view=np.asarray(view, np.float64), depths=depths)


def add_launders(grey: U8, table: Launders, clear: Bools) -> Launders:
    """The table with launders whose marks were too faint one by one, but whose rims show all along their rows.

    ``clear`` (rows, columns) bool are the wells that are sure already.
    """
    common = clear.sum(axis=0) >= max(2.0, len(clear) / 2)
    if not common.any():
        return table
    square = look_square(grey, table, _AROUND)
    width = float(np.median(table.depths[1::2] - table.depths[::2]))
    columns, near = np.rint(square.xs[common]).astype(int), np.ones((3, 9), np.uint8)
    answers = rim_answers(square.gx, square.gy, width=WIDTH, height=ASPECT * WIDTH)
    upper, lower = (np.median(cv2.dilate(answer, near)[:, columns], axis=1) for answer in answers)
    apart, loose = round(width * square.pitch), 3
    lower = np.max([np.roll(lower, by - apart) for by in range(-loose, loose + 1)], axis=0)
    both = np.asarray(np.minimum(upper, lower), np.float64)
    both[-apart - loose :] = 0
    known = np.rint(square.ys[::2]).astype(int)
    wanted = _FAINTEST * float(np.median([both[max(0, y - loose) : y + loose + 1].max() for y in known]))
    reach = round((width + 0.3) * square.pitch)
    depths = list(table.depths)
    for y in known:
        both[max(0, y - reach) : y + reach] = 0
    while both.max() > max(wanted, _LEAST):
        y = int(both.argmax())
        depth = float(table.depths[0] + y / square.pitch - _AROUND)
        depths += [depth, depth + width]
        both[max(0, y - reach) : y + reach] = 0
    return replace(table, depths=np.sort(np.array(depths)))
