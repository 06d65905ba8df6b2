from __future__ import annotations

import itertools
from dataclasses import replace

from spillwatch.records import Condition, Priority
from spillwatch.watch.alarms import Alarms, Moment
from tests.support.simulated import START


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
