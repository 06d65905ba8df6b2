"""Where things are: a table seen in perspective, its launders and its wells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

ASPECT = 0.62  # height over width of a round well, seen at the camera's angle
LAUNDERS = 4
LAUNDER_PITCH = 2.18  # table lengths are in widths of a well at the table's middle; depth is foreshortened already
COLUMN_PITCH = 1.72
ROW_OFFSET = 0.6  # a well's centre from its launder's middle
REFERENCE_WIDTH = 1280  # lengths in pixels are given for this picture width and scale with it


@dataclass(frozen=True, slots=True)
class Well:
    """One well: its box in pixels (centre and size) and on which side of its launder it lies."""

    id: str
    x: float
    y: float
    w: float
    h: float
    upper: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A table in the picture; ``homography`` takes table lengths (u right, v down) to pixels."""

    width: int
    height: int
    unit: float  # pixels per table length at the middle
    homography: F64
    columns: int
    wells: tuple[Well, ...]

    @property
    def half_length(self) -> float:
        """From the table's middle to the ends of its launders."""
        return (self.columns / 2 + 0.35) * COLUMN_PITCH

    def place(self, *points: tuple[float, float]) -> F64:
        """(n, 2) pixels of table points."""
        return project(self.homography, points)

    def boxes(self) -> F64:
        """(wells, 4) x, y, width, height."""
        return np.array([(well.x, well.y, well.w, well.h) for well in self.wells])


def launder_v(launder: int) -> float:
    """The middle line of a launder, counted from 0 at the back."""
    return (launder - (LAUNDERS - 1) / 2) * LAUNDER_PITCH


def project(homography: F64, points: tuple[tuple[float, float], ...]) -> F64:
    """Table points as (n, 2) pixels."""
    moved = np.column_stack([np.array(points, float), np.ones(len(points))]) @ homography.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def draw_layout(rng: np.random.Generator, *, width: int, height: int) -> Layout:
    """A table that fills most of the picture; perspective, size and number of wells vary a little."""
    columns = int(rng.integers(7, 10))
    fit = min(width / ((columns + 3.2) * COLUMN_PITCH), height / 12.8)
    unit = float(min(fit, 50 * width / REFERENCE_WIDTH) * rng.uniform(0.94, 1.0))
    depth = rng.uniform(0.012, 0.024)  # how much nearer lengths grow, per table length
    roll, shear = np.radians(rng.uniform(-0.8, 0.8)), rng.uniform(-0.14, 0.14)
    rotate = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    lens = np.array([[unit, -shear * unit, 0], [0, unit, 0], [0, -depth, 1]])
    centre = np.array([[1, 0, width * rng.uniform(0.48, 0.51)], [0, 1, height * rng.uniform(0.46, 0.48)], [0, 0, 1]])
    homography = centre @ rotate @ lens
    wells = tuple(
        _well(homography, launder=launder, upper=upper, column=column, columns=columns)
        for launder in range(LAUNDERS)
        for upper in (True, False)
        for column in range(columns)
    )
    return Layout(width, height, unit, homography, columns, wells)


def _well(homography: F64, *, launder: int, upper: bool, column: int, columns: int) -> Well:
    """One well; the rows of a launder are half a step apart at its ends only through the perspective."""
    u = (column - (columns - 1) / 2) * COLUMN_PITCH
    v = launder_v(launder) + (-ROW_OFFSET if upper else ROW_OFFSET)
    (x, y), (left, _), (right, _) = project(homography, ((u, v), (u - 0.5, v), (u + 0.5, v)))
    w = right - left
    name = f"{launder + 1}{'U' if upper else 'L'}{column + 1}"
    x, y, w, h = (round(float(value), 1) for value in (x, y, w, w * ASPECT))
    return Well(name, x, y, w, h, upper)
