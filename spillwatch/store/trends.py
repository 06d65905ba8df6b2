"""Scores by the minute, kept for looking back: one small row per camera and minute."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from spillwatch.records import MinuteScores, Trend

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

SCHEMA = """
CREATE TABLE IF NOT EXISTS trend_wells (number INTEGER PRIMARY KEY, wells TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS trends (minute INTEGER, camera TEXT, wells INTEGER NOT NULL, peaks BLOB NOT NULL,
                                   means BLOB NOT NULL, PRIMARY KEY (minute, camera)) WITHOUT ROWID;
"""
# minute counts from 1970; peaks and means are natural logarithms of scores, a little-endian half float per well, to
# within 0.4 % of a score; NaN is a well without one

_HALF = np.dtype("<f2")


def write(connection: sqlite3.Connection, rows: Iterable[MinuteScores]) -> None:
    """Within a transaction; a minute that was written already is written over."""
    for row in rows:
        wells = json.dumps(row.wells, ensure_ascii=False, separators=(",", ":"))
        connection.execute("INSERT OR IGNORE INTO trend_wells (wells) VALUES (?)", (wells,))
        connection.execute(
            "INSERT OR REPLACE INTO trends SELECT ?, ?, number, ?, ? FROM trend_wells WHERE wells = ?",
            (_minute(row.at), row.camera, row.peaks.astype(_HALF).tobytes(), row.means.astype(_HALF).tobytes(), wells),
        )


def prune(connection: sqlite3.Connection, *, before: datetime, most: int, at_once: int) -> None:
    """Remove some of what is older, and of what exceeds ``most`` rows; within a transaction."""
    connection.execute(
        "DELETE FROM trends WHERE (minute, camera) IN (SELECT minute, camera FROM trends WHERE minute < ? LIMIT ?)",
        (_minute(before), at_once),
    )
    connection.execute(
        "DELETE FROM trends WHERE (minute, camera) IN "
        "(SELECT minute, camera FROM trends ORDER BY minute DESC, camera LIMIT ? OFFSET ?)",
        (at_once, most),
    )


def read(connection: sqlite3.Connection, since: datetime, until: datetime) -> dict[str, Trend]:
    """By camera; wells that a camera had at any minute of the time. Empty where the file is older than trends."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'trends'").fetchone():
        return {}
    rows = connection.execute(
        "SELECT camera, minute, w.wells, peaks, means FROM trends t JOIN trend_wells w ON w.number = t.wells "
        "WHERE minute >= ? AND minute * 60 < ? ORDER BY camera, minute",
        (_minute(since), until.timestamp()),
    )
    return {camera: _trend(list(group)) for camera, group in groupby(rows, key=lambda row: str(row[0]))}


def _trend(rows: list[tuple[str, int, str, bytes, bytes]]) -> Trend:
    lists = {text: json.loads(text) for text in dict.fromkeys(row[2] for row in rows)}
    wells = tuple(dict.fromkeys(well for ids in lists.values() for well in ids))
    columns = {text: [wells.index(well) for well in ids] for text, ids in lists.items()}
    peaks, means = np.full((2, len(rows), len(wells)), np.nan, np.float32)
    for i, (_, _, text, peak, mean) in enumerate(rows):
        peaks[i, columns[text]] = np.frombuffer(peak, _HALF)
        means[i, columns[text]] = np.frombuffer(mean, _HALF)
    times = tuple(datetime.fromtimestamp(60 * row[1], UTC) for row in rows)
    return Trend(wells=wells, times=times, peaks=peaks, means=means)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)
