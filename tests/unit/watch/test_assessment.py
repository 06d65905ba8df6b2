"""The figures of ISA-18.2 and EEMUA 191, from alarms told by hand."""

from __future__ import annotations

import pytest

from spillwatch.records import Condition, Priority
from spillwatch.watch.assessment import Assessment, alarms, assess
from tests.support.past import START, Diary


@pytest.fixture
def diary() -> Diary:
    return Diary()


def judged(diary: Diary, begin: float = 0, end: float = 480) -> Assessment:
    return assess(alarms(diary.events()), (diary.at(begin), diary.at(end)), ["table"])


def test_a_quiet_shift_has_figures_too(diary: Diary) -> None:
    quiet = judged(diary)
    assert (quiet.raised, quiet.average, quiet.peak, quiet.flood_share) == ((), 0, 0, 0)
    assert quiet.per_ten == (0,) * 48
    assert quiet.median_s is None
    assert quiet.blind_s == {"table": 0.0}


def test_alarms_are_counted_by_ten_minutes_wells_and_priorities(diary: Diary) -> None:
    for minutes in (0, 9.99, 10, 479.9):
        diary.alarm("3L4", minutes, acked=minutes + 0.01, returned=minutes + 0.02)
    diary.alarm("1U1", 10, condition=Condition.OBSTRUCTED)
    shift = judged(diary)
    assert (shift.per_ten[:3], shift.per_ten[-1], shift.peak) == ((2, 2, 0), 1, 2)
    assert shift.average == pytest.approx(5 / 48)
    assert shift.top == (("table", "3L4", 4), ("table", "1U1", 1))
    assert shift.by_condition == {"spill": 4, "obstructed": 1}
    assert shift.by_priority == {Priority.HIGH: 4, Priority.MEDIUM: 1}


def test_what_was_before_and_after_the_shift_does_not_count(diary: Diary) -> None:
    diary.alarm("1U1", -5, returned=-4)
    diary.alarm("1U2", -5)
    diary.alarm("1U3", 480)
    shift = judged(diary)
    assert shift.raised == ()
    assert [alarm.well for alarm in shift.standing] == ["1U2"]


def test_more_than_ten_alarms_in_ten_minutes_are_a_flood_until_fewer_than_five_are_left(diary: Diary) -> None:
    for number in range(10):
        diary.alarm(f"1U{number}", 100 + number / 10)
    assert judged(diary).floods == ()
    diary.alarm("2U1", 105)
    shift = judged(diary)
    # The eleventh comes at 105 min; at 110.6 min seven of the first ten are older than ten minutes, four are left
    assert shift.floods == ((diary.at(105), diary.at(110.6)),)
    assert shift.flood_share == pytest.approx(5.6 / 480)
    assert judged(diary, 110, 120).flood_share == pytest.approx(0.6 / 10)  # it began in the shift before


def test_three_of_the_same_alarm_within_a_minute_chatter(diary: Diary) -> None:
    for well, step in (("3L4", 0.49), ("3L5", 0.51)):
        for number in range(3):
            diary.alarm(well, 5 + step * number, returned=5.1 + step * number)
    diary.alarm("3L5", 5, condition=Condition.OBSTRUCTED)
    assert judged(diary).chattering == {("table", "3L4", Condition.SPILL): 3}


def test_alarms_that_stand_for_more_than_a_day_are_stale(diary: Diary) -> None:
    diary.alarm("1U1", -24 * 60 + 479)  # not yet at the end
    diary.alarm("1U2", -24 * 60 - 1, returned=1)
    diary.alarm("1U3", -24 * 60 - 60, returned=-1)  # over before the shift
    assert [alarm.well for alarm in judged(diary, end=478).stale] == ["1U2"]


def test_the_time_to_acknowledge_is_that_of_people(diary: Diary) -> None:
    for well, waited in (("1U1", 0.5), ("1U2", 1), ("1U3", 20)):
        diary.alarm(well, 10, acked=10 + waited)
    diary.alarm("1U4", 10, returned=11)
    shift = judged(diary)
    assert (shift.median_s, shift.answered_s[-1], shift.unanswered) == (60, 1200, 1)


def test_shelved_alarms_and_tests_call_nobody(diary: Diary) -> None:
    diary.alarm("1U1", 10, returned=11, held=True)
    diary.alarm("1U2", 10, returned=11, test=True)
    shift = judged(diary)
    assert (shift.raised, shift.tests) == ((), 1)


def test_blind_conditions_that_overlap_count_once(diary: Diary) -> None:
    diary.alarm(None, -10, returned=10, condition=Condition.CAMERA_LOST)
    diary.alarm(None, 5, returned=20, condition=Condition.CAMERA_DARK)
    diary.alarm(None, 100, returned=101, condition=Condition.CAMERA_FROZEN)
    diary.alarm(None, 200, returned=210, condition=Condition.COMMON_CAUSE)  # it sees
    diary.alarm(None, 470, condition=Condition.CAMERA_SHIFTED)
    assert judged(diary).blind_s == {"table": 60 * (20 + 1 + 10)}


def test_an_alarm_whose_return_is_missing_ends_when_it_comes_again(diary: Diary) -> None:
    diary.alarm("1U1", 10)
    diary.alarm("1U1", 30, returned=31)
    first, second = alarms(diary.events())
    assert (first.returned_at, second.returned_at) == (diary.at(30), diary.at(31))
    assert judged(diary).standing == ()


def test_an_alarm_remembers_who_answered_and_its_last_state(diary: Diary) -> None:
    name = diary.alarm("3L4", 1, acked=2, returned=3)
    (alarm,) = alarms(diary.events())
    assert (alarm.name, alarm.raised_at, alarm.acked_by, alarm.state) == (name, diary.at(1), "ann", "normal")
    assert alarm.raised_at > START
