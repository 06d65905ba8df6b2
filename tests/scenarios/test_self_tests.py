"""Self-tests on simulated time: a painted spill beside whatever really happens."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from spillwatch.records import AlarmEvent, AlarmState, CameraState, Condition, Verb
from spillwatch.watch.alarms import Alarms, Moment
from spillwatch.watch.turns import AGAIN_S, FIRST_S, Turns
from tests.support.simulated import NORMAL, ON_S, SPILL, START, SimulatedLine, frame

if TYPE_CHECKING:
    from spillwatch.watch.rehearsal import Rehearsal

WELLS = ("1", "2", "3")


def rehearse(line: SimulatedLine, well: str = "2") -> Rehearsal:
    alarms = Alarms("cam", model="table", next_seq=itertools.count(1000).__next__)
    return line.pipeline.rehearse(well, alarms)


def run(
    line: SimulatedLine, test: Rehearsal, seconds: float, scores: tuple[float, ...] = (NORMAL,) * 3
) -> tuple[list[AlarmEvent], list[AlarmEvent]]:
    """The real events, and those of the test, which ends with its first."""
    real: list[AlarmEvent] = []
    for _ in range(round(seconds * line.fps)):
        picture = frame(line.time_s)
        real += line.run(1 / line.fps, lambda _: scores)
        assert line.pipeline.view
        if event := test.step(picture, line.pipeline.view):
            return real, [event]
    return real, []


def test_a_painted_spill_is_raised_as_soon_as_a_real_one_and_marked() -> None:
    line = SimulatedLine()
    line.run(3, lambda _: (NORMAL,) * 3)
    began_s = line.time_s
    real, (event,) = run(line, rehearse(line), 5)
    assert real == []
    assert (event.well, event.test, event.state) == ("2", True, AlarmState.UNACKNOWLEDGED)
    assert event.id.startswith("cam/2/test/")
    assert event.id.endswith(".1")
    assert (event.at - START).total_seconds() - began_s == pytest.approx(ON_S, abs=0.1)


def test_the_real_well_never_hears_of_the_painted_spill() -> None:
    line = SimulatedLine()
    line.run(3, lambda _: (NORMAL,) * 3)
    test = rehearse(line)
    run(line, test, 5)
    assert not line.pipeline.view.active.any()  # type: ignore[union-attr]
    assert line.pipeline.view.evidence.max() == 0  # type: ignore[union-attr]
    (ended,) = test.end(Moment(at=START + timedelta(seconds=9), time_s=9.0, reason="passed"))
    assert (ended.test, ended.active, ended.state, ended.reason) == (True, False, AlarmState.NORMAL, "passed")
    assert line.pipeline.alarms.active() == []


@pytest.mark.parametrize("well", WELLS)
def test_a_real_spill_during_the_test_is_raised_as_real_in_the_same_well_and_in_others(well: str) -> None:
    line = SimulatedLine()
    line.run(3, lambda _: (NORMAL,) * 3)
    test = rehearse(line)
    scores = tuple(SPILL if name == well else NORMAL for name in WELLS)
    real, marked = run(line, test, 5, scores)
    assert [(event.well, event.test, event.first_out) for event in real] == [(well, False, True)]
    assert [event.test for event in marked] == [True]
    assert real[0].id.rpartition(".")[0] != marked[0].id.rpartition(".")[0]


def test_a_model_that_does_not_see_it_raises_nothing() -> None:
    line = SimulatedLine()
    line.scorer.painted_score = NORMAL
    line.run(3, lambda _: (NORMAL,) * 3)
    test = rehearse(line)
    assert run(line, test, 10) == ([], [])
    assert test.score == pytest.approx(NORMAL)
    assert test.end(Moment(at=START, time_s=0.0)) == []


def test_what_is_held_back_for_real_is_held_back_in_the_test() -> None:
    """The twin is a copy: what lifts many wells at once is common cause to it too."""
    line = SimulatedLine(10)
    line.scorer.painted_score = 20 * NORMAL  # alone, it would be found
    line.run(3, lambda _: (NORMAL,) * 10)
    assert run(line, rehearse(line), 5, (NORMAL,) * 10)[1]
    line.run(3, lambda _: (20 * NORMAL,) * 10)
    real, marked = run(line, rehearse(line), 5, (20 * NORMAL,) * 10)
    assert (real, marked) == ([], [])


def test_wells_that_spill_or_are_shelved_or_not_seen_are_not_tested() -> None:
    line = SimulatedLine(4, out_of_service=[3])
    assert line.pipeline.watched() == []  # no frame yet
    line.run(1, lambda _: (NORMAL,) * 4)
    assert line.pipeline.watched() == ["1", "2", "3"]
    line.ask(Verb.SHELVE, "1", for_s=60)
    line.run(2, lambda _: (NORMAL, SPILL, NORMAL, NORMAL))
    assert line.pipeline.watched() == ["3"]
    line.alignment = line.alignment.__class__(dx=0.0, dy=0.0, trusted=False, response=0.0)
    line.run(1, lambda _: (NORMAL,) * 4)
    assert line.pipeline.watched() == []


def test_a_camera_whose_test_failed_is_degraded_until_one_passes() -> None:
    line = SimulatedLine()
    line.run(1, lambda _: (NORMAL,) * 3)
    failed = Condition.SELF_TEST_FAILED
    moment = Moment(at=START + timedelta(seconds=1), time_s=1.0, reason="deaf")
    (event,) = [line.pipeline.alarms.set_active(failed, None, active=True, moment=moment)]
    assert event
    assert (event.priority, event.well, event.reason) == ("high", None, "deaf")
    line.run(1, lambda _: (NORMAL,) * 3)
    assert (line.pipeline.camera_state, line.pipeline.reason) == (CameraState.DEGRADED, "the self-test failed")
    line.pipeline.alarms.set_active(failed, None, active=False, moment=moment)
    line.run(1, lambda _: (NORMAL,) * 3)
    assert line.pipeline.camera_state == CameraState.WATCHING


def test_each_camera_is_tested_at_its_pace_and_each_well_in_turn() -> None:
    turns, tested = Turns(), []
    for second in range(1000):
        if camera := turns.due(["a", "b"], float(second)):
            well = turns.well(camera, WELLS, WELLS)
            tested.append((second, camera, well))
            turns.done(camera, well, ok=True, time_s=float(second), every_s=300)
    assert tested == [
        (10, "a", "1"), (11, "b", "1"), (310, "a", "2"), (311, "b", "2"), (610, "a", "3"), (611, "b", "3"),
        (910, "a", "1"), (911, "b", "1"),
    ]  # fmt: skip


def test_a_well_that_failed_is_tested_again_soon_until_it_passes_or_is_no_longer_watched() -> None:
    turns = Turns()
    assert turns.due(["a"], 0.0) is None
    assert turns.due(["a"], FIRST_S) == "a"
    turns.done("a", "1", ok=False, time_s=FIRST_S, every_s=900)
    assert turns.due(["a"], FIRST_S + AGAIN_S - 1) is None
    assert turns.due(["a"], FIRST_S + AGAIN_S) == "a"
    assert turns.well("a", WELLS, WELLS) == "1"
    assert turns.well("a", WELLS, ("2", "3")) == "2"
    turns.done("a", None, ok=None, time_s=100.0, every_s=900)  # nothing could be seen: that proves nothing
    assert turns.well("a", WELLS, WELLS) == "1"
    turns.done("a", "1", ok=True, time_s=200.0, every_s=900)
    assert turns.well("a", WELLS, WELLS) == "2"
    assert turns.well("a", WELLS, ()) is None


def test_wells_that_came_and_went_do_not_stop_the_turns() -> None:
    turns = Turns()
    turns.done("a", "gone", ok=True, time_s=0.0, every_s=900)
    assert turns.well("a", WELLS, WELLS) == "1"
