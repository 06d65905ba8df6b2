"""What survives: the store on a real disk, full, locked and broken."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.config import StateSettings
from spillwatch.errors import StoreError
from spillwatch.records import AlarmMemory, AlarmState, Answer, Condition, Judgement, Memory, Suppression
from spillwatch.store import keeping
from spillwatch.store.database import BrokenDatabaseError, Database, FolderInUseError
from spillwatch.store.keeping import Store
from tests.support.publishers import alarm_event
from tools.rig.disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = datetime(2026, 11, 24, 10, 0, 0, 125_001, tzinfo=UTC)


def memory(events: int = 1) -> Memory:
    alarm = AlarmMemory(
        name="cam1/3L4/spill/20261124T100000.125001Z",
        camera="cam1",
        well="3L4",
        condition=Condition.SPILL,
        events=events,
        active=True,
        acked=False,
        cause=True,
        first_out=True,
        told_at=AT,
    )
    shelf = Suppression(
        camera="cam1", well="2U1", kind=AlarmState.SHELVED, by="ann", reason="проба", since=AT, until=None
    )
    return Memory(alarms=(alarm,), suppressions=(shelf,))


def answer(number: int = 1) -> Answer:
    return Answer(ok=True, refused=None, request={"command": "ack", "number": number}, at=AT)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def store(folder: Path, clock: Clock | None = None, **settings: float) -> Store:
    return Store(StateSettings(directory=folder, **settings), deliver=True, clock=clock or Clock())


def raised(subject: Store, count: int = 1) -> None:
    """So many new events, each a transaction of its own."""
    for _ in range(count):
        subject.record([alarm_event(subject.sequence.next(), at=AT)], {"cam1": memory()})


def taken(subject: Store, count: int) -> list[int]:
    """Take and acknowledge; the seq of each."""
    events = []
    for _ in range(count):
        if (entry := subject.outbox.take()) is None:
            break
        assert json.loads(entry.payload)["seq"] == entry.seq
        subject.outbox.acknowledged(entry.seq)
        events.append(entry.seq)
    return events


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "spillwatch.db")) as connection:
        return connection.execute(sql).fetchall()


def test_everything_comes_back(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject, 3)
        subject.record(answers=[answer()])
        assert taken(subject, 1) == [1]
    with store(tmp_path) as subject:
        assert subject.memory("cam1") == memory()
        assert subject.memory("cam2") == Memory()
        assert json.loads(subject.latest("cam1", "3L4") or "")["seq"] == 3
        assert subject.latest("cam1", None) is None
        assert len(subject.outbox) == 2
        entry = subject.outbox.take()
        assert entry
        assert (entry.seq, entry.made_s) == (2, -math.inf)  # late, for an earlier run made it
        assert taken(subject, 9) == [3]
        assert subject.sequence.next() == 4
        assert subject.degraded == ()
    assert [row[0] for row in rows(tmp_path, "SELECT seq FROM history")] == [1, 2, 3]
    assert json.loads(str(rows(tmp_path, "SELECT payload FROM audit")[0][0]))["request"]["command"] == "ack"


def test_the_newest_judgement_of_an_alarm_counts(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        for verdict, note in ((True, ""), (False, "пар")):
            subject.judge(Judgement(alarm="cam1/3L4/spill/1", verdict=verdict, note=note, by="ann", at=AT))
    assert rows(tmp_path, "SELECT alarm, verdict, note, by FROM judgements") == [("cam1/3L4/spill/1", 0, "пар", "ann")]


def test_nobody_else_can_read_the_files_or_use_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with store(folder) as subject:
        raised(subject)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
        with pytest.raises(FolderInUseError, match="in use by another spillwatch"), store(folder):
            pass
    with store(folder):
        pass


@pytest.mark.logs_error("store.degraded")
def test_a_folder_that_everyone_can_change_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with store(tmp_path) as subject:
        assert "chmod o-w" in (subject.trouble or "")
        assert subject.degraded


def test_nothing_new_costs_no_write(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject)
        before = subject.counters.transactions
        for _ in range(100):
            subject.record([], {"cam1": memory()})
            subject.tick()
        assert subject.counters.transactions == before


def test_a_backlog_of_many_pages_comes_in_order_while_events_are_added(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        subject.record([alarm_event(subject.sequence.next()) for _ in range(950)])
        first = taken(subject, 500)
        subject.record([alarm_event(subject.sequence.next()) for _ in range(50)])
        assert first + taken(subject, 1000) == list(range(1, 1001))
        assert len(subject.outbox) == 0
    assert rows(tmp_path, "SELECT count(*) FROM outbox") == [(0,)]


def test_what_was_taken_and_not_acknowledged_is_taken_again(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject, 3)
        taken(subject, 1)
        assert subject.outbox.take()
        assert subject.outbox.take()
        subject.outbox.untake()
        assert taken(subject, 9) == [2, 3]


def test_events_that_nobody_delivers_are_not_queued(tmp_path: Path) -> None:
    with Store(StateSettings(directory=tmp_path), deliver=False) as subject:
        raised(subject, 3)
        assert len(subject.outbox) == 0
    assert len(rows(tmp_path, "SELECT seq FROM history")) == 3


def test_history_is_pruned_by_age_and_number(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with store(tmp_path, history_days=30, history_events=1000) as subject:
        old = [alarm_event(subject.sequence.next(), at=now - timedelta(days=31)) for _ in range(20)]
        new = [alarm_event(subject.sequence.next(), at=now) for _ in range(1100)]
        subject.record(old + new)
        subject.tick()
    assert rows(tmp_path, "SELECT min(seq), max(seq), count(*) FROM history") == [(121, 1120, 1000)]


_KILLED = """
import sys
from pathlib import Path
from tests.unit.store.test_keeping import memory, store
from tests.support.publishers import alarm_event
with store(Path(sys.argv[1])) as subject:
    while True:
        seq = subject.sequence.next()
        subject.record([alarm_event(seq)], {"cam1": memory(seq)})
        print(seq, flush=True)
        if seq % 3 == 0:
            subject.outbox.acknowledged(subject.outbox.take().seq)
"""


def test_a_process_killed_at_any_moment_loses_nothing_that_it_had_recorded(tmp_path: Path) -> None:
    told = 0
    for round_ in range(5):
        with subprocess.Popen([sys.executable, "-c", _KILLED, tmp_path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(20 + 7 * round_):
                told = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            told = int((process.stdout.read().split() or [told])[-1])
        with store(tmp_path) as subject:
            assert subject.sequence.last in (told, told + 1)  # recorded, and killed before it could say so
            assert subject.memory("cam1") == memory(subject.sequence.last)
            last = subject.sequence.last
            backlog = [entry[0] for entry in iter(subject.outbox.take, None)]
            assert backlog == list(range(backlog[0], last + 1))


# Disks that fail


@pytest.mark.logs_error("store.degraded")
def test_a_full_disk_costs_no_alarm_and_is_made_up_for(tmp_path: Path, log: list[dict[str, object]]) -> None:
    clock = Clock()
    with small_disk(tmp_path / "disk", 24) as folder:
        with store(folder, clock) as subject:
            raised(subject, 10)
            assert taken(subject, 3) == [1, 2, 3]
            ballast = fill(folder)
            shutil.copytree(folder, tmp_path / "copy", ignore=lambda *_: ["ballast"])
            for _ in range(40):  # the log that SQLite writes first may have room left
                raised(subject, 10)
                clock.now_s += 2
            assert subject.degraded == ("storage", "history")
            assert "full" in (subject.trouble or "")
            assert taken(subject, 300) == list(range(4, 304))  # told all the same

            ballast.unlink()
            clock.now_s += 2
            subject.tick()
            assert subject.degraded == ()
            assert subject.memory("cam1") == memory()
        with store(folder) as subject:
            assert taken(subject, 999) == list(range(304, 411))  # each once
            assert subject.sequence.next() == 411
        assert rows(folder, "SELECT count(*) FROM history") == [(410,)]
    assert [entry["event"] for entry in log] == ["store.degraded", "store.recovered"]


@pytest.mark.logs_error("store.degraded")
def test_a_number_given_on_a_full_disk_is_not_given_again(tmp_path: Path) -> None:
    clock = Clock()
    with small_disk(tmp_path / "disk", 24) as folder:
        with store(folder, clock) as subject:
            raised(subject)
            fill(folder)
            while not subject.trouble:
                raised(subject, 10)
            raised(subject, 10)
            last = subject.sequence.last
        with store(folder) as subject:
            assert subject.sequence.next() == last + 1


def test_with_little_room_history_waits_and_alarms_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store(tmp_path) as subject:
        monkeypatch.setattr(keeping, "LOW_BYTES", 1 << 60)
        raised(subject, 2)
        assert subject.degraded == ("history",)
        assert rows(tmp_path, "SELECT count(*) FROM history") == [(0,)]
        assert rows(tmp_path, "SELECT count(*) FROM outbox") == [(2,)]
        monkeypatch.undo()
        subject.tick()
        assert subject.degraded == ()
    assert rows(tmp_path, "SELECT count(*) FROM history") == [(2,)]


@pytest.mark.logs_error("store.degraded")
def test_a_locked_database_is_waited_for_and_made_up_for(tmp_path: Path) -> None:
    clock = Clock()
    with store(tmp_path, clock) as subject:
        raised(subject)
        with closing(sqlite3.connect(tmp_path / "spillwatch.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            raised(subject, 5)
            assert subject.degraded
            assert "locked" in (subject.trouble or "")
            assert taken(subject, 9) == [1, 2, 3, 4, 5, 6]
        clock.now_s += 2
        subject.tick()
        assert subject.degraded == ()
    assert rows(tmp_path, "SELECT count(*) FROM history") == [(6,)]
    assert rows(tmp_path, "SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.logs_error("store.degraded")
def test_a_state_directory_that_cannot_be_made_degrades_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    clock = Clock()
    with store(tmp_path / "file" / "state", clock) as subject:
        assert subject.degraded == ("storage", "history")
        raised(subject)
        first = subject.sequence.last
        assert first > 1_700_000_000_000  # nobody knows what an earlier run had counted to
        assert taken(subject, 1) == [first]
        (tmp_path / "file").unlink()
        clock.now_s += 2
        subject.tick()
        assert subject.degraded == ()
    with store(tmp_path / "file" / "state") as subject:
        assert subject.memory("cam1") == memory()
        assert subject.sequence.next() == first + 1


def failing_once(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, whose first one meets a fault of the disk that passes."""
    faults = iter([StoreError("disk I/O error")])

    def method(*values: Any) -> Any:
        for fault in faults:
            raise fault
        return call(*values)

    return method


@pytest.mark.logs_error("store.degraded")
def test_a_read_that_fails_at_the_start_is_not_taken_for_an_empty_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as subject:
        raised(subject, 7)
    clock = Clock()
    monkeypatch.setattr(Database, "query", failing_once(Database.query))
    with store(tmp_path, clock) as subject:
        assert subject.degraded == ("storage", "history")
        assert subject.sequence.next() == 8
        clock.now_s += 2
        subject.tick()
        assert subject.degraded == ()
        assert subject.memory("cam1") == memory()
        assert taken(subject, 99) == list(range(1, 8))


@pytest.mark.logs_error("store.degraded")
def test_commands_that_come_while_the_disk_takes_nothing_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_ANSWERS", 5)
    (tmp_path / "file").write_text("in the way")
    clock = Clock()
    with store(tmp_path / "file" / "state", clock) as subject:
        for number in range(8):
            subject.record(answers=[answer(number)])
        (tmp_path / "file").unlink()
        clock.now_s += 2
        subject.tick()
        assert subject.degraded == ()
    kept = [json.loads(str(row[0])) for row in rows(tmp_path / "file" / "state", "SELECT payload FROM audit")]
    assert [row["request"]["number"] for row in kept] == [3, 4, 5, 6, 7]


# Files that are broken


def set_aside(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.broken-*Z")]


@pytest.mark.logs_error("store.broken")
def test_a_file_that_is_no_database_is_set_aside_and_no_number_is_given_twice(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject, 7)
    (tmp_path / "spillwatch.db").write_bytes(b"hello\n" * 5000)
    with store(tmp_path) as subject:
        assert subject.degraded == ()
        assert len(set_aside(tmp_path)) == 1
        (notice,) = subject.notices()
        assert "a new one was begun" in notice
        assert subject.notices() == []
        assert subject.sequence.next() == 8
        raised(subject)
    with store(tmp_path) as subject:
        assert subject.memory("cam1") == memory()


@pytest.mark.logs_error("store.broken")
def test_without_any_record_of_the_last_number_the_clock_gives_one_beyond_all(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject, 7)
    (tmp_path / "spillwatch.db").write_bytes(b"hello\n" * 5000)
    (tmp_path / "last_seq").write_bytes(b"\0" * 20)
    with store(tmp_path) as subject:
        assert subject.sequence.next() > 1_700_000_000_000


@pytest.mark.logs_error("store.broken")
def test_what_a_damaged_file_still_gives_is_saved(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject, 300)
    path = tmp_path / "spillwatch.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name='history'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with store(tmp_path) as subject:
        assert subject.notices()
        assert subject.memory("cam1") == memory()
        assert taken(subject, 999) == list(range(1, 301))


@pytest.mark.logs_error("store.broken", "store.degraded")
def test_what_was_saved_of_a_damaged_file_waits_where_no_new_one_can_be_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with store(tmp_path, clock) as subject:
        raised(subject, 7)
        monkeypatch.setattr(Database, "open", failing_once(Database.open))
        subject._attempt(lambda: breaks(subject))
        assert subject.degraded == ("storage", "history")
        clock.now_s += 2
        subject.tick()
        assert subject.degraded == ()
        assert taken(subject, 99) == list(range(1, 8))
    with store(tmp_path) as subject:
        assert subject.memory("cam1") == memory()


def breaks(subject: Store) -> None:
    """A fault that waiting does not mend."""
    raise BrokenDatabaseError(f"the database {subject._database.path} is damaged")


@pytest.mark.logs_error("store.broken")
def test_a_database_that_breaks_while_it_is_used_is_begun_anew_with_all_that_is_known(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject, 300)
        assert taken(subject, 1)  # the rest of a page is in memory
        subject._database._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        subject._database._opened().execute("PRAGMA cache_size=0")
        with (tmp_path / "spillwatch.db").open("r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) // 8 // 4096 * 4096)
            file.seek(4096)
            file.write(b"\xff" * 20000)
        raised(subject)
        assert len(set_aside(tmp_path)) == 1
        assert subject.degraded == ()
        seqs = taken(subject, 999)
        assert seqs == sorted(seqs)
        assert set(seqs) >= {*range(2, 201), 301}
    with store(tmp_path) as subject:
        assert subject.memory("cam1") == memory()
        assert subject.sequence.next() == 302


@pytest.mark.logs_error("store.degraded")
def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        raised(subject)
    with closing(sqlite3.connect(tmp_path / "spillwatch.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    with store(tmp_path) as subject:
        assert "has schema 99" in (subject.trouble or "")
        raised(subject)
        assert subject.sequence.last == 2
    assert rows(tmp_path, "SELECT count(*) FROM history") == [(1,)]
