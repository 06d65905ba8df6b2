from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from spillwatch import truth
from spillwatch.errors import ConfigError
from spillwatch.records import Condition
from spillwatch.watch.alarms import Alarms, Moment
from tests.support.simulated import START, wells

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import AlarmEvent


def raised(*alarms: tuple[str, float]) -> list[AlarmEvent]:
    made = Alarms("cam", model="m", next_seq=itertools.count(1).__next__)
    events = []
    for well, time_s in alarms:
        moment = Moment(at=START + timedelta(seconds=time_s), time_s=time_s, media_time_s=time_s)
        events.append(made.set_active(Condition.SPILL, well, active=True, moment=moment))
        events.append(made.set_active(Condition.SPILL, well, active=False, moment=moment))
    return [event for event in events if event]


def spills(*rows: tuple[str, float, float]) -> truth.Truth:
    return truth.Truth(spills=tuple(truth.TrueSpill(well=w, start_s=a, end_s=b, kind="pour") for w, a, b in rows))


EXTENT = truth.Extent(frames=500, seconds=40.0, wells=wells(3, out_of_service=[2]))


def test_delay_misses_and_false_alarms() -> None:
    events = raised(("1", 10.5), ("2", 3.0))
    score = truth.score(events, spills(("1", 10.0, 15.0), ("2", 20.0, 25.0), ("3", 1.0, 9.0)), EXTENT)
    assert score == {
        "spills": [
            {"well": "1", "kind": "pour", "onset_s": 10.0, "alarm_s": 10.5, "delay_s": 0.5},
            {"well": "2", "kind": "pour", "onset_s": 20.0, "alarm_s": None, "delay_s": None},
        ],
        "missed": 1,
        "false_alarms": 1,
        "well_hours": pytest.approx(2 * 40 / 3600, abs=1e-6),
        "frames": 500,
        "seconds": 40.0,
    }


def test_a_spill_of_a_well_that_nobody_watches_is_missed_and_named() -> None:
    expected = spills(("1L1", 10.0, 15.0))
    with structlog.testing.capture_logs() as logs:
        truth.warn_of_strangers(expected, EXTENT.wells)
    assert truth.score([], expected, EXTENT)["missed"] == 1
    assert logs[0]["wells"] == ["1L1"]


def test_a_spill_does_not_end_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"spills": [{"well": "1", "start_s": 5, "end_s": 4}]}')
    with pytest.raises(ConfigError, match=r"spills\.0: end_s \(4\) must not lie before start_s \(5\)"):
        truth.load(tmp_path / "t.json")


def test_an_alarm_before_the_onset_or_long_after_the_end_is_false() -> None:
    score = truth.score(raised(("1", 9.9), ("1", 16.5)), spills(("1", 10.0, 15.0)), EXTENT)
    assert (score["missed"], score["false_alarms"]) == (1, 2)


def test_a_second_alarm_of_the_same_spill_is_not_false() -> None:
    score = truth.score(raised(("1", 10.5), ("1", 14.0)), spills(("1", 10.0, 15.0)), EXTENT)
    assert (score["missed"], score["false_alarms"]) == (0, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not valid JSON"),
        ("{}", "spills: Field required"),
        (json.dumps({"spills": [{"well": "1", "start_s": -1, "end_s": 3}]}), r"spills\.0\.start_s"),
    ],
)
def test_a_faulty_truth_file_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        truth.load(path)


def test_a_missing_truth_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json cannot be read"):
        truth.load(tmp_path / "none.json")
