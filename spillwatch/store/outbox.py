"""Events on their way to the broker: on disk until it has acknowledged them, in memory where the disk fails."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import structlog

from spillwatch.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spillwatch.records import AlarmEvent
    from spillwatch.store.database import Database

PAGE = 200
"""Events that are read from disk at a time: a backlog of any length takes the memory of one page."""

RETRY_S = 1.0
"""A disk that failed is tried again after so long."""

MAX_UNWRITTEN = 50_000
"""Events that memory holds while the disk takes none (some 50 MB); beyond it the oldest are lost, and logged."""

_LOG = structlog.get_logger()


class Entry(NamedTuple):
    """One event: its JSON text, and when it was made on the monotonic clock (which says nothing after a restart)."""

    seq: int
    payload: str
    made_s: float


class StoredOutbox:
    """The outbox on disk. ``add`` and the database's transactions are the owner's; the rest is for any thread.

    Events are taken in the order of ``seq``, first those on disk. If the disk cannot be read, those in memory go ahead
    of them: an alarm must not wait for a disk.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()  # taken before the database's own, never after
        self._unwritten: dict[int, Entry] = {}  # not on disk, in order
        self._page: deque[Entry] = deque()  # read from disk
        self._read = 0  # the last seq that was read
        self._visible = 0  # the last seq that may be taken
        self._taken: dict[int, Entry] = {}  # and not acknowledged
        self._gone: set[int] = set()  # acknowledged, but still on disk
        self._sweep_s = -math.inf  # no earlier than this
        self._earlier = 0  # the last seq of the run before
        self._count = 0

    def __len__(self) -> int:
        """Events that the broker has not acknowledged."""
        return self._count

    def restore(self, last_seq: int) -> None:
        """Take up what is on disk; events up to ``last_seq`` are of an earlier run."""
        ((count,),) = self._database.query("SELECT count(*) FROM outbox")
        with self._lock:
            self._earlier = last_seq
            self._visible = max(self._visible, last_seq)
            self._count = int(str(count)) + len(self._unwritten)

    def add(self, entries: Iterable[Entry]) -> None:
        """They wait to be written; nobody can take them yet."""
        with self._lock:
            for entry in entries:
                self._unwritten[entry.seq] = entry
                self._count += 1
            while len(self._unwritten) > MAX_UNWRITTEN:
                lost = self._unwritten.pop(next(iter(self._unwritten)))
                self._count -= 1
                _LOG.error("outbox.overflowed", lost_seq=lost.seq)

    def unwritten(self) -> list[Entry]:
        """What the next transaction has to write."""
        with self._lock:
            return list(self._unwritten.values())

    def written(self, entries: Iterable[Entry]) -> None:
        """The transaction was committed."""
        with self._lock:
            for entry in entries:
                if self._unwritten.pop(entry.seq, None) is None:  # acknowledged meanwhile
                    self._gone.add(entry.seq)

    def show(self, last_seq: int) -> None:
        """What has been added may be taken: it is on disk, or the disk has failed."""
        with self._lock:
            self._visible = max(self._visible, last_seq)

    def append(self, event: AlarmEvent) -> None:
        """Nothing is left to do: it was stored with the step that made it, before anybody was told."""

    def take(self) -> Entry | None:
        """The next one, each once; one that an earlier run made was made at minus infinity."""
        with self._lock:
            entry = self._next_on_disk() or self._next_in_memory()
            if entry is None:
                return None
            self._taken[entry.seq] = entry
            return entry._replace(made_s=-math.inf) if entry.seq <= self._earlier else entry

    def acknowledged(self, seq: int) -> None:
        """The broker has it, so it may be forgotten."""
        with self._lock:
            if self._taken.pop(seq, None) is None:
                return
            self._count -= 1
            if self._unwritten.pop(seq, None) is None:
                self._gone.add(seq)
            self._sweep()

    def untake(self) -> None:
        """The receiver left without acknowledging what it took: begin again with the oldest."""
        with self._lock:
            self._taken.clear()
            self._page.clear()
            self._read = 0

    def rescue(self, salvaged: Iterable[Entry]) -> None:
        """The file was lost: all that is known of, and was not acknowledged, has to be written to the new one."""
        with self._lock:
            known = {entry.seq: entry for entry in (*salvaged, *self._page) if entry.seq not in self._gone}
            known |= self._taken | self._unwritten
            self._unwritten = dict(sorted(known.items()))
            self._page.clear()
            self._gone.clear()
            self._read = 0
            self._count = len(self._unwritten)

    def sweep(self) -> None:
        """Take what was acknowledged off the disk, if that failed before."""
        with self._lock:
            self._sweep()

    def _next_on_disk(self) -> Entry | None:
        while not self._page and self._read < self._visible:
            try:
                rows = self._database.query(
                    "SELECT seq, payload, made_s FROM outbox WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                    (self._read, self._visible, PAGE),
                )
            except StoreError:
                return None  # the owner's next write meets the same fault and announces it
            page = [Entry(*row) for row in rows]  # type: ignore[arg-type]
            if not page:
                break
            self._read = page[-1].seq
            self._page.extend(entry for entry in page if entry.seq not in self._taken and entry.seq not in self._gone)
        return self._page.popleft() if self._page else None

    def _next_in_memory(self) -> Entry | None:
        for seq, entry in self._unwritten.items():
            if seq <= self._visible and seq not in self._taken:
                return entry
        return None

    def _sweep(self) -> None:
        if not self._gone or self._clock() < self._sweep_s:
            return
        try:
            # Not durable: should the power fail right now, these events are sent once more, under the same ids
            with self._database.transaction(durable=False) as connection:
                connection.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in self._gone])
        except StoreError:
            self._sweep_s = self._clock() + RETRY_S
        else:
            self._gone.clear()
