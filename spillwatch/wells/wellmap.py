"""The wells file: where the wells of one camera are (TOML, written by ``locate``, edited by people)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import tomlkit

from spillwatch import inputs
from spillwatch.errors import WellsError
from spillwatch.inputs import shown
from spillwatch.outputs import write_whole
from spillwatch.pictures import from_bgr, read
from spillwatch.records import Wells

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8

MAX_WELLS = 500  # a strip of all crops must stay below the 32 767 pixels that cv2.remap can address
FAR = 100_000  # pixels; no picture is as large
_FIELDS = {"id", "x", "y", "width", "height", "out_of_service"}


def load(path: Path) -> Wells:
    """Read a wells file. Raises WellsError that names the file, the well, the value and the mend."""
    try:
        data = inputs.read_toml(path, what="wells file", error=WellsError)
    except OSError as exc:
        raise WellsError(f"wells file {path} cannot be read: {exc.strerror}; make one with: spillwatch locate") from exc
    if unknown := sorted(data.keys() - {"reference", "wells"}):
        raise WellsError(f"wells file {path}: unknown key {shown(unknown[0])}; known keys are reference and [[wells]]")
    rows = data.get("wells")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise WellsError(f"wells file {path} has no [[wells]]; make one with: spillwatch locate")
    if len(rows) > MAX_WELLS:
        raise WellsError(f"wells file {path} has {len(rows)} wells; at most {MAX_WELLS} are allowed")
    reference = data.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise WellsError(f"wells file {path}: reference must be a file name, not {shown(reference)}")
    wells = [_well(path, number, row) for number, row in enumerate(rows, start=1)]
    ids = tuple(str(well["id"]) for well in wells)
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise WellsError(f"wells file {path}: id {twice[0]!r} is used twice; every well needs its own")
    return Wells(
        ids=ids,
        centres=np.array([(well["x"], well["y"]) for well in wells], np.float64),
        sizes=np.array([(well["width"], well["height"]) for well in wells], np.float64),
        in_service=np.array([not well["out_of_service"] for well in wells], np.bool_),
        reference=path.parent / reference if reference else None,
    )


def _well(path: Path, number: int, row: dict[str, Any]) -> dict[str, Any]:
    where = f"wells file {path}, well {number} ({shown(row.get('id', 'no id'))})"
    if unknown := sorted(row.keys() - _FIELDS):
        raise WellsError(f"{where}: unknown key {shown(unknown[0])}; known keys are {', '.join(sorted(_FIELDS))}")
    well = {"out_of_service": False, **row}
    if not isinstance(well.get("id"), str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", well["id"]):
        raise WellsError(f"{where}: id must be 1 to 64 letters, digits, '.', '_' or '-', since it becomes a topic")
    for key in ("x", "y", "width", "height"):
        value = well.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -FAR <= value <= FAR:
            raise WellsError(f"{where}: {key} must be a number of pixels, not {shown(value)}")
        if key in ("width", "height") and not 4 <= value <= 4096:
            raise WellsError(f"{where}: {key} = {value} px is out of range; 4 to 4096 is allowed")
    if not isinstance(well["out_of_service"], bool):
        raise WellsError(f"{where}: out_of_service must be true or false, not {shown(well['out_of_service'])}")
    return well


def save(wells: Wells, path: Path) -> None:
    """Write a wells file, whole or not at all."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Wells of one camera, in pixels of the reference frame: x, y is a well's centre."))
    if wells.reference is not None:
        document["reference"] = os.path.relpath(wells.reference, path.parent)
    rows = tomlkit.aot()
    for i, well_id in enumerate(wells.ids):
        row = tomlkit.table()
        row["id"] = well_id
        row["x"], row["y"] = (round(float(v), 1) for v in wells.centres[i])
        row["width"], row["height"] = (round(float(v), 1) for v in wells.sizes[i])
        row["out_of_service"] = not bool(wells.in_service[i])
        rows.append(row)
    document["wells"] = rows
    try:
        write_whole(path, tomlkit.dumps(document).encode())
    except OSError as exc:
        raise WellsError(f"wells file {path} cannot be written: {exc.strerror}; choose another place") from exc


def check_fits(wells: Wells, *, width: int, height: int) -> None:
    """Raise WellsError unless every well's oval lies inside a (height, width) frame."""
    low = wells.centres - wells.sizes / 2
    high = wells.centres + wells.sizes / 2
    outside = ((low < 0) | (high > np.array([width, height]))).any(axis=1)
    if outside.any():
        names = [wells.ids[i] for i in np.flatnonzero(outside)]
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        far = int(np.flatnonzero(outside)[0])
        x, y = wells.centres[far]
        raise WellsError(
            f"{len(names)} of {len(wells)} wells lie outside the {width}x{height} frame ({shown}; {wells.ids[far]} is "
            f"at {x:g}, {y:g}): is this the picture that they were located on? Mend it with: spillwatch locate"
        )


def reference_luma(wells: Wells) -> U8 | None:
    """(H, W) uint8 luma of the picture that the wells were located on; None where the wells file names none."""
    if wells.reference is None:
        return None
    try:
        bgr = read(wells.reference, what="reference picture", error=WellsError)
    except OSError:
        bgr = None
    if bgr is None:
        raise WellsError(
            f"reference picture {wells.reference} cannot be read; take `reference` out of the wells file, or locate "
            "the wells again with: spillwatch locate"
        )
    return from_bgr(bgr).y
