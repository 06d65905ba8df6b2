"""What must survive, kept: one transaction per change, and what happens when the disk will not have it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

import structlog

from spillwatch.errors import StoreError
from spillwatch.records import AlarmEvent, Answer, Judgement, Memory, MinuteScores, encode, rfc3339
from spillwatch.store import history, memories, trends
from spillwatch.store.database import BrokenDatabaseError, Database, FolderInUseError
from spillwatch.store.outbox import Entry, StoredOutbox
from spillwatch.store.sequence import Sequence

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Many

    from spillwatch.config import StateSettings

LOW_BYTES = 16 * 1024 * 1024
"""With less free on the disk, history waits in memory and leaves the room to alarms (some ten thousand of them)."""

RETRY_S = 1.0
"""A disk that failed is tried again after so long."""

PRUNE_EVERY_S = 60.0

MOST_AFTER = 1000

MOST_ANSWERS = 10_000
"""Answers that wait while the disk takes none; anybody may send commands, and memory is for alarms."""

_LOG = structlog.get_logger()

_MEMORIES = "SELECT camera, memory FROM memories"
_LATEST = "SELECT camera, well, payload FROM latest"

_Place = tuple[str, str]  # camera, well; '' for the camera itself


@dataclass(slots=True)
class Counters:
    """Since the start."""

    transactions: int = 0
    failures: int = 0


class Store:
    """The state of a site: alarm memories, the sequence number, the outbox, the audit log and the history.

    ``record`` never raises and never loses: what cannot be written waits in memory and is tried again, here and in
    ``tick``, while ``degraded`` and ``trouble`` say so. Entering raises only FolderInUseError; leaving writes what it
    can. For one thread; the ``outbox`` is for any. ``deliver`` False: nobody takes events out of it, so none go in.
    """

    def __init__(self, settings: StateSettings, *, deliver: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._deliver = deliver
        self._clock = clock
        self._database = Database(settings.folder())
        self._claimed = self._opened = False
        self.outbox = StoredOutbox(self._database, clock)
        self.sequence = Sequence(settings.folder() / "last_seq")
        self.counters = Counters()
        self.trouble: str | None = None
        self._room = True
        self._notices: list[str] = []
        self._memories: dict[str, Memory] = {}
        self._latest: dict[_Place, str] = {}
        self._changed: set[str] = set()  # cameras whose memory is not written
        self._changed_latest: set[_Place] = set()
        self._answers: list[Answer] = []
        self._judgements: list[Judgement] = []
        self._history = history.History()
        self._retry_s = self._prune_s = -1e9

    def __enter__(self) -> Self:
        self._flush(force=True)
        if not self._opened:
            self.sequence.resume(None)
        return self

    def __exit__(self, *exc: object) -> None:
        self._flush(force=True)
        self.outbox.sweep()
        self._database.release()
        self._claimed = self._opened = False

    @property
    def degraded(self) -> tuple[str, ...]:
        """What does not work: ``storage`` (a restart would forget what happened since), ``history``."""
        if self.trouble:
            return "storage", "history"
        return () if self._room else ("history",)

    def memory(self, camera: str) -> Memory:
        """What is remembered of a camera's alarms."""
        return self._memories.get(camera, Memory())

    def cameras(self) -> set[str]:
        """The cameras of which anything is remembered."""
        return {camera for camera, memory in self._memories.items() if memory != Memory()}

    def latest(self, camera: str, well: str | None) -> str | None:
        """The newest event of a well, or of the camera itself, as JSON."""
        return self._latest.get((camera, well or ""))

    def events_after(self, seq: int) -> list[str]:
        """The events of the history that follow a number, as JSON, oldest first; the latest ``MOST_AFTER``."""
        sql = "SELECT payload FROM history WHERE seq > ? ORDER BY seq DESC LIMIT ?"
        try:
            return [str(row[0]) for row in reversed(self._database.query(sql, (seq, MOST_AFTER)))]
        except StoreError:
            return []

    def notices(self) -> list[str]:
        """What people must be told of once, such as a broken database; empties the list."""
        told, self._notices = self._notices, []
        return told

    def record(
        self, events: Many[AlarmEvent] = (), memories: Mapping[str, Memory] | None = None, answers: Many[Answer] = ()
    ) -> None:
        """Keep what a step changed; afterwards its events may be published. Costs nothing when nothing changed."""
        changed = {camera for camera, memory in (memories or {}).items() if memory != self.memory(camera)}
        if not (events or changed or answers):
            return
        self._memories.update(memories or {})
        self._changed |= changed
        self._answers = [*self._answers, *answers][-MOST_ANSWERS:] if answers else self._answers
        for event in events:
            if not event.test:  # what stands at the broker is what is true of the well
                place = event.camera, event.well or ""
                self._latest[place] = encode(event)
                self._changed_latest.add(place)
            self._history.add(event)
        if self._deliver:
            made_s = self._clock()
            self.outbox.add(Entry(event.seq, encode(event), made_s) for event in events)
        self._flush()
        self.sequence.mark(durable=self.trouble is not None)
        if events:
            self.outbox.show(events[-1].seq)

    def judge(self, judgement: Judgement) -> None:
        """Keep what somebody says an alarm was; the newest word counts."""
        self._judgements.append(judgement)
        self._flush()

    def keep_trends(self, rows: Many[MinuteScores]) -> None:
        """Keep a minute's scores, if there is room and nothing is amiss: no alarm hangs on them."""
        if rows and self._settings.trend_days and self._room and not self.trouble:
            self._attempt(partial(self._write_trends, rows))

    def tick(self) -> None:
        """To be called about every second: retries, looks after the free space, and prunes the history."""
        self._room = self._has_room()
        if self.trouble or self._waiting():
            self._flush()
        self.outbox.sweep()
        if not self.trouble and self._clock() >= self._prune_s:
            self._prune_s = self._clock() + PRUNE_EVERY_S
            self._attempt(self._prune)

    def _waiting(self) -> bool:
        changed = self._changed or self._changed_latest or self._answers or self._judgements
        return bool(changed or (self._room and len(self._history)))

    def _has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._database.path.parent).free >= LOW_BYTES
        except OSError:
            return False

    # Writing

    def _flush(self, *, force: bool = False) -> None:
        if self.trouble and not force and self._clock() < self._retry_s:
            return
        self._attempt(self._write)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            try:
                self._open()
                action()
            except BrokenDatabaseError as exc:
                self._begin_anew(exc)
                self._write()
        except FolderInUseError:
            raise
        except StoreError as exc:
            self.counters.failures += 1
            self._retry_s = self._clock() + RETRY_S
            if str(exc) != self.trouble:
                _LOG.error("store.degraded", reason=str(exc))
            self.trouble = str(exc)
        else:
            if self.trouble:
                _LOG.warning("store.recovered", path=str(self._database.path))
            self.trouble = None

    def _write(self) -> None:
        self._room = self._has_room()
        entries = self.outbox.unwritten()
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('seq', ?)", (self.sequence.last,))
            self._write_memories(connection)
            connection.executemany("INSERT OR REPLACE INTO outbox VALUES (?, ?, ?)", entries)
            audit = [(rfc3339(answer.at), encode(answer)) for answer in self._answers]
            connection.executemany("INSERT INTO audit (at, payload) VALUES (?, ?)", audit)
            for j in self._judgements:
                connection.execute("DELETE FROM judgements WHERE alarm = ?", (j.alarm,))
                if j.verdict is not None:
                    said = (j.alarm, j.verdict, j.note, j.by, rfc3339(j.at))
                    connection.execute("INSERT INTO judgements VALUES (?, ?, ?, ?, ?)", said)
            if self._room:
                self._history.write(connection)
        self.counters.transactions += 1
        self.outbox.written(entries)
        self._changed.clear()
        self._changed_latest.clear()
        self._answers.clear()
        self._judgements.clear()
        if self._room:
            self._history.written()

    def _write_memories(self, connection: sqlite3.Connection) -> None:
        rows = [(camera, memories.to_text(self._memories[camera])) for camera in self._changed]
        connection.executemany("INSERT OR REPLACE INTO memories VALUES (?, ?)", rows)
        latest = [(*place, self._latest[place]) for place in self._changed_latest]
        connection.executemany("INSERT OR REPLACE INTO latest VALUES (?, ?, ?)", latest)

    def _write_trends(self, rows: Many[MinuteScores]) -> None:
        with self._database.transaction(durable=False) as connection:
            trends.write(connection, rows)

    def _prune(self) -> None:
        now, settings = datetime.now(UTC), self._settings
        with self._database.transaction(durable=False) as connection:
            before = now - timedelta(days=settings.history_days)
            history.prune(connection, before=before, most=settings.history_events)
            before = now - timedelta(days=settings.trend_days)
            trends.prune(connection, before=before, most=settings.trend_rows, at_once=history.PRUNED_AT_ONCE)

    # Opening

    def _open(self) -> None:
        if self._opened:
            return
        if not self._claimed:
            self._database.claim()
            self._claimed = True
        self._database.open()
        stored = self._database.query("SELECT value FROM meta WHERE key = 'seq'")
        self.sequence.resume(int(str(stored[0][0])) if stored else 0)
        self.outbox.restore(self.sequence.last)
        self._remember(
            self._database.query(_MEMORIES),
            self._database.query(_LATEST),
        )
        self._opened = True  # only now: what could not be read is no "nothing"

    def _remember(self, kept: Many[tuple[object, ...]], latest: Many[tuple[object, ...]]) -> None:
        """Take up what an earlier run knew; what this one has learnt before the disk came back counts more."""
        for camera, text in kept:
            if camera not in self._memories:
                try:
                    self._memories[str(camera)] = memories.from_text(str(text))
                except StoreError as exc:
                    _LOG.error("store.unreadable", camera=camera, reason=str(exc))
        for camera, well, payload in latest:
            self._latest.setdefault((str(camera), str(well)), str(payload))

    def _begin_anew(self, fault: BrokenDatabaseError) -> None:
        """Set the broken file aside; what can still be read of it, and all that is known here, goes into a new one."""
        self._opened = False
        self._database.close()
        salvage = self._database.salvage
        self._remember(salvage(_MEMORIES), salvage(_LATEST))
        entries = [entry for row in salvage("SELECT seq, payload, made_s FROM outbox") if (entry := _sound(row))]
        aside = self._database.set_aside()
        _LOG.error("store.broken", reason=str(fault), set_aside=str(aside), events_saved=len(entries))
        self._notices.append(f"{fault}; it is kept as {aside.name}, and a new one was begun")
        self.sequence.resume(None)
        self.outbox.rescue(entries)
        self._changed = set(self._memories)
        self._changed_latest = set(self._latest)
        self._open()  # last, for it may fail, and what was saved waits then


def _sound(row: tuple[object, ...]) -> Entry | None:
    """An event out of a broken file, if it is one."""
    seq, payload, made_s = row
    try:
        if isinstance(seq, int) and isinstance(payload, str) and json.loads(payload)["seq"] == seq:
            return Entry(seq, payload, float(str(made_s)))
    except (ValueError, TypeError, KeyError):
        pass
    return None
