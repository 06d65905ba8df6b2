"""One SQLite file that survives a killed process and a lost power supply at any instant.

WAL with ``synchronous=FULL``: a transaction that was committed is on the disk. ``durable=False`` skips the wait for the
disk: such a transaction survives a killed process, and a lost power supply may take it back, whole.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import threading
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from spillwatch.errors import StoreError
from spillwatch.store import trends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SCHEMA_VERSION = 2
SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE memories (camera TEXT PRIMARY KEY, memory TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE latest (camera TEXT, well TEXT, payload TEXT NOT NULL, PRIMARY KEY (camera, well)) WITHOUT ROWID;
CREATE TABLE outbox (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL, made_s REAL NOT NULL);
CREATE TABLE history (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, camera TEXT NOT NULL, well TEXT, payload TEXT);
CREATE INDEX history_by_time ON history (at);
CREATE INDEX history_by_well ON history (well, at);
CREATE TABLE audit (number INTEGER PRIMARY KEY, at TEXT NOT NULL, payload TEXT NOT NULL);
CREATE TABLE judgements (alarm TEXT PRIMARY KEY, verdict INTEGER NOT NULL, note TEXT, by TEXT, at TEXT) WITHOUT ROWID;
{trends.SCHEMA}"""
# latest.well is '' and history.well NULL for conditions of the camera; times are RFC 3339 in UTC, so text sorts by time

_NEWER = {1: trends.SCHEMA}
"""What a file of an older schema lacks."""

CACHE_KIB = 512
"""Pages that SQLite keeps in memory: enough for what a transaction touches, and full within minutes."""

BUSY_S = 0.2
"""Another process may hold the file for so long; the pipeline waits for it."""

KEPT_BROKEN = 3
"""Broken files that are kept for whoever wants to look into them."""

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class BrokenDatabaseError(StoreError):
    """What is in the file is no database, or a damaged one; waiting does not mend it."""


class FolderInUseError(StoreError):
    """Another spillwatch runs on the same state directory: two of them would tell every alarm twice."""


class Database:
    """The file ``name`` in a folder that nobody else may use meanwhile. Safe from any thread."""

    def __init__(self, folder: Path, name: str = "spillwatch.db") -> None:
        self.path = folder / name
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._claim: int | None = None

    def claim(self) -> None:
        """Make the folder and keep others out of it; raises StoreError when it is taken or cannot be written."""
        with self._explained():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.parent.stat().st_mode & stat.S_IWOTH:
                raise StoreError(f"everyone can change {self.path.parent}; run: chmod o-w {self.path.parent}")
            self._claim = os.open(self.path.parent / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._unclaim()
                raise FolderInUseError(
                    f"the state directory {self.path.parent} is in use by another spillwatch; "
                    "stop that one, or set state.directory"
                ) from None

    def open(self) -> None:
        """Raises BrokenDatabaseError or StoreError; whole when it returns."""
        with self._lock, self._explained():
            self.close()
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's own files take its mode from it
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise BrokenDatabaseError(f"the database {self.path} is damaged: {verdict}")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if not 0 <= found <= SCHEMA_VERSION:
            raise StoreError(
                f"the database {self.path} has schema {found}, this spillwatch knows {SCHEMA_VERSION}; "
                "use a newer spillwatch, or move the file away"
            )
        if found != SCHEMA_VERSION:
            missing = SCHEMA if found == 0 else _NEWER[found]
            connection.executescript(f"BEGIN IMMEDIATE; {missing} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")

    def close(self) -> None:
        """May be opened again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection:
                with suppress(sqlite3.Error):  # nothing is lost: what was committed is in the file
                    connection.close()

    def release(self) -> None:
        """Close it, and let others have the folder."""
        self.close()
        self._unclaim()

    def _unclaim(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def salvage(self, sql: str) -> list[tuple[object, ...]]:
        """The rows that a broken file still gives; not to be trusted."""
        rows: list[tuple[object, ...]] = []
        address = f"file:{quote(str(self.path))}?mode=ro"
        with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as connection:
            rows.extend(connection.execute(sql))
        return rows

    def set_aside(self) -> Path:
        """Give a broken file another name, so that a new one can be begun; the name."""
        self.close()
        aside = self.path.with_name(f"{self.path.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S}Z")
        with self._explained():
            for old, new in zip(_with_logs(self.path), _with_logs(aside), strict=True):
                if old.exists():
                    old.replace(new)
            for surplus in sorted(self.path.parent.glob(f"{self.path.name}.broken-*Z"))[:-KEPT_BROKEN]:
                for file in _with_logs(surplus):
                    file.unlink(missing_ok=True)
        return aside

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All of it or nothing."""
        with self._lock, self._explained():
            connection = self._opened()
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have rolled it back already
                    connection.execute("ROLLBACK")
                raise

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows."""
        with self._lock, self._explained():
            return self._opened().execute(sql, values).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"the database {self.path} is not open")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            kind = BrokenDatabaseError if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _BROKEN else StoreError
            raise kind(f"the database {self.path} cannot be used: {exc}") from exc
        except OSError as exc:
            raise StoreError(f"the state directory {self.path.parent} cannot be used: {exc.strerror or exc}") from exc


def _with_logs(path: Path) -> list[Path]:
    """A database file and what SQLite keeps beside it."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
