"""What the database holds of the past, read from beside a running daemon: nothing is written, nothing is locked."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from spillwatch.errors import StoreError
from spillwatch.records import AlarmEvent, AlarmState, Condition, Judgement, Priority, rfc3339
from spillwatch.store import trends
from spillwatch.store.database import BUSY_S, SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spillwatch.records import Trend

T = TypeVar("T")

WAITS_S = 10 * BUSY_S
"""A reader is in no hurry."""

_WITHIN = "SELECT payload FROM history WHERE at >= ? AND at < ?"
# All events of the alarms that were not at rest then, by the last event of each place and condition. An id without its
# number names the alarm.
_STANDING = """
WITH before AS (SELECT seq, camera, well, payload, rtrim(payload ->> 'id', '0123456789') AS name,
                       payload ->> 'condition' AS condition FROM history WHERE at < ?),
     last AS (SELECT max(seq) AS seq FROM before GROUP BY camera, well, condition)
SELECT payload FROM before WHERE name IN (
    SELECT name FROM before JOIN last USING (seq) WHERE payload ->> 'state' != 'normal')
"""
_ENUMS = {"condition": Condition, "state": AlarmState, "priority": Priority}
_FIELDS = {field.name for field in fields(AlarmEvent)}


class Past:
    """The history in a state directory. Each method reads what was committed by then; StoreError says why not."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "spillwatch.db"

    def events(self, since: datetime, until: datetime) -> list[AlarmEvent]:
        """In the order of ``seq``: those of the time, and before them all events of alarms that stood already."""
        start, end = rfc3339(since), rfc3339(until)

        def ask(connection: sqlite3.Connection) -> list[AlarmEvent]:
            before = connection.execute(_STANDING, (start,)).fetchall()
            return [_event(text) for (text,) in [*before, *connection.execute(_WITHIN, (start, end))]]

        return sorted(self._read(ask), key=lambda event: event.seq)

    def judgements(self) -> dict[str, Judgement]:
        """What people said that alarms were, by the alarm's name."""
        rows = self._read(lambda c: c.execute("SELECT alarm, verdict, note, by, at FROM judgements").fetchall())
        return {
            name: Judgement(
                alarm=name, verdict=bool(verdict), note=note or "", by=by or "", at=datetime.fromisoformat(at)
            )
            for name, verdict, note, by, at in rows
        }

    def trends(self, since: datetime, until: datetime) -> dict[str, Trend]:
        """The scores by the minute, by camera."""
        return self._read(lambda connection: trends.read(connection, since, until))

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        address = f"file:{quote(str(self._path))}?mode=ro"
        try:
            if not self._path.exists():
                raise StoreError(
                    f"there is no history at {self._path}; name the state directory with --state (the service's own is "
                    "/var/lib/spillwatch)"
                )
            with closing(sqlite3.connect(address, uri=True, timeout=WAITS_S)) as connection:
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                if not 1 <= found <= SCHEMA_VERSION:
                    raise StoreError(
                        f"the history {self._path} has schema {found}, this spillwatch knows 1 to {SCHEMA_VERSION}; "
                        "read it with the spillwatch that wrote it"
                    )
                return ask(connection)
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as exc:
            raise StoreError(
                f"the history {self._path} cannot be read: {exc}; it takes an undamaged file and the right to read it"
            ) from exc


def _event(text: str) -> AlarmEvent:
    """An event as ``records.encode`` wrote it; what a newer spillwatch added to it is left out."""
    values = {name: value for name, value in json.loads(text).items() if name in _FIELDS}
    values |= {name: kind(values[name]) for name, kind in _ENUMS.items()}
    return AlarmEvent(**values | {"at": datetime.fromisoformat(values["at"])})
