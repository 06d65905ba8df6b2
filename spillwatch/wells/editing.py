"""Changing a wells file in place: people's comments, order and numbers that nobody touched stay as they are."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from spillwatch import inputs
from spillwatch.errors import WellsError
from spillwatch.outputs import backup_of
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from tomlkit import TOMLDocument
    from tomlkit.items import Table

_NUMBERS = ("x", "y", "width", "height")


def digest(path: Path) -> str:
    """Tells two texts of a wells file apart."""
    try:
        return hashlib.sha256(inputs.read(path, what="wells file", error=WellsError)).hexdigest()
    except OSError as exc:
        raise WellsError(f"wells file {path} cannot be read: {exc.strerror}") from exc


def rewrite(path: Path, rows: Sequence[Mapping[str, Any]], *, expected: str, at: datetime) -> Path:
    """Make the file's wells these ``rows`` and return where the old text is kept: NAME.bak-DATE.

    A row has the file's own keys, all of them, and ``was``: the well's name in the file, None for a new well. Wells
    that no row names are taken out. Raises WellsError, with the file untouched, when its digest is not the
    ``expected`` one or the rows make no valid wells file.
    """
    if digest(path) != expected:
        raise WellsError(f"wells file {path.name} was changed by somebody else meanwhile; load this page anew")
    document = _read(path)
    _apply(document, rows, path)
    scratch = path.with_name(path.name + ".part")
    backup = backup_of(path, at)
    try:
        scratch.write_text(tomlkit.dumps(document), encoding="utf-8")
        shutil.copymode(path, scratch)
        _check(scratch, path)
        shutil.copy2(path, backup)
        scratch.replace(path)
    except OSError as exc:
        raise WellsError(
            f"wells file {path} cannot be written: {exc.strerror}; keep it in a folder that spillwatch may write to, "
            "such as its state directory"
        ) from exc
    finally:
        scratch.unlink(missing_ok=True)
    return backup


def _check(scratch: Path, path: Path) -> None:
    """As the daemon reads it, and inside the reference picture."""
    try:
        wells = wellmap.load(scratch)
        luma = wellmap.reference_luma(wells)
        if luma is not None:
            wellmap.check_fits(wells, width=luma.shape[1], height=luma.shape[0])
    except WellsError as exc:
        raise WellsError(str(exc).replace(str(scratch), path.name)) from exc


def _read(path: Path) -> TOMLDocument:
    try:
        content = inputs.read(path, what="wells file", error=WellsError)
        return tomlkit.parse(inputs.text(content, what=f"wells file {path.name}", error=WellsError))
    except (OSError, TOMLKitError) as exc:
        raise WellsError(f"wells file {path.name} is not valid TOML: {exc}") from exc


def _apply(document: TOMLDocument, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    tables = document.get("wells")
    if not isinstance(tables, tomlkit.items.AoT):
        raise WellsError(f"wells file {path.name} does not write its wells as [[wells]]; locate them anew")
    there: dict[str, Table] = {str(table.get("id")): table for table in tables}
    if strangers := sorted({row["was"] for row in rows if row["was"] is not None} - there.keys()):
        raise WellsError(f"wells file {path.name} has no well {strangers[0]!r}; load this page anew")
    kept = {row["was"]: row for row in rows if row["was"] is not None}
    for index in reversed(range(len(tables))):
        row = kept.get(str(tables[index].get("id")))
        if row is None:
            del tables[index]
        else:
            _change(tables[index], row)
    for row in rows:
        if row["was"] is None:
            tables.append(_change(tomlkit.table(), row))


def _change(table: Table, row: Mapping[str, Any]) -> Table:
    """Only what differs, so that the rest keeps its form."""
    wanted = {"id": row["id"], **{key: round(float(row[key]), 1) for key in _NUMBERS}}
    for key, value in wanted.items():
        old = table.get(key)
        if old is None or (old != value if key == "id" else abs(float(old) - float(row[key])) >= 0.05):
            table[key] = value
    if bool(table.get("out_of_service", False)) != row["out_of_service"]:
        table["out_of_service"] = row["out_of_service"]
    return table
