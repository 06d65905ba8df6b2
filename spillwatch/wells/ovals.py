"""How large wells are and where exactly: the oval that runs along the rims of all of them best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.wells.cells import WIDTH
from spillwatch.wells.rims import ASPECT

if TYPE_CHECKING:
    from spillwatch.records import F64, Bools
    from spillwatch.wells.cells import Square
    from spillwatch.wells.lattice import Ints

_TOP = np.radians(np.arange(-110.0, 111.0, 10.0))  # what shows of an upper well's rim, from its top
_SIDES = _TOP[np.abs(_TOP) > np.radians(55)]  # and of a lower one's
_AS_GOOD = 0.004  # of the answer: the height hardly matters to it near its best
# The near part of a rim lies under dross; what shows fits ovals too flat by 4 to 13 % on real and simulated tables.
_TALLER = 1.08
_FEW = 3  # clear wells in a row, to place it by itself


@dataclass(frozen=True, slots=True, eq=False)
class Oval:
    """``width`` and ``height`` in px of the table seen square on; ``x`` and ``ys`` (rows,) px move every row there."""

    width: float
    height: float
    x: float
    ys: F64


def fit_oval(square: Square, clear: Bools) -> Oval:
    """The common oval of the ``clear`` (rows, columns) wells, and how far each row's lie from their places."""
    oval = Oval(WIDTH, ASPECT * WIDTH, 0.0, np.zeros(len(square.ys)))
    rows = [row for row in range(len(square.ys)) if clear[row].sum() >= _FEW]
    if not rows:
        return oval
    places = [(row, np.flatnonzero(clear[row])) for row in rows]
    for _ in range(2):
        tries = [
            Oval(width, width * aspect, oval.x, oval.ys)
            for width in WIDTH * np.arange(0.82, 1.2, 0.03)
            for aspect in np.arange(0.5, 0.86, 0.03)
        ]
        answers = np.array([np.mean([_answer(square, tried, *place) for place in places]) for tried in tries])
        best = [tried for tried, answer in zip(tries, answers, strict=True) if answer > answers.max() - _AS_GOOD]
        width, height = (float(np.mean(values)) for values in zip(*((o.width, o.height) for o in best), strict=True))
        oval = Oval(width, height, oval.x, oval.ys)
        tries = [Oval(oval.width, oval.height, x, oval.ys) for x in np.arange(-3, 3.1, 0.25)]
        oval = max(tries, key=lambda tried: sum(_answer(square, tried, *place) for place in places))
        ys = np.full(len(square.ys), np.nan)
        for row, columns in places:
            moved = [Oval(oval.width, oval.height, oval.x, np.full(len(ys), y)) for y in np.arange(-4, 4.1, 0.25)]
            ys[row] = max(moved, key=lambda tried: _answer(square, tried, row, columns)).ys[row]
        for kind in (ys[::2], ys[1::2]):
            kind[np.isnan(kind)] = np.nanmedian(kind) if np.isfinite(kind).any() else 0.0
        oval = Oval(oval.width, oval.height, oval.x, ys)
    return replace(oval, height=_TALLER * oval.height)


def _answer(square: Square, oval: Oval, row: int, columns: Ints) -> float:
    """How well edges run along the oval at these wells of a row, -1..1."""
    angle = _SIDES if row % 2 else _TOP
    a, b = oval.width / 2, oval.height / 2
    nx, ny = np.sin(angle) / a, -np.cos(angle) / b
    x = np.asarray(square.xs[columns][:, None] + oval.x + a * np.sin(angle), np.float32)
    y = np.asarray(square.ys[row] + oval.ys[row] - b * np.cos(angle) + 0 * x, np.float32)
    gx, gy = (cv2.remap(field, x, y, cv2.INTER_LINEAR) for field in (square.gx, square.gy))
    return float(((gx * nx + gy * ny) / np.hypot(nx, ny)).mean())
