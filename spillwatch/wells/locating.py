"""Where the wells are, from what a person says of the table: rows, columns and its four corner wells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.errors import WellsError
from spillwatch.outputs import write_whole
from spillwatch.records import F64, U8, Wells

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A casting table as a person describes it.

    ``corners`` (4, 2) are the centres of its corner wells in pixels: top left, top right, bottom right, bottom left.
    ``row_gaps`` are the relative distances between successive rows on the table, seen square on (equal by default).
    ``well_size`` is a well's width and height in pixels in the middle of the table; by default it is taken from the
    distance of the columns. ``without`` names wells that the table lacks.
    """

    rows: int
    columns: int
    corners: F64
    row_gaps: Sequence[float] = ()
    well_size: tuple[float, float] | None = None
    without: Collection[str] = ()


def well_id(row: int, column: int) -> str:
    """Row and column from 0 to a name: each launder feeds an upper and a lower row, so row 5, column 3 is 3L4."""
    return f"{row // 2 + 1}{'UL'[row % 2]}{column + 1}"


def lay_out(table: Table) -> Wells:
    """The wells of a table in any perspective. Raises WellsError when its description cannot be."""
    across, down = _plan(table)
    plane = np.array([(0, 0), (across[-1], 0), (across[-1], down[-1]), (0, down[-1])], np.float32)
    if not cv2.isContourConvex(table.corners.astype(np.float32).reshape(-1, 1, 2)):
        raise WellsError(
            "the four corners do not make a table: give the corner wells' centres in the order top left, top right, "
            "bottom right, bottom left"
        )
    view = np.asarray(cv2.getPerspectiveTransform(plane, table.corners.astype(np.float32)), np.float64)
    grid = np.array([(x, y) for y in down for x in across], np.float64)
    ids = [well_id(row, column) for row in range(table.rows) for column in range(table.columns)]
    if strangers := sorted(set(table.without) - set(ids)):
        raise WellsError(f"there is no well {strangers[0]!r} in {table.rows} rows of {table.columns}")
    kept = np.array([name not in table.without for name in ids])
    centres = cv2.perspectiveTransform(grid.reshape(-1, 1, 2), view).reshape(-1, 2)
    return Wells(
        ids=tuple(name for name in ids if name not in table.without),
        centres=centres[kept],
        sizes=_sizes(table, grid, view)[kept],
        in_service=np.ones(int(kept.sum()), np.bool_),
    )


def _plan(table: Table) -> tuple[F64, F64]:
    """Column and row positions on the table seen square on."""
    if table.rows < 2 or table.columns < 2:
        raise WellsError(
            f"a table of {table.rows} rows and {table.columns} columns has no four corners; 2 is the least"
        )
    gaps = np.asarray(table.row_gaps or [1.0] * (table.rows - 1), np.float64)
    if len(gaps) != table.rows - 1 or (gaps <= 0).any():
        raise WellsError(f"{table.rows} rows need {table.rows - 1} gaps above 0, not {list(map(float, gaps))}")
    return np.arange(table.columns, dtype=np.float64), np.concatenate([[0.0], np.cumsum(gaps)])


def _sizes(table: Table, grid: F64, view: F64) -> F64:
    """(wells, 2) width and height in pixels, by how much the view magnifies the table at each well."""
    # The homography's Jacobian determinant is det(H) / w^3, with w the homogeneous coordinate (Hartley & Zisserman).
    w = grid @ view[2, :2] + view[2, 2]
    scale = np.sqrt(np.abs(np.linalg.det(view) / w**3))
    middle = grid.mean(axis=0)
    scale /= np.sqrt(np.abs(np.linalg.det(view) / (middle @ view[2, :2] + view[2, 2]) ** 3))
    if table.well_size is None:
        near = middle + np.array([(-0.5, 0.0), (0.5, 0.0)])
        left, right = cv2.perspectiveTransform(near.reshape(-1, 1, 2), view).reshape(-1, 2)
        width = 0.55 * float(np.linalg.norm(right - left))
        return np.outer(scale, (width, 0.65 * width))
    return np.outer(scale, table.well_size)


def draw_preview(bgr: U8, wells: Wells) -> U8:
    """A copy of a (H, W, 3) uint8 BGR picture with every well's oval and name."""
    picture = bgr.copy()
    for i, name in enumerate(wells.ids):
        x, y = (float(v) for v in wells.centres[i])
        width, height = (float(v) for v in wells.sizes[i])
        colour = (80, 220, 80) if wells.in_service[i] else (160, 160, 160)
        cv2.ellipse(picture, ((x, y), (width, height), 0), colour, 1, cv2.LINE_AA)
        cv2.putText(picture, name, (int(x - 12), int(y - height / 2 - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1)
    return picture


def write_picture(path: Path, bgr: U8) -> None:
    """Write a PNG or JPEG by the file's suffix."""
    try:
        done, data = cv2.imencode(path.suffix or ".png", bgr)
        if not done:
            raise WellsError(f"picture {path} cannot be written as {path.suffix}; use .png or .jpg")
        write_whole(path, data.tobytes())
    except cv2.error as exc:
        raise WellsError(f"picture {path} cannot be written as {path.suffix}; use .png or .jpg") from exc
    except OSError as exc:
        raise WellsError(f"picture {path} cannot be written: {exc.strerror}; choose another place") from exc
