"""Finds the wells by itself: in one picture, or in the median of some seconds of video.

Marks that may be wells (rims.py) -> the lattice that most of them stand on (lattice.py) -> its launders (launders.py)
-> each place of the lattice judged on the table seen square on (cells.py) -> how large wells are and where exactly
(ovals.py) -> wells by name, and what is unsure about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.errors import WellsError
from spillwatch.pictures import to_bgr
from spillwatch.records import F32, Planes, Wells
from spillwatch.wells.cells import add_launders, judge, look_square, match_wells, settle
from spillwatch.wells.lattice import find_lattice, project
from spillwatch.wells.launders import find_launders
from spillwatch.wells.locating import well_id
from spillwatch.wells.ovals import fit_oval
from spillwatch.wells.rims import find_marks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spillwatch.records import F64, U8, Bools
    from spillwatch.wells.cells import Square
    from spillwatch.wells.launders import Launders

# Evidence (see cells.judge) on pictures and simulated lines: wells mostly have 0.8 and more, the plate 0.3 to 0.6.
_CLEAR, _SURE = 0.7, 0.8
_ENOUGH = 0.53  # for a place in columns that most rows have
_NONE, _FULL = 0.3, 0.9  # confidence 0 and 1
_DOUBT = 0.5  # of confidence
_FEWEST = 6  # wells: fewer may be anything
_RIM = 0.38  # median rim answer of a table's wells: 0.46 and more at tables, 0.3 and less at what is none
_SIDES = ("left", "right")
HELP = "give --rows, --columns and --corners"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Wells, how sure each is (``confidence`` (wells,) float32 0..1), the doubtful ones, and sentences for people."""

    wells: Wells
    confidence: F32
    doubtful: tuple[str, ...]
    notes: tuple[str, ...]


def find(bgr: U8) -> Found:
    """The wells in a (H, W, 3) uint8 BGR picture. Raises WellsError where no table is to be seen."""
    grey = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
    marks = find_marks(grey)
    lattice = find_lattice(marks)
    table = find_launders(marks, lattice) if lattice else None
    if table is None:
        raise WellsError(f"no casting table is to be seen in the picture: take one in which all wells show, or {HELP}")
    for last in (False, True):
        square = look_square(grey, table)
        match = match_wells(square)
        sure = (match.looks > _SURE) & square.seen
        table = settle(table, square, match, sure)
        table = table if last else add_launders(grey, table, sure)
    square = look_square(grey, table)
    match = match_wells(square)
    evidence = judge(square, match)
    present = _choose(evidence, square.seen)
    # What is no well may look alike, as beams and bolts do, but its outline is no oval.
    if present.sum() < _FEWEST or np.median(match.rims[present]) < _RIM:
        raise WellsError(f"the picture shows nothing that is surely a table of wells: take a clearer one, or {HELP}")
    return _name(square, table, evidence, present)


def median_frame(frames: Iterable[Planes], count: int = 9, *, every: int = 12) -> U8:
    """(H, W, 3) uint8 BGR: the median of ``count`` frames, one in ``every``, which loses passing people and steam."""
    planes = list(islice(frames, 0, count * every, every))
    if not planes:
        raise WellsError("there is no frame to find wells in; check the video")
    if len({frame.y.shape for frame in planes}) > 1:
        raise WellsError("the frames change their size; give a video of one size, or a single picture")
    y, u, v = (
        np.sort(np.stack([getattr(frame, name) for frame in planes]), axis=0)[len(planes) // 2] for name in "yuv"
    )
    return to_bgr(Planes(y=y, u=u, v=v, full_range=planes[0].full_range))


def _choose(evidence: F64, seen: Bools) -> Bools:
    """(rows, columns): the wells. A row has no holes; its ends need more evidence where most other rows have none."""
    clear = (evidence > _CLEAR) & seen
    rows = clear.sum(axis=1) >= 2
    present = np.zeros(evidence.shape, np.bool_)
    common = np.flatnonzero(clear[rows].sum(axis=0) >= max(1.0, rows.sum() / 2))
    if not len(common):
        return present
    # What looks like wells far beside the table is none; people may hide two of its columns.
    runs = np.split(common, np.flatnonzero(np.diff(common) > 3) + 1)
    common = max(runs, key=len)
    first, last = int(common[0]), int(common[-1])
    for row in np.flatnonzero(rows):
        good = np.flatnonzero((evidence[row, first : last + 1] > _ENOUGH) & seen[row, first : last + 1]) + first
        if not len(good):
            continue
        left, right = int(good[0]), int(good[-1])
        while 0 < left <= first and clear[row, left - 1]:
            left -= 1
        while last <= right < evidence.shape[1] - 1 and clear[row, right + 1]:
            right += 1
        present[row, left : right + 1] = True
    return present & seen


def _name(square: Square, table: Launders, evidence: F64, present: Bools) -> Found:
    """Wells by launder, side and place in their row."""
    rows, columns = np.nonzero(present)
    launders = np.unique(rows // 2)
    ids = tuple(
        well_id(2 * int(np.searchsorted(launders, row // 2)) + row % 2, int(present[row, :column].sum()))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    )
    oval = fit_oval(square, present & (evidence > _CLEAR))
    x, y = columns + square.first + oval.x / square.pitch, table.depths[rows] + oval.ys[rows] / square.pitch
    flat = np.column_stack([x, y])
    confidence = np.clip((evidence[rows, columns] - _NONE) / (_FULL - _NONE), 0, 1)
    doubtful = tuple(name for name, sure in zip(ids, confidence, strict=True) if sure < _DOUBT)
    wells = Wells(
        ids=ids,
        centres=project(table.view, flat),
        sizes=_boxes(table.view, flat, np.array([oval.width, oval.height]) / square.pitch),
        in_service=np.ones(len(ids), np.bool_),
    )
    return Found(
        wells=wells,
        confidence=np.asarray(confidence, np.float32),
        doubtful=doubtful,
        notes=tuple(_notes(ids, doubtful, _unsure_ends(square, evidence, present, ids))),
    )


def _boxes(view: F64, flat: F64, oval: F64) -> F64:
    """(wells, 2) width and height in pixels of the boxes around ovals of this width and height in pitches."""
    step = 1e-3
    centre, right, down = (project(view, flat + np.array(by)) for by in ((0.0, 0.0), (step, 0.0), (0.0, step)))
    boxes = np.hypot((right - centre) / step * oval[0], (down - centre) / step * oval[1])
    # Wells are deep: far ones show their walls where near ones show their floor, so all look equally round.
    boxes[:, 1] = boxes[:, 0] * np.median(boxes[:, 1] / boxes[:, 0])
    return np.asarray(boxes)


def _unsure_ends(square: Square, evidence: F64, present: Bools, ids: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    """Rows that may have a well more: their end well's id, the side, and whether the picture ends there."""
    unsure, done = [], 0
    for row in range(len(present)):
        columns = np.flatnonzero(present[row])
        if not len(columns):
            continue
        ends = (ids[done], ids[done + len(columns) - 1])
        done += len(columns)
        for name, side, column in zip(ends, _SIDES, (columns[0] - 1, columns[-1] + 1), strict=True):
            outside = not 0 <= column < present.shape[1] or not square.seen[row, column]
            if outside or evidence[row, column] > _ENOUGH:
                unsure.append((name, side, outside))
    return unsure


def _notes(ids: tuple[str, ...], doubtful: tuple[str, ...], ends: list[tuple[str, str, bool]]) -> list[str]:
    """What people should look at, and how to mend it."""
    notes = []
    if doubtful:
        names = ", ".join(doubtful)
        notes.append(
            f"{len(doubtful)} of {len(ids)} wells are doubtful ({names}): look at them in the preview and remove from "
            "the wells file what is none"
        )
    for name, side, outside in ends:
        what = "may go on beyond the picture" if outside else "may have one more well"
        shift = "; the numbers of its row would then go up by one" if side == "left" else ""
        notes.append(f"the row of {name} {what} to the {side} of it: if so, add it to the wells file{shift}")
    if len(doubtful) > len(ids) / 4:
        notes.append(f"much is unsure: try a brighter picture without people or steam, or {HELP}")
    return notes
