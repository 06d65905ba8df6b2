"""Stories of a casting line, told as scores on simulated time."""

from __future__ import annotations

import math

import pytest

from spillwatch.errors import ModelError
from spillwatch.records import Condition
from tests.support.simulated import NORMAL, OFF_DELAY_S, ON_S, SPILL, SimulatedLine, gap

RATES = pytest.mark.parametrize("fps", [5.0, 12.5, 25.0])


@RATES
def test_a_spill_is_raised_once_for_its_well_after_the_on_level(fps: float) -> None:
    line = SimulatedLine(3, fps=fps)
    events = line.run(10, lambda t: (NORMAL, SPILL if t >= 4 else NORMAL, NORMAL))
    (event,) = events
    assert (event.well, event.condition, event.active) == ("2", "spill", True)
    assert event.media_time_s is not None
    assert 4 + ON_S - 1 / fps <= event.media_time_s <= 4 + ON_S + 1 / fps


@RATES
def test_a_person_who_passes_raises_nothing(fps: float) -> None:
    line = SimulatedLine(1, fps=fps)
    assert line.run(20, lambda t: (SPILL * 100 if 5 <= t < 5.5 or 11 <= t < 11.5 else NORMAL,)) == []


def test_a_brief_flicker_of_all_wells_raises_nothing() -> None:
    line = SimulatedLine(84, fps=25)
    assert line.run(20, lambda t: [SPILL if int(t * 25) % 10 == 0 else NORMAL] * 84) == []


def test_scores_that_hover_just_below_the_threshold_raise_nothing() -> None:
    line = SimulatedLine(1)
    assert line.run(600, lambda _: (0.0099,)) == []


def test_a_weak_spill_takes_longer_but_is_raised() -> None:
    line = SimulatedLine(1)
    (event,) = line.run(10, lambda _: (10**-1.5,))  # strength one half
    assert event.media_time_s == pytest.approx(2 * ON_S, abs=0.1)


def test_an_intermittent_spill_stays_one_alarm() -> None:
    line = SimulatedLine(1)
    events = line.run(60, lambda t: (SPILL if 5 <= t < 30 and t % 2 < 1.4 else NORMAL,))
    assert [event.active for event in events] == [True, False]


def test_a_spill_that_ends_returns_to_normal_after_the_off_delay() -> None:
    line = SimulatedLine(1)
    raised, returned = line.run(30, lambda t: (SPILL if 5 <= t < 15 else NORMAL,))
    assert returned.media_time_s is not None
    assert 15 + OFF_DELAY_S <= returned.media_time_s <= 15 + OFF_DELAY_S + 2 * ON_S + 0.1
    assert (raised.state, returned.state) == ("unacknowledged", "rtn_unacknowledged")


def test_two_wells_that_spill_at_once_are_two_alarms() -> None:
    line = SimulatedLine(3)
    events = line.run(5, lambda t: (SPILL, NORMAL, SPILL) if t >= 1 else (NORMAL,) * 3)
    assert sorted(event.well or "" for event in events) == ["1", "3"]
    assert [event.seq for event in events] == [1, 2]


def test_a_well_that_spills_from_the_first_frame_is_raised() -> None:
    line = SimulatedLine(1)
    assert [event.well for event in line.run(3, lambda _: (SPILL,))] == ["1"]


def test_a_well_out_of_service_raises_nothing_and_has_no_score() -> None:
    line = SimulatedLine(2, out_of_service=[0])
    (event,) = line.run(5, lambda _: (SPILL, SPILL))
    assert event.well == "2"
    assert line.pipeline.view is not None
    assert math.isnan(line.pipeline.view.scores[0])


def test_a_lost_camera_is_an_alarm_once_and_returns_with_the_picture() -> None:
    line = SimulatedLine(1)
    line.run(2, lambda _: (NORMAL,))
    (lost,) = line.pipeline.step(gap(4.0))
    assert (lost.condition, lost.well, lost.active, lost.model) == (Condition.CAMERA_LOST, None, True, None)
    assert line.pipeline.step(gap(5.0)) == []
    (back,) = line.run(1, lambda _: (NORMAL,))
    assert (back.condition, back.active) == (Condition.CAMERA_LOST, False)


def test_a_spill_is_kept_while_the_camera_is_blind() -> None:
    line = SimulatedLine(1)
    line.run(5, lambda _: (SPILL,))
    line.pipeline.step(gap(6.0))
    line.frames = int(120 * line.fps)  # two minutes later the picture is back
    events = line.run(2, lambda _: (SPILL,))
    assert [event.condition for event in events] == [Condition.CAMERA_LOST]
    assert ("spill", "1") in line.pipeline.alarms.active()


@RATES
def test_events_do_not_depend_on_the_frame_rate(fps: float) -> None:
    def story(t: float) -> tuple[float, ...]:
        return (
            SPILL if 3 <= t < 9 else NORMAL,
            SPILL if 12 <= t < 12.5 else NORMAL,
            0.05 if 20 <= t < 28 else NORMAL,
            NORMAL,
        )

    events = SimulatedLine(4, fps=fps).run(40, story)
    assert [(event.well, event.active) for event in events] == [("1", True), ("1", False), ("3", True), ("3", False)]


@pytest.mark.parametrize("nonsense", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_refused_and_ends_no_spill(nonsense: float) -> None:
    line = SimulatedLine(3)
    (raised,) = line.run(2, lambda _: (SPILL, NORMAL, NORMAL))
    with pytest.raises(ModelError, match="no finite score for 1 wells, such as 1"):
        line.run(1 / line.fps, lambda _: (nonsense, NORMAL, NORMAL))
    assert line.run(2, lambda _: (SPILL, NORMAL, NORMAL)) == []
    assert line.pipeline.alarms.active() == [(raised.condition, raised.well)]


def test_a_well_out_of_service_may_have_any_score() -> None:
    line = SimulatedLine(2, out_of_service=[1])
    assert line.run(2, lambda _: (NORMAL, math.nan)) == []
