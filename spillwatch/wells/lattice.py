"""The table behind the marks: rows of evenly spaced wells, seen in any perspective.

A casting table is a plane with its wells at whole columns of rows of any distance, so one homography takes (column,
depth) to pixels (R. Hartley and A. Zisserman, "Multiple View Geometry", 2nd ed., 2004). It is sought as in RANSAC
(M. Fischler and R. Bolles, 1981), though not at random: rows of marks are grown first, and every two of them say where
all other wells would be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from spillwatch.records import F64, Bools
    from spillwatch.wells.rims import Marks

Ints = npt.NDArray[np.intp]

_SEEDS, _CHAINS = 200, 24
_NEAR, _FAR = 1.25, 3.0  # a column's pitch is between these multiples of a well's width
_STRAY = 0.12  # of a pitch: how far a mark may lie from its place; a quarter of all clutter passes at random
_FLOOR = 0.15  # of a mark's score: what clutter reaches everywhere
_ROW_WORTH = 0.6  # what clutter gathers in a row by chance; only what exceeds it counts for a view
_ALIKE = 0.25  # of a well's width: marks come in steps of 17 %
_BINS = 12  # of depth per pitch


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Marks in a row: ``members`` (n,) index them, ``columns`` (n,) count them from the first."""

    members: Ints
    columns: Ints
    worth: float


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a table, from the back: ``depths`` (rows,) float64 in pitches, ``upper`` (rows,) bool."""

    depths: F64
    upper: Bools
    worth: F64


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """``view`` (3, 3) takes (column, depth), both in pitches, to pixels; ``rows`` are those that were seen."""

    view: F64
    rows: Rows
    worth: float


def project(view: F64, points: F64) -> F64:
    """(n, 2) points through a homography."""
    return np.asarray(cv2.perspectiveTransform(points.reshape(-1, 1, 2), view), np.float64).reshape(-1, 2)


def inverse(view: F64) -> F64:
    """The homography back."""
    return np.asarray(np.linalg.inv(view), np.float64)


def find_lattice(marks: Marks) -> Lattice | None:
    """The view under which most marks are wells of one table."""
    chains = [chain for upper in (True, False) for chain in _chains(marks, np.flatnonzero(marks.upper == upper))]
    best: Lattice | None = None
    for one, other in combinations(chains, 2):
        for view in _views(marks, one, other):
            rows = find_rows(marks, view)
            if len(rows.depths) > 1:
                # Neighbouring rows leave open how many columns a row is shifted; cameras look along the columns.
                # Some long rows say more than many short ones, as clutter makes.
                worth = float(np.linalg.norm(rows.worth)) * _uprightness(marks, view) ** 2
                if best is None or worth > best.worth:
                    best = Lattice(view, rows, worth)
    return best


def _chains(marks: Marks, chosen: Ints) -> list[Chain]:
    """The best rows of marks of one kind, grown from every two neighbours."""
    chosen = chosen[np.argsort(-marks.score[chosen])]
    xy, width, score = marks.xy[chosen], marks.width[chosen], marks.score[chosen]
    found = []
    for seed in range(min(_SEEDS, len(chosen))):
        step = xy - xy[seed]
        apart = step[:, 0] / width[seed]
        near = (apart > _NEAR) & (apart < _FAR) & (np.abs(step[:, 1]) < 0.35 * step[:, 0])
        near &= np.abs(np.log(width / width[seed])) < _ALIKE
        neighbours = np.flatnonzero(near & (score > 0.5 * score[seed]))
        found += [_grow(xy, width, score, (seed, int(neighbour))) for neighbour in neighbours]
    found.sort(key=lambda chain: -chain.worth)
    kept: list[Chain] = []
    for chain in found:
        if len(chain.members) < 4 or len(kept) == _CHAINS // 2:
            break
        if all(len(np.intersect1d(chain.members, other.members)) < len(chain.members) / 2 for other in kept):
            kept.append(chain)
    return [replace(chain, members=chosen[chain.members]) for chain in kept]


def _grow(xy: F64, width: F64, score: F64, pair: tuple[int, int]) -> Chain:
    """Two marks, and all that follow at their distance, which may change slowly; one may be missing in between."""
    columns = {0: pair[0], 1: pair[1]}
    alike = np.where(np.abs(np.log(width / width[pair[0]])) < _ALIKE, score, -1.0)
    for way in (1, -1):
        last = 1 if way > 0 else 0
        step, missing = (xy[pair[1]] - xy[pair[0]]) * way, 0
        while missing < 2:
            expected = xy[columns[last]] + step * (missing + 1)
            off = np.abs(xy - expected).max(axis=1) / abs(step[0])
            mark = int(np.argmax(np.where(off < _STRAY, alike - off, -1.0)))
            if off[mark] >= _STRAY or alike[mark] < 0:
                missing += 1
                continue
            step = 0.6 * step + 0.4 * (xy[mark] - xy[columns[last]]) / (missing + 1)
            last += way * (missing + 1)
            columns[last], missing = mark, 0
    order = sorted(columns)
    members = np.array([columns[column] for column in order], np.intp)
    holes = order[-1] - order[0] + 1 - len(order)
    return Chain(members, np.array(order, np.intp) - order[0], float((score[members] - _FLOOR).sum() - 0.15 * holes))


def _views(marks: Marks, one: Chain, other: Chain) -> list[F64]:
    """Homographies from two rows. Which of their wells share a column is not known: the nearest three are tried."""
    a, b = marks.xy[one.members], marks.xy[other.members]
    along = (a[-1] - a[0]) / one.columns[-1]
    pitch = float(np.hypot(*along))
    across = np.array([-along[1], along[0]]) / pitch
    depth = float((b.mean(axis=0) - a.mean(axis=0)) @ across) / pitch
    if abs(depth) < 0.3 or abs(depth) > 12:
        return []
    shift = float((b[0] - a[0]) @ along) / pitch**2
    views = []
    for guess in (round(shift) - 1, round(shift), round(shift) + 1):
        flat = np.vstack(
            [
                np.column_stack([one.columns, np.zeros(len(a))]),
                np.column_stack([other.columns + guess, np.full(len(b), depth)]),
            ]
        )
        view, _ = cv2.findHomography(flat, np.vstack([a, b]))
        if view is not None and abs(np.linalg.det(view)) > 1e-9:
            views.append(np.asarray(view, np.float64))
    return views


def _uprightness(marks: Marks, view: F64) -> float:
    """The sine of the angle between rows and columns in the picture, at the middle of the marks that fit."""
    flat, fits = place(marks, view)
    if not fits.any():
        return 0.0
    middle = np.median(flat[fits], axis=0)
    centre, right, down = project(view, middle + np.array([(0, 0), (1e-3, 0), (0, 1e-3)], np.float64))
    (ax, ay), (bx, by) = right - centre, down - centre
    return float(abs(ax * by - ay * bx) / (np.hypot(ax, ay) * np.hypot(bx, by) + 1e-12))


def place(marks: Marks, view: F64) -> tuple[F64, Bools]:
    """Every mark as (n, 2) column and depth, and whether it has a well's size and lies near a whole column."""
    back = inverse(view)
    flat = project(back, marks.xy)
    side = project(back, marks.xy + np.column_stack([marks.width, np.zeros(len(marks.width))]))
    sizes = np.abs(side[:, 0] - flat[:, 0])
    fits = (np.abs(flat[:, 0] - np.rint(flat[:, 0])) < _STRAY) & (sizes > 1 / _FAR) & (sizes < 1 / _NEAR)
    # Beyond the horizon, and far away, points come back mirrored or without end.
    fits &= (np.abs(flat) < 60).all(axis=1) & (marks.xy @ back[2, :2] + back[2, 2] > 0)
    return flat, np.asarray(fits)


def find_rows(marks: Marks, view: F64) -> Rows:
    """The depths at which marks of a kind and of one size stand at whole columns, and what they are worth."""
    flat, fits = place(marks, view)
    depths, uppers, worths = [], [], []
    for upper in (True, False):
        chosen = np.flatnonzero(fits & (marks.upper == upper))
        if not len(chosen):
            continue
        column = np.rint(flat[chosen, 0]).astype(np.intp)
        level = np.floor(flat[chosen, 1] * _BINS).astype(np.intp)
        column, level = column - column.min(), level - level.min()
        grid = np.zeros((level.max() + 2, column.max() + 1))
        off = (flat[chosen, 0] - np.rint(flat[chosen, 0])) / _STRAY
        np.maximum.at(grid, (level, column), (marks.score[chosen] - _FLOOR) * (1 - off**2))
        worth = np.maximum(grid[:-1], grid[1:]).sum(axis=1)
        base = np.floor(flat[chosen, 1] * _BINS).min()
        while worth.max() > 2 * _ROW_WORTH:
            at = int(worth.argmax())
            depths.append((base + at + 1) / _BINS)
            uppers.append(upper)
            worths.append(float(worth[at]) - _ROW_WORTH)
            worth[max(0, at - _BINS // 3) : at + _BINS // 3 + 1] = 0
    order = np.argsort(depths)
    return Rows(np.array(depths)[order], np.array(uppers, np.bool_)[order], np.array(worths)[order])
