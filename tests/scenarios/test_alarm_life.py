"""Stories of alarms and people, and of a restart in the middle of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spillwatch.config import AlarmSettings
from spillwatch.errors import CommandError
from spillwatch.records import AlarmState, Condition, Verb, WellState
from tests.support.simulated import NORMAL, OBSTRUCTED_AFTER_S, OFF_DELAY_S, SPILL, SimulatedLine, gap

QUIET = (NORMAL,) * 3
FIRST_SPILLS = (SPILL, NORMAL, NORMAL)


def restarted(line: SimulatedLine, *, away_s: float = 2.0, out_of_service: tuple[int, ...] = ()) -> SimulatedLine:
    """The line after the daemon was killed and came back."""
    again = SimulatedLine(len(line.wells), out_of_service=out_of_service, memory=line.pipeline.alarms.memory())
    again.frames = line.frames + round(away_s * line.fps)
    return again


def test_the_crew_sees_acknowledges_and_the_spill_ends() -> None:
    line = SimulatedLine()
    raised = line.run(4, lambda _: FIRST_SPILLS)
    acked = line.ask(Verb.ACK)
    ended = line.run(10, lambda _: QUIET)
    assert [event.state for event in raised + acked + ended] == ["unacknowledged", "acknowledged", "normal"]
    assert len({event.id.rpartition(".")[0] for event in raised + acked + ended}) == 1
    assert raised[0].first_out
    assert acked[0].media_time_s == 4.0


def test_a_spill_that_nobody_answers_calls_again_with_frames_or_without() -> None:
    line = SimulatedLine(alarms=AlarmSettings(realarm_s=60))
    (raised,) = line.run(30, lambda _: FIRST_SPILLS)
    (again,) = line.run(40, lambda _: FIRST_SPILLS)
    assert (again.state, again.active, again.raises) == ("unacknowledged", True, False)
    assert again.id.rpartition(".")[0] == raised.id.rpartition(".")[0]
    at_s = line.time_s + 100
    assert [event.well for event in line.pipeline.tick(gap(at_s).at, at_s)] == ["1"]


def test_a_shelved_well_is_watched_on_and_calls_when_its_shelf_ends() -> None:
    line = SimulatedLine()
    line.run(1, lambda _: QUIET)
    line.ask(Verb.SHELVE, for_s=20)
    assert line.pipeline.well_states() == [WellState.SHELVED, WellState.WATCHING, WellState.WATCHING]
    (raised,) = line.run(10, lambda _: FIRST_SPILLS)
    assert (raised.state, raised.active, raised.first_out) == ("shelved", True, False)
    (ended,) = line.run(12, lambda _: FIRST_SPILLS)
    assert (ended.state, ended.active) == ("unacknowledged", True)
    assert set(line.pipeline.well_states()) == {WellState.WATCHING}


def test_a_well_taken_out_of_service_is_watched_on_too() -> None:
    line = SimulatedLine()
    line.ask(Verb.OUT_OF_SERVICE)
    (raised,) = line.run(5, lambda _: FIRST_SPILLS)
    assert raised.state == AlarmState.OUT_OF_SERVICE
    assert line.pipeline.well_states()[0] == WellState.OUT_OF_SERVICE
    assert [event.state for event in line.ask(Verb.IN_SERVICE)] == ["unacknowledged"]


def test_a_shelved_camera_that_is_blind_tells_nobody_until_the_shelf_ends() -> None:
    line = SimulatedLine()
    line.run(1, lambda _: QUIET)
    line.ask(Verb.SHELVE, None, for_s=20)
    (lost,) = line.pipeline.step(gap(5.0))
    assert (lost.condition, lost.state) == (Condition.CAMERA_LOST, AlarmState.SHELVED)
    (ended,) = line.pipeline.step(gap(21.0))
    assert (ended.condition, ended.state) == (Condition.CAMERA_LOST, AlarmState.UNACKNOWLEDGED)


@pytest.mark.parametrize(
    ("verb", "well", "why"),
    [
        (Verb.ACK, "9", "camera cam has no well '9'"),
        (Verb.ACK, "1", "ack of well 1 of camera cam is refused: nothing of it is unacknowledged"),
        (Verb.SHELVE, "3", "well '3' is out of service in the wells file; change it there"),
        (Verb.IN_SERVICE, "3", "well '3' is out of service in the wells file; change it there"),
    ],
)
def test_what_makes_no_sense_is_refused(verb: Verb, well: str, why: str) -> None:
    line = SimulatedLine(out_of_service=[2])
    with pytest.raises(CommandError) as refused:
        line.ask(verb, well)
    assert str(refused.value) == why


# After a restart


def test_a_spill_that_is_still_there_is_the_same_alarm() -> None:
    line = SimulatedLine()
    raised = line.run(5, lambda _: FIRST_SPILLS)
    acked = line.ask(Verb.ACK)
    line = restarted(line)
    assert line.run(10, lambda _: FIRST_SPILLS) == []
    assert line.pipeline.view is not None
    assert line.pipeline.view.active.tolist() == [True, False, False]
    (ended,) = line.run(10, lambda _: QUIET)
    name = raised[0].id.rpartition(".")[0]
    assert [event.id for event in (*acked, ended)] == [f"{name}.2", f"{name}.3"]
    assert (ended.state, ended.first_out) == ("normal", True)


def test_a_spill_that_is_gone_returns_after_the_off_delay() -> None:
    line = SimulatedLine()
    line.run(5, lambda _: FIRST_SPILLS)
    line = restarted(line)
    began_s = line.time_s
    (ended,) = line.run(10, lambda _: QUIET)
    assert (ended.state, ended.active) == ("rtn_unacknowledged", False)
    assert ended.media_time_s == pytest.approx(began_s + OFF_DELAY_S, abs=0.1)


def test_a_spill_is_kept_while_the_camera_is_not_yet_back() -> None:
    line = SimulatedLine()
    line.run(5, lambda _: FIRST_SPILLS)
    line = restarted(line)
    (lost,) = line.pipeline.step(gap(line.time_s))
    assert lost.condition == Condition.CAMERA_LOST
    assert ("spill", "1") in line.pipeline.alarms.active()


@pytest.mark.parametrize(
    "sight", [{"level": 20.0}, {"clipped": 0.9}, {"changed": 0.0}], ids=["dark", "saturated", "frozen"]
)
def test_a_camera_that_is_still_blind_is_the_same_alarm_and_one_that_sees_returns(sight: dict[str, float]) -> None:
    line = SimulatedLine()
    line.run(4, lambda _: QUIET)
    line.sight = replace(line.sight, **sight)
    (blind,) = line.run(4, lambda _: QUIET)
    line = restarted(line)
    good, line.sight = line.sight, replace(line.sight, **sight)
    assert line.run(8, lambda _: QUIET) == []
    line = restarted(line)
    line.sight = good
    (sees,) = line.run(8, lambda _: QUIET)
    assert (sees.condition, sees.active) == (blind.condition, False)
    assert sees.id == blind.id.removesuffix(".1") + ".2"


def test_a_camera_that_was_lost_is_back_with_its_first_frame() -> None:
    line = SimulatedLine()
    (lost,) = line.pipeline.step(gap(0.0))
    line = restarted(line)
    assert line.pipeline.step(gap(1.0)) == []
    (back,) = line.run(0.5, lambda _: QUIET)
    assert back.id == lost.id.removesuffix(".1") + ".2"


def test_a_common_cause_that_lasts_is_the_same_alarm() -> None:
    many = [SPILL] * 60 + [NORMAL] * 24
    line = SimulatedLine(84)
    line.run(5, lambda _: (NORMAL,) * 84)
    line.run(5, lambda _: many)
    line = restarted(line)
    assert line.run(8, lambda _: many) == []
    (ended,) = line.run(8, lambda _: (NORMAL,) * 84)
    assert (ended.condition, ended.active) == (Condition.COMMON_CAUSE, False)


def test_an_obstruction_that_is_gone_returns() -> None:
    line = SimulatedLine()
    line.run(3, lambda _: QUIET)
    line.rings = line.rings.copy()
    line.rings[0, 1] = 20.0
    line.run(OBSTRUCTED_AFTER_S + 2, lambda _: QUIET)
    line = restarted(line)
    assert line.pipeline.well_states()[1] == WellState.OBSTRUCTED
    (ended,) = line.run(5, lambda _: QUIET)
    assert (ended.condition, ended.well, ended.active) == (Condition.OBSTRUCTED, "2", False)


def test_a_shelf_ends_when_it_was_to_end() -> None:
    line = SimulatedLine()
    line.run(5, lambda _: FIRST_SPILLS)
    line.ask(Verb.SHELVE, for_s=60)
    line = restarted(line, away_s=30)
    assert line.run(29, lambda _: FIRST_SPILLS) == []
    assert line.pipeline.well_states()[0] == WellState.SHELVED
    (ended,) = line.run(2, lambda _: FIRST_SPILLS)
    assert ended.state == AlarmState.UNACKNOWLEDGED


def test_wells_that_left_the_file_or_were_taken_out_of_it_have_no_active_alarm() -> None:
    line = SimulatedLine()
    line.run(5, lambda _: (SPILL, NORMAL, SPILL))
    fewer = SimulatedLine(2, out_of_service=[0], memory=line.pipeline.alarms.memory())
    fewer.frames = line.frames
    events = {event.well: event for event in fewer.run(1, lambda _: (SPILL, NORMAL))}
    assert (events["1"].state, events["3"].state) == ("rtn_unacknowledged", "normal")
    assert events["3"].reason == "the wells file no longer has this well"
    assert fewer.pipeline.alarms.active() == []
    assert [event.state for event in fewer.ask(Verb.ACK)] == ["normal"]
