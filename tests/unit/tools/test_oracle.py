"""The judge of the fault campaign must see what it is there to see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.faults import oracle
from tools.faults.recorder import BASE, Heard
from tools.faults.scene import Scene


@dataclass
class Story:
    """Numbers events as the daemon does."""

    seq: int = 0

    def event(self, name: str, number: int, *, active: bool = True, acked: bool = False, well: str = "1") -> Any:
        self.seq += 1
        return {
            "id": f"{name}.{number}",
            "seq": self.seq,
            "camera": "cam",
            "well": well,
            "condition": "spill",
            "active": active,
            "acked": acked,
            "late": False,
        }


def a_life() -> list[Any]:
    story = Story()
    return [story.event("a", 1), story.event("a", 2, acked=True), story.event("a", 3, active=False, acked=True)]


SPILLING = {"cam": frozenset({"1"})}


def test_a_good_life_with_a_repeat_is_good() -> None:
    events = a_life()
    repeated = [*events[:2], events[1] | {"late": True}, events[2], events[0]]
    assert oracle.always(repeated, written=events, spilling=SPILLING) == []
    assert oracle.acknowledged_stays(repeated) == []


def test_a_lost_event_is_seen_three_ways() -> None:
    first, _, last = a_life()
    found = oracle.always([first, last], written=a_life(), spilling=SPILLING)
    assert [sentence.split()[0] for sentence in found] == ["seq", "a.3", "a.2"]


def test_an_event_out_of_order_is_seen() -> None:
    first, second, last = a_life()
    assert oracle.in_order([second, first, last])


def test_an_id_that_says_two_things_is_seen() -> None:
    first = a_life()[0]
    assert oracle.same_every_time([first, first | {"active": False}])


def test_an_alarm_raised_anew_under_another_id_is_seen() -> None:
    story = Story()
    assert oracle.lives([story.event("a", 1), story.event("b", 1)])
    story = Story()
    assert not oracle.lives([story.event("a", 1), story.event("a", 2, active=False), story.event("b", 1)])


def test_an_acknowledgement_that_is_forgotten_is_seen() -> None:
    story = Story()
    assert oracle.acknowledged_stays([story.event("a", 1, acked=True), story.event("a", 2)])


def test_a_spill_of_a_well_that_never_spills_is_seen() -> None:
    assert oracle.no_false_spill([Story().event("a", 1, well="2")], SPILLING)


def test_a_retained_topic_that_is_behind_is_seen() -> None:
    events = a_life()
    assert oracle.present({f"{BASE}/cam/1/alarm": events[1]}, events)
    assert oracle.present({}, events)
    assert not oracle.present({f"{BASE}/cam/1/alarm": events[2]}, events)


def test_a_spill_that_is_missed_and_one_too_many_are_seen() -> None:
    scene = Scene(stream=Path(), wells=Path(), spilling=frozenset({"1"}), spills=1, seconds=20)

    def heard(*raised_s: float) -> list[Heard]:
        story = Story()
        messages = []
        for at_s in raised_s:
            for shift_s, active in ((0.0, True), (2.0, False)):
                event = story.event(f"a{at_s}", 1 if active else 2, active=active)
                messages.append(Heard(at_s + shift_s, 0.0, f"{BASE}/alarms", event, retained=False))
        return messages

    assert oracle.regular(heard(5, 25, 45), "cam", scene, since_s=0) == []
    assert oracle.regular(heard(5, 45), "cam", scene, since_s=0)
    assert oracle.regular(heard(5, 15, 25), "cam", scene, since_s=0)
    assert oracle.regular(heard(45), "cam", scene, since_s=0)
