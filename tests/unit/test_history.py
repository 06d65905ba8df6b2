"""Looking back from the command line: lists and the shift report."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from spillwatch.cli import main
from spillwatch.config import StateSettings
from spillwatch.errors import ConfigError
from spillwatch.history import COLUMNS, lasting, moment
from spillwatch.records import Condition, Judgement, MinuteScores
from spillwatch.store.keeping import Store
from tests.support.past import START, Diary

if TYPE_CHECKING:
    from pathlib import Path

SHIFT = ("--since", "2026-11-24T06:00Z", "--until", "2026-11-24T14:00Z")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    diary = Diary()
    diary.alarm("1U1", -60, acked=-59)
    name = diary.alarm("3L4", 5, acked=6, returned=7)
    diary.alarm("3L5", 5.1, condition=Condition.OBSTRUCTED)
    diary.alarm(None, 60, returned=61, condition=Condition.CAMERA_LOST)
    diary.alarm("3L4", 600)
    with Store(StateSettings(directory=tmp_path), deliver=False) as store:
        store.record(diary.events())
        store.judge(Judgement(alarm=name, verdict=False, note="<b>steam</b>", by="ann", at=START))
        for minutes in range(10):
            logs = np.log(np.full(2, 0.01 * (1 + minutes), np.float32))
            row = MinuteScores(
                camera="table", at=diary.at(minutes), wells=("3L4", "3L5"), peaks=logs, means=logs - np.float32(0.2)
            )
            store.keep_trends([row])
    return tmp_path


def run(state: Path, *words: str) -> str:
    result = CliRunner().invoke(main, [*words, "--state", str(state)])
    assert result.exit_code == 0, result.output
    return result.stdout


def listed(state: Path, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(state, "alarms", "--json", *SHIFT, *words).splitlines()]


def test_alarms_of_a_time_are_listed_with_those_that_stood_already(state: Path) -> None:
    rows = listed(state)
    assert [(row["well"], row["condition"]) for row in rows] == [
        ("1U1", "spill"),
        ("3L4", "spill"),
        ("3L5", "obstructed"),
        (None, "camera_lost"),
    ]
    assert rows[1]["raised_at"] == "2026-11-24T06:05:00.000Z"
    assert (rows[1]["acked_by"], rows[1]["verdict"], rows[1]["note"]) == ("ann", False, "<b>steam</b>")


def test_alarms_are_chosen_by_camera_well_and_condition(state: Path) -> None:
    assert len(listed(state, "--camera", "table")) == 4
    assert listed(state, "--camera", "other") == []
    assert [row["well"] for row in listed(state, "--well", "3L4")] == ["3L4"]
    assert [row["well"] for row in listed(state, "--condition", "spill")] == ["1U1", "3L4"]


def test_csv_and_table_tell_the_same(state: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(state, "alarms", "--csv", *SHIFT))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["well"] for row in rows] == ["1U1", "3L4", "3L5", ""]
    table = run(state, "alarms", *SHIFT)
    assert "4 alarms" in table
    assert "acknowledged" in table, "no terminal, no narrow columns"
    assert "3L5" in table
    assert run(state, "alarms", "--until", "2020-01-02", "--since", "2020-01-01") == "no alarms\n"


def test_the_report_is_one_page_that_holds_the_figures(state: Path, tmp_path: Path) -> None:
    page = tmp_path / "shift.html"
    run(state, "report", *SHIFT, "--out", str(page))
    text = page.read_text()
    assert "&lt;b&gt;steam&lt;/b&gt;" in text
    assert "http" not in text
    for words in ("very likely acceptable", "Standing at the end", "Chattering", "Scores of wells", "10 of 480"):
        assert words in text


def test_a_report_of_nothing_is_a_page_too(tmp_path: Path) -> None:
    with Store(StateSettings(directory=tmp_path), deliver=False):
        pass
    run(tmp_path, "report", "--out", str(tmp_path / "r.html"))
    assert "There was none." in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "yesterday"), "the time 'yesterday' is not known"),
        (("--since", "1h", "--until", "2h"), "is not before --until"),
        (("--condition", "leak"), "no condition is called 'leak'; choose of spill, obstructed"),
        (("--state", "/nowhere"), "there is no history at /nowhere/spillwatch.db"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(main, ["alarms", *words])
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_times_are_how_long_ago_or_when() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert now - moment("90m", now) == timedelta(minutes=90)
    assert now - moment("1.5h", now) == timedelta(hours=1.5)
    assert now - moment("3d", now) == timedelta(days=3)
    assert moment("2026-11-24T10:00+05:00", now) == datetime(2026, 11, 24, 5, tzinfo=UTC)
    for text in ("", "h", "-2h", "2w", "99999999999d", "2026-13-01"):
        with pytest.raises(ConfigError, match="is not known"):
            moment(text, now)


def test_durations_are_for_people() -> None:
    assert [lasting(s) for s in (None, 0.04, 59.9, 200, 7500, 273_600)] == [
        "",
        "0.0 s",
        "59.9 s",
        "3 min 20 s",
        "2 h 05 min",
        "3 d 4 h",
    ]
