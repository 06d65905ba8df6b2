"""Looking back into the database, while its owner runs and afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from spillwatch.config import StateSettings
from spillwatch.errors import StoreError
from spillwatch.records import Condition, Judgement, MinuteScores
from spillwatch.store import database
from spillwatch.store.keeping import PRUNE_EVERY_S, Store
from spillwatch.store.reading import Past
from tests.support.past import START, Diary

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)


def store(folder: Path, **settings: float) -> Store:
    return Store(StateSettings(directory=folder, **settings), deliver=False)


def minute(at: datetime, *scores: float, wells: tuple[str, ...] = ("a", "b")) -> MinuteScores:
    logs = np.log(np.array(scores, np.float32))
    return MinuteScores(camera="table", at=at, wells=wells, peaks=logs, means=logs - 1)


def test_events_are_read_while_the_store_is_open_and_after_it(tmp_path: Path) -> None:
    diary = Diary()
    name = diary.alarm("3L4", 5, acked=6, returned=7)
    told = list(diary.events())
    with store(tmp_path) as subject:
        subject.record(told[:2])
        past = Past(tmp_path)
        assert past.events(START, START + HOUR) == told[:2]
        subject.record(told[2:])
        subject.judge(Judgement(alarm=name, verdict=False, note="пар", by="ann", at=START))
        assert past.events(START, START + HOUR) == told
        assert subject.degraded == ()
    assert past.events(START, START + HOUR) == told
    assert [(j.verdict, j.note) for j in past.judgements().values()] == [(False, "пар")]


def test_alarms_that_stood_before_are_read_whole_and_others_not(tmp_path: Path) -> None:
    diary = Diary()
    diary.alarm("1U1", -300, acked=-200, returned=-100)
    diary.alarm("1U2", -300, acked=-200)
    diary.alarm("1U3", -300, returned=-290)  # never answered, but it came again
    diary.alarm("1U3", -250, acked=-249, returned=-248)
    diary.alarm("1U2", -300, condition=Condition.OBSTRUCTED, acked=-299, returned=-298)
    with store(tmp_path) as subject:
        subject.record(diary.events())
    found = Past(tmp_path).events(START, START + HOUR)
    assert [(event.well, event.condition, event.acked) for event in found] == [
        ("1U2", "spill", False),
        ("1U2", "spill", True),
    ]


def test_scores_by_the_minute_come_back_through_changes_of_the_wells(tmp_path: Path) -> None:
    with store(tmp_path) as subject:
        subject.keep_trends([minute(START, 0.01, np.nan)])
        subject.keep_trends([minute(START + timedelta(minutes=2), 0.5, 0.02, wells=("b", "c"))])
    trend = Past(tmp_path).trends(START, START + HOUR)["table"]
    assert trend.wells == ("a", "b", "c")
    assert trend.times == (START, START + timedelta(minutes=2))
    expected = np.array([[0.01, np.nan, np.nan], [np.nan, 0.5, 0.02]])
    np.testing.assert_allclose(np.exp(trend.peaks), expected, rtol=0.004)
    np.testing.assert_allclose(np.exp(trend.means + 1), expected, rtol=0.008)


def test_old_and_surplus_trends_are_removed_and_none_kept_for_zero_days(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(days=3), timedelta(hours=3), timedelta(hours=2), timedelta(hours=1)]
    clock = [1000.0]
    settings = StateSettings(directory=tmp_path, trend_days=2, trend_rows=2)
    with Store(settings, deliver=False, clock=lambda: clock[0]) as subject:
        subject.keep_trends([minute(now - age, 0.1, 0.1) for age in ages])
        clock[0] += PRUNE_EVERY_S
        subject.tick()
    kept = Past(tmp_path).trends(now - timedelta(days=9), now)["table"]
    assert [round((now - at) / HOUR) for at in kept.times] == [2, 1]
    with store(tmp_path / "none", trend_days=0) as subject:
        subject.keep_trends([minute(now, 0.1, 0.1)])
    assert Past(tmp_path / "none").trends(now - HOUR, now + HOUR) == {}


def test_a_file_of_the_first_schema_is_read_and_brought_up_to_date_in_place(tmp_path: Path) -> None:
    diary = Diary()
    diary.alarm("3L4", 5)
    with store(tmp_path) as subject:
        subject.record(diary.events())
    with closing(sqlite3.connect(tmp_path / "spillwatch.db")) as connection:
        connection.executescript("DROP TABLE trends; DROP TABLE trend_wells; PRAGMA user_version=1;")
    past = Past(tmp_path)
    assert past.events(START, START + HOUR) == diary.events()
    assert past.trends(START, START + HOUR) == {}
    with store(tmp_path) as subject:
        subject.keep_trends([minute(START, 0.1, 0.1)])
        assert subject.degraded == ()
    assert past.events(START, START + HOUR) == diary.events()
    assert len(past.trends(START, START + HOUR)["table"].times) == 1


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    past = Past(tmp_path)
    with pytest.raises(StoreError, match=r"there is no history at .*spillwatch\.db; name the state directory"):
        past.events(START, START + HOUR)
    (tmp_path / "spillwatch.db").write_bytes(b"no database, only words " * 99)
    with pytest.raises(StoreError, match="cannot be read: file is not a database"):
        past.judgements()
    (tmp_path / "spillwatch.db").unlink()
    with store(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "spillwatch.db")) as connection:
        connection.execute(f"PRAGMA user_version={database.SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=r"has schema 3, this spillwatch knows 1 to 2"):
        past.trends(START, START + HOUR)
