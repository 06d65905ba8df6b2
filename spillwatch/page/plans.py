"""The table as a map: wells by row and column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spillwatch.page.base import Plan
    from spillwatch.records import F64, Wells

_NAMED = re.compile(r"(\d{1,2})([UL])(\d{1,2})")  # launder, upper or lower row, column: as `locate` names wells


def plan_json(plan: Plan) -> dict[str, Any]:
    """Where a camera's wells are, in the picture and on the map; ``row`` and ``column`` count from 0."""
    wells = plan.wells
    cells = grid(wells)
    rows = [
        {
            "id": name,
            "x": float(wells.centres[i, 0]),
            "y": float(wells.centres[i, 1]),
            "width": float(wells.sizes[i, 0]),
            "height": float(wells.sizes[i, 1]),
            "out_of_service": not bool(wells.in_service[i]),
            "row": cells[i][0],
            "column": cells[i][1],
        }
        for i, name in enumerate(wells.ids)
    ]
    return {"camera": plan.camera, "edition": plan.edition, "wells": rows}


def grid(wells: Wells) -> list[tuple[int, int]]:
    """Row and column of each well: by their names where all have such, else by where they are in the picture."""
    named = [_NAMED.fullmatch(name) for name in wells.ids]
    if all(named):
        keys = [(int(match[1]), match[2] == "L", int(match[3])) for match in named if match]
        rows = sorted({key[:2] for key in keys})
        first = min(key[2] for key in keys)
        return [(rows.index(key[:2]), key[2] - first) for key in keys]
    return _by_place(wells)


def _by_place(wells: Wells) -> list[tuple[int, int]]:
    """Centres closer than half a well in y share a row, in x a column; what would then share a cell moves right."""
    rows = _ranks(wells.centres[:, 1], float(np.median(wells.sizes[:, 1])))
    columns = _ranks(wells.centres[:, 0], float(np.median(wells.sizes[:, 0])))
    taken: set[tuple[int, int]] = set()
    cells = []
    for row, column in zip(rows, columns, strict=True):
        while (row, column) in taken:
            column += 1  # noqa: PLW2901 - the next free cell
        taken.add((row, column))
        cells.append((row, column))
    return cells


def _ranks(values: F64, length: float) -> Sequence[int]:
    """Each value's group, counted from the smallest; a gap of half a length begins a new group."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order], prepend=values[order[0]] if len(order) else 0.0) > length / 2
    ranks = np.empty(len(values), int)
    ranks[order] = np.cumsum(steps)
    return [int(rank) for rank in ranks]
