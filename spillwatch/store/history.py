"""What has happened: every event and every command, for as long as the settings say."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from spillwatch.records import AlarmEvent, encode, rfc3339

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

MAX_WAITING = 10_000
"""Events that wait in memory while space is short; beyond it the oldest are missing in the history."""

PRUNED_AT_ONCE = 1000
"""Rows that one transaction removes, so that no frame waits long for it."""

_PRUNE = (
    "DELETE FROM history WHERE seq IN (SELECT seq FROM history WHERE at < ? ORDER BY at LIMIT ?)",
    "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at < ? ORDER BY number LIMIT ?)",
)
_CAP = (
    "DELETE FROM history WHERE seq IN (SELECT seq FROM history ORDER BY seq DESC LIMIT ? OFFSET ?)",
    "DELETE FROM audit WHERE number IN (SELECT number FROM audit ORDER BY number DESC LIMIT ? OFFSET ?)",
)


class History:
    """Events wait here until there is room for them; alarms themselves never wait for history."""

    def __init__(self) -> None:
        self._waiting: deque[AlarmEvent] = deque(maxlen=MAX_WAITING)

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._waiting)

    def add(self, event: AlarmEvent) -> None:
        self._waiting.append(event)

    def write(self, connection: sqlite3.Connection) -> None:
        """Within a transaction."""
        rows = ((e.seq, rfc3339(e.at), e.camera, e.well, encode(e)) for e in self._waiting)
        connection.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?)", rows)

    def written(self) -> None:
        """The transaction was committed."""
        self._waiting.clear()


def prune(connection: sqlite3.Connection, *, before: datetime, most: int) -> None:
    """Remove some of what is older, and of what exceeds ``most`` rows; within a transaction."""
    for statement in _PRUNE:
        connection.execute(statement, (rfc3339(before), PRUNED_AT_ONCE))
    for statement in _CAP:
        connection.execute(statement, (PRUNED_AT_ONCE, most))
