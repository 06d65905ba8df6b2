"""Alarms of a camera, as events: commands, calls, marks, holds, and what a restart must not change."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillwatch.config import AlarmSettings
from spillwatch.errors import CommandError
from spillwatch.records import AlarmState, Command, Condition, Memory, Priority, Verb
from spillwatch.watch.alarms import Alarms, Moment
from spillwatch.watch.priorities import FloodCounter
from tests.support.simulated import START

if TYPE_CHECKING:
    from spillwatch.records import AlarmEvent


def test_only_changes_are_news() -> None:
    alarms = Alarms("cam", model="m", next_seq=itertools.count(1).__next__)
    moment = Moment(at=START, time_s=0.0, score=1.0)
    assert alarms.set_active(Condition.SPILL, "1", active=False, moment=moment) is None
    raised = alarms.set_active(Condition.SPILL, "1", active=True, moment=moment)
    assert alarms.set_active(Condition.SPILL, "1", active=True, moment=moment) is None
    returned = alarms.set_active(Condition.SPILL, "1", active=False, moment=moment)
    assert raised is not None
    assert returned is not None
    assert (raised.seq, raised.state, raised.priority) == (1, "unacknowledged", Priority.HIGH)
    assert (returned.seq, returned.state) == (2, "rtn_unacknowledged")


def test_ids_are_unique_and_pair_a_raise_with_its_return() -> None:
    alarms = Alarms("cam", model="m", next_seq=itertools.count(1).__next__)
    ids = []
    for second, active in enumerate([True, False, True, False]):
        moment = Moment(at=START.replace(second=second), time_s=second)
        event = alarms.set_active(Condition.SPILL, "1", active=active, moment=moment)
        assert event is not None
        ids.append(event.id)
    names = [event_id.rpartition(".")[0] for event_id in ids]
    assert len(set(ids)) == 4
    assert names[0] == names[1] != names[2] == names[3]


def test_wells_and_conditions_are_apart() -> None:
    alarms = Alarms("cam", model="m", next_seq=itertools.count(1).__next__)
    moment = Moment(at=START, time_s=0.0)
    events = [
        alarms.set_active(Condition.SPILL, "1", active=True, moment=moment),
        alarms.set_active(Condition.SPILL, "2", active=True, moment=moment),
        alarms.set_active(Condition.CAMERA_LOST, None, active=True, moment=replace(moment, score=None)),
    ]
    assert len({event.id for event in events if event}) == 3
    assert alarms.active() == [("spill", "1"), ("spill", "2"), ("camera_lost", None)]


def story(*, settings: AlarmSettings | None = None, flood: FloodCounter | None = None) -> Alarms:
    return Alarms("cam", model="m", next_seq=itertools.count(1).__next__, settings=settings, flood=flood)


def at(time_s: float, clock_s: float | None = None) -> Moment:
    """A moment of the camera's clock; wall time is the same, unless it was stepped."""
    return Moment(at=START + timedelta(seconds=time_s if clock_s is None else clock_s), time_s=time_s)


def spills(alarms: Alarms, well: str, time_s: float, *, active: bool = True) -> AlarmEvent:
    event = alarms.set_active(Condition.SPILL, well, active=active, moment=at(time_s))
    assert event is not None
    return event


def ask(verb: Verb, well: str | None = "1", for_s: float | None = None) -> Command:
    return Command(command=verb, camera="cam", well=well, by="anna", reason="because", for_s=for_s)


def test_an_acknowledgement_says_who_and_why_and_keeps_the_name() -> None:
    alarms = story()
    raised = spills(alarms, "1", 1)
    (acked,) = alarms.obey(ask(Verb.ACK), at(2))
    assert (acked.state, acked.active, acked.acked) == (AlarmState.ACKNOWLEDGED, True, True)
    assert (acked.by, acked.reason) == ("anna", "because")
    assert (acked.id, acked.seq) == (raised.id.removesuffix(".1") + ".2", 2)
    assert (raised.raises, acked.raises) == (True, False)
    assert spills(alarms, "1", 9, active=False).state == AlarmState.NORMAL


def test_an_acknowledgement_is_of_everything_of_the_well() -> None:
    alarms = story()
    spills(alarms, "1", 1)
    alarms.set_active(Condition.OBSTRUCTED, "1", active=True, moment=at(1))
    spills(alarms, "2", 1)
    acked = alarms.obey(ask(Verb.ACK), at(2))
    assert [(event.condition, event.well) for event in acked] == [("obstructed", "1"), ("spill", "1")]


def test_a_refused_command_names_the_place_and_changes_nothing() -> None:
    alarms = story()
    spills(alarms, "1", 1)
    before = alarms.memory()
    with pytest.raises(CommandError) as refused:
        alarms.obey(ask(Verb.RESET), at(2))
    assert str(refused.value) == "reset of well 1 of camera cam is refused: its cause persists (spill)"
    with pytest.raises(CommandError, match=r"^shelve of well 1 .* for_s is 43201, and a shelf lasts 43200 s at most$"):
        alarms.obey(ask(Verb.SHELVE, for_s=43201), at(2))
    with pytest.raises(CommandError, match="ack of camera cam is refused"):
        alarms.obey(ask(Verb.ACK, None), at(2))
    assert alarms.memory() == before


def test_a_latching_alarm_stays_until_it_is_reset() -> None:
    alarms = story(settings=AlarmSettings(latching=(Condition.SPILL,)))
    raised = spills(alarms, "1", 1)
    assert alarms.set_active(Condition.SPILL, "1", active=False, moment=at(5)) is None
    assert alarms.active() == [("spill", "1")]
    alarms.obey(ask(Verb.ACK), at(6))
    again = spills(alarms, "1", 7)  # the spill is back under its latch
    assert (again.id, again.state) == (raised.id.removesuffix(".1") + ".3", AlarmState.UNACKNOWLEDGED)
    assert alarms.set_active(Condition.SPILL, "1", active=False, moment=at(8)) is None
    (reset,) = alarms.obey(ask(Verb.RESET), at(9))
    assert (reset.state, reset.active, reset.acked) == (AlarmState.NORMAL, False, True)
    assert alarms.active() == []


def test_a_reset_clears_what_has_returned_by_itself() -> None:
    alarms = story()
    spills(alarms, "1", 1)
    spills(alarms, "1", 5, active=False)
    assert [event.state for event in alarms.obey(ask(Verb.RESET), at(6))] == [AlarmState.NORMAL]


def test_an_alarm_that_lasts_calls_again_and_a_low_one_does_not() -> None:
    alarms = story(settings=AlarmSettings(realarm_s=60))
    raised = spills(alarms, "1", 0)
    alarms.set_active(Condition.OBSTRUCTED, "1", active=True, moment=at(0))
    assert alarms.tick(at(59)) == []
    (again,) = alarms.tick(at(60))
    assert (again.id, again.state, again.raises) == (raised.id[:-1] + "2", AlarmState.UNACKNOWLEDGED, False)
    alarms.obey(ask(Verb.ACK), at(100))
    assert alarms.tick(at(159)) == []
    (again,) = alarms.tick(at(160))
    assert (again.state, again.acked, again.by) == (AlarmState.UNACKNOWLEDGED, False, None)


def test_the_first_spill_of_a_calm_table_is_marked_and_stays_so() -> None:
    alarms = story()
    first, second = spills(alarms, "1", 1), spills(alarms, "2", 1)
    (acked,) = alarms.obey(ask(Verb.ACK), at(2))
    assert [first.first_out, second.first_out, acked.first_out] == [True, False, True]
    assert spills(alarms, "1", 9, active=False).first_out
    assert not spills(alarms, "3", 9).first_out  # the second is still active
    for well in ("2", "3"):
        spills(alarms, well, 10, active=False)
    assert spills(alarms, "2", 11).first_out


def test_a_shelved_spill_is_not_the_first_that_the_crew_hears_of() -> None:
    alarms = story()
    alarms.obey(ask(Verb.SHELVE, for_s=60), at(0))
    assert not spills(alarms, "1", 1).first_out
    assert spills(alarms, "2", 2).first_out


def test_more_than_ten_alarms_of_a_site_in_ten_minutes_are_a_flood() -> None:
    flood = FloodCounter()
    here, there = story(flood=flood), story(flood=flood)
    raised = [spills(here if i % 2 else there, str(i), 10.0 * i) for i in range(12)]
    assert [event.flood for event in raised] == [False] * 10 + [True] * 2
    assert not here.obey(ask(Verb.ACK, "11"), at(120))[0].flood
    assert not spills(here, "late", 700).flood


def test_what_is_raised_on_a_shelf_is_no_flood() -> None:
    alarms = story()
    for i in range(12):
        alarms.obey(ask(Verb.SHELVE, str(i), for_s=60), at(0))
    assert not any(spills(alarms, str(i), 1).flood for i in range(12))


def test_a_shelved_alarm_is_still_evaluated_and_told_as_shelved() -> None:
    alarms = story()
    (calm,) = alarms.obey(ask(Verb.SHELVE, for_s=600), at(0))
    assert (calm.condition, calm.state, calm.active, calm.by) == ("spill", AlarmState.SHELVED, False, "anna")
    events = [spills(alarms, "1", 1), spills(alarms, "1", 5, active=False), spills(alarms, "1", 9)]
    assert {event.state for event in events} == {AlarmState.SHELVED}
    assert [event.active for event in events] == [True, False, True]
    (ended,) = alarms.tick(at(600))
    assert (ended.state, ended.active, ended.by) == (AlarmState.UNACKNOWLEDGED, True, None)
    assert alarms.suppressed("1") is None
    assert alarms.memory().suppressions == ()


def test_a_spill_that_came_and_went_on_a_shelf_awaits_an_acknowledgement_after_it() -> None:
    alarms = story()
    alarms.obey(ask(Verb.SHELVE, for_s=600), at(0))
    spills(alarms, "1", 1)
    spills(alarms, "1", 5, active=False)
    (ended,) = alarms.obey(ask(Verb.UNSHELVE), at(6))
    assert ended.state == AlarmState.RTN_UNACKNOWLEDGED


def test_who_shelves_an_alarm_has_seen_it() -> None:
    alarms = story()
    spills(alarms, "1", 1)
    (shelved,) = alarms.obey(ask(Verb.SHELVE), at(2))
    assert (shelved.state, shelved.acked) == (AlarmState.SHELVED, True)
    spills(alarms, "1", 5, active=False)
    (ended,) = alarms.tick(at(5))  # one-shot: it is over
    assert ended.state == AlarmState.NORMAL


def test_what_was_told_as_shelved_is_told_normal_when_the_shelf_ends_although_it_had_ended_before() -> None:
    alarms = story()
    for time_s, active in ((0, True), (1, False)):
        alarms.set_active(Condition.OBSTRUCTED, "1", active=active, moment=at(time_s))
    shelved = alarms.obey(ask(Verb.SHELVE, for_s=600), at(2))
    assert {event.condition: event.state for event in shelved}[Condition.OBSTRUCTED] == AlarmState.SHELVED
    ended = alarms.tick(at(602))
    assert {event.condition: event.state for event in ended} == {
        Condition.OBSTRUCTED: AlarmState.NORMAL,
        Condition.SPILL: AlarmState.NORMAL,
    }
    assert alarms.memory() == Memory()


def test_a_one_shot_shelf_ends_at_the_latest_after_the_longest_time() -> None:
    alarms = story(settings=AlarmSettings(shelve_max_s=3600))
    spills(alarms, "1", 1)
    alarms.obey(ask(Verb.SHELVE), at(2))
    assert alarms.tick(at(3601)) == []
    assert [event.state for event in alarms.tick(at(3602))] == [AlarmState.UNACKNOWLEDGED]


def test_a_shelf_lasts_no_longer_for_a_clock_set_back_over_a_restart_whatever_comes_first_after_it() -> None:
    before = story()
    before.obey(ask(Verb.SHELVE, for_s=600), at(0))
    again = Alarms("cam", model="m", next_seq=itertools.count(9).__next__, memory=before.memory())
    assert again.set_active(Condition.SPILL, "1", active=True, moment=at(0, clock_s=-86400)) is not None
    shelf_s = AlarmSettings().shelve_max_s
    assert [event.state for event in again.tick(at(shelf_s, clock_s=shelf_s - 86400))] == [AlarmState.UNACKNOWLEDGED]


def test_a_shelf_that_is_made_longer_is_told() -> None:
    alarms = story()
    alarms.obey(ask(Verb.SHELVE, for_s=600), at(0))
    (longer,) = alarms.obey(ask(Verb.SHELVE, for_s=600), at(300))
    assert longer.state == AlarmState.SHELVED
    assert alarms.tick(at(600)) == []
    assert len(alarms.tick(at(900))) == 1


def test_a_camera_can_be_taken_out_of_service_until_it_is_put_back() -> None:
    alarms = story()
    (out,) = alarms.obey(ask(Verb.OUT_OF_SERVICE, None), at(0))
    lost = alarms.set_active(Condition.CAMERA_LOST, None, active=True, moment=at(1))
    assert lost is not None
    assert out.state == lost.state == AlarmState.OUT_OF_SERVICE
    assert alarms.tick(at(1e7)) == []
    (back,) = alarms.obey(ask(Verb.IN_SERVICE, None), at(1e7))
    assert back.state == AlarmState.UNACKNOWLEDGED


def test_a_well_that_is_no_more_has_no_alarm() -> None:
    alarms = story()
    spills(alarms, "1", 1)
    alarms.obey(ask(Verb.SHELVE), at(2))
    (gone,) = alarms.forget("1", at(3))
    assert (gone.state, gone.active) == (AlarmState.NORMAL, False)
    assert alarms.memory() == Memory()


# What holds after any sequence

WELLS: tuple[str | None, ...] = ("1", "2", None)
CAUSES = st.tuples(st.sampled_from(["spill", "obstructed"]), st.sampled_from(WELLS), st.booleans())
COMMANDS = st.tuples(st.sampled_from(list(Verb)), st.sampled_from(WELLS), st.sampled_from([None, 5.0, 500.0]))
Acts = list[tuple[tuple[str, str | None, object], int]]
ACTS = st.lists(st.tuples(st.one_of(CAUSES, COMMANDS), st.integers(0, 400)), max_size=30)
BUSY = AlarmSettings(latching=(Condition.CAMERA_LOST,), realarm_s=300, shelve_max_s=1000)


def act(alarms: Alarms, what: tuple[str, str | None, object], moment: Moment) -> list[AlarmEvent]:
    verb, well, value = what
    ticked = alarms.tick(moment)
    if verb in ("spill", "obstructed"):
        condition = Condition(verb) if well else Condition.CAMERA_LOST
        event = alarms.set_active(condition, well, active=value is True, moment=moment)
        return [*ticked, event] if event else ticked
    for_s = value if isinstance(value, float) else None
    try:
        return [*ticked, *alarms.obey(ask(Verb(verb), well, for_s), moment)]
    except CommandError:
        return ticked


@given(acts=ACTS)
def test_events_are_numbered_without_a_gap_and_never_share_an_id(acts: Acts) -> None:
    alarms, time_s, events = story(settings=BUSY), 0, []
    for what, pause_s in acts:
        time_s += pause_s
        events += act(alarms, what, at(time_s))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    last = {(event.condition, event.well): event for event in events}
    shown = {key for key, event in last.items() if event.state != AlarmState.NORMAL}
    assert shown == {(alarm.condition, alarm.well) for alarm in alarms.memory().alarms}


@given(acts=ACTS, restarts=st.sets(st.integers(0, 29)))
def test_a_restart_at_any_moment_changes_nothing(acts: Acts, restarts: set[int]) -> None:
    steady, time_s = story(settings=BUSY), 0
    next_seq, flood = itertools.count(1).__next__, FloodCounter()
    other = Alarms("cam", model="m", next_seq=next_seq, settings=BUSY, flood=flood)
    for i, (what, pause_s) in enumerate(acts):
        time_s += pause_s
        assert act(other, what, at(time_s)) == act(steady, what, at(time_s))
        if i in restarts:
            memory = other.memory()
            other = Alarms("cam", model="m", next_seq=next_seq, settings=BUSY, flood=flood, memory=memory)
            assert other.memory() == memory


@given(acts=ACTS, steps=st.lists(st.integers(-7200, 7200), min_size=30, max_size=30))
def test_steps_of_the_wall_clock_move_no_deadline(acts: Acts, steps: list[int]) -> None:
    steady, stepped, time_s = story(settings=BUSY), story(settings=BUSY), 0
    for (what, pause_s), step_s in zip(acts, steps, strict=False):
        time_s += pause_s
        want = act(steady, what, at(time_s))
        got = act(stepped, what, at(time_s, clock_s=time_s + step_s))
        assert [(e.condition, e.well, e.state, e.active) for e in got] == [
            (e.condition, e.well, e.state, e.active) for e in want
        ]
