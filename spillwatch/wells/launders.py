"""Launders on the lattice: which rows are a table's, and exactly where they and the columns lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.wells.lattice import find_rows, inverse, place, project

if TYPE_CHECKING:
    from spillwatch.records import F64, Bools
    from spillwatch.wells.lattice import Ints, Lattice, Rows
    from spillwatch.wells.rims import Marks

_CLOSEST, _WIDEST = 0.35, 1.2  # of a pitch: how far a launder's two rows are apart
_APART = 0.3  # of a pitch, at the least, between one launder's rows and the next's
_ALIKE = 0.08  # of a pitch: launders of one table are as wide as each other
_MOST = 50  # columns, and pitches of depth: larger is no table
_FAINT = 0.35  # a launder this much weaker than the best is none


@dataclass(frozen=True, slots=True, eq=False)
class Launders:
    """A table: ``view`` (3, 3) takes (column, depth) in pitches to pixels, upright and depth growing downwards.

    ``depths`` (2 * launders,) float64 are its rows from the back, upper and lower by turns; ``columns`` (first, last)
    are the outermost that hold marks; ``width`` is a well's, in pitches.
    """

    view: F64
    depths: F64
    columns: tuple[int, int]
    width: float


def find_launders(marks: Marks, lattice: Lattice) -> Launders | None:
    """Pairs of an upper and a lower row, all the same distance apart."""
    view, rows = _square(marks, lattice)
    # Two rows alone place the others too roughly to tell which of them are pairs, or to see them all.
    for again in (True, True, False):
        view, depths = _polish(marks, view, rows.depths, rows.upper)
        pairs = _pair(replace(rows, depths=depths))
        if not len(pairs):
            return None
        view, depths = _polish(marks, view, pairs, _by_turns(pairs))
        if again:
            rows = find_rows(marks, view)
    members, _ = _members(marks, view, depths, _by_turns(depths))
    if not len(members):
        return None
    back = inverse(view)
    flat = project(back, marks.xy[members])
    side = project(back, marks.xy[members] + np.column_stack([marks.width[members], np.zeros(len(members))]))
    columns, width = _extent(flat[:, 0], len(depths)), float(np.median(np.abs(side[:, 0] - flat[:, 0])))
    if columns[1] - columns[0] > _MOST or np.ptp(depths) > _MOST:
        return None
    return Launders(view, depths, columns, width)


def _polish(marks: Marks, view: F64, depths: F64, upper: Bools) -> tuple[F64, F64]:
    """The view, and the rows' depths, that fit all of their marks best, by turns."""
    for _ in range(5):
        members, row = _members(marks, view, depths, upper)
        if len(members) < 4:
            break
        flat = project(inverse(view), marks.xy[members])
        depths = np.array([np.median(flat[row == i, 1]) if (row == i).any() else d for i, d in enumerate(depths)])
        goal = np.column_stack([np.rint(flat[:, 0]), depths[row]])
        stray = 0.25 * float(np.median(marks.width[members]))
        found, _ = cv2.findHomography(goal, marks.xy[members], cv2.RANSAC, stray)
        if found is None:
            break
        view = np.asarray(found, np.float64)
    return view, depths


def _extent(columns: F64, rows: int) -> tuple[int, int]:
    """The outermost columns at which at least a quarter of the rows have a mark."""
    columns, count = np.unique(np.rint(columns).astype(int), return_counts=True)
    common = columns[count >= max(2, rows / 4)]
    common = common if len(common) else columns
    return int(common.min()), int(common.max())


def _pair(rows: Rows) -> F64:
    """Depths of upper and lower rows by turns, for the launder width that explains the rows best."""
    uppers, lowers = (np.flatnonzero(rows.upper == upper) for upper in (True, False))
    best, best_worth = np.zeros(0), 0.0
    for width in np.arange(_CLOSEST, _WIDEST, _ALIKE / 4):
        pairs = [
            (float(np.sqrt(rows.worth[one] * rows.worth[two])), float(rows.depths[one]), float(rows.depths[two]))
            for one in uppers
            for two in lowers
            if abs(rows.depths[two] - rows.depths[one] - width) < _ALIKE
        ]
        kept: list[tuple[float, float, float]] = []
        for worth, upper, lower in sorted(pairs, reverse=True):
            clear = all(lower < near - _APART or upper > far + _APART for _, near, far in kept)
            if clear and worth > _FAINT * (kept[0][0] if kept else 0):
                kept.append((worth, upper, lower))
        total = sum(worth for worth, _, _ in kept)
        if total > best_worth:
            best = np.sort(np.array([pair[1:] for pair in kept]), axis=0).ravel()
            best_worth = total
    return best


def _members(marks: Marks, view: F64, depths: F64, upper: Bools) -> tuple[Ints, Ints]:
    """The best mark of every well, and its row."""
    flat, fits = place(marks, view)
    off = np.abs(flat[:, 1, None] - depths)
    off[marks.upper[:, None] != upper] = np.inf
    row = off.argmin(axis=1)
    chosen = np.flatnonzero(fits & (off.min(axis=1) < 0.1))
    chosen = chosen[np.argsort(-marks.score[chosen])]
    cells = np.column_stack([row[chosen], np.rint(flat[chosen, 0])])
    chosen = chosen[np.unique(cells, axis=0, return_index=True)[1]]
    return chosen, row[chosen]


def _by_turns(depths: F64) -> Bools:
    return np.asarray(np.arange(len(depths)) % 2 == 0)


def _square(marks: Marks, lattice: Lattice) -> tuple[F64, Rows]:
    """The same view with depth in pitches, as seen from the camera at the table's middle, growing downwards."""
    flat, fits = place(marks, lattice.view)
    middle = np.array([np.median(flat[fits, 0]), lattice.rows.depths.mean()])
    step = 1e-3
    centre, right, down = project(lattice.view, middle + np.array([(0, 0), (step, 0), (0, step)], np.float64))
    scale = float(np.hypot(*(down - centre)) / np.hypot(*(right - centre)))
    scale = scale if down[1] > centre[1] else -scale
    rows = lattice.rows
    return lattice.view @ np.diag([1.0, 1 / scale, 1.0]), replace(rows, depths=rows.depths * scale)
