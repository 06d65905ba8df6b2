"""The life of alarms: every state by every input, from tables, and what holds after any sequence of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillwatch.errors import CommandError
from spillwatch.records import AlarmState, Condition
from spillwatch.watch import lifecycle
from spillwatch.watch.lifecycle import REST, Hold, Life, Point

if TYPE_CHECKING:
    from collections.abc import Callable

SPILL, OBSTRUCTED = Condition.SPILL, Condition.OBSTRUCTED
NOW_S, REALARM_S, SHELF_S = 1000.0, 300.0, 3600.0

MEMORIES = {
    "normal": REST,
    "unacked": Life(cause=True, active=True, acked=False, told_s=NOW_S),
    "acked": Life(cause=True, active=True, acked=True, told_s=NOW_S),
    "rtn": Life(cause=False, active=False, acked=False, told_s=NOW_S),
    "latched": Life(cause=False, active=True, acked=False, told_s=NOW_S),
    "latched_acked": Life(cause=False, active=True, acked=True, told_s=NOW_S),
}
HOLDS = {
    "free": None,
    "shelved": Hold(AlarmState.SHELVED, NOW_S + SHELF_S),
    "one_shot": Hold(AlarmState.SHELVED, NOW_S + SHELF_S, one_shot=True),
    "out": Hold(AlarmState.OUT_OF_SERVICE, NOW_S + SHELF_S),
    "out_open": Hold(AlarmState.OUT_OF_SERVICE, None),
}
STATES = {
    "normal": AlarmState.NORMAL,
    "unacked": AlarmState.UNACKNOWLEDGED,
    "acked": AlarmState.ACKNOWLEDGED,
    "rtn": AlarmState.RTN_UNACKNOWLEDGED,
    "latched": AlarmState.UNACKNOWLEDGED,
    "latched_acked": AlarmState.ACKNOWLEDGED,
}

# Rows are what is, columns what comes; a cell is what then is, or "no" where it is refused.
OF_MEMORIES = """
                 on       off      off_latching   ack            reset    silence        release
normal           unacked  normal   normal         no             no       normal         normal
unacked          unacked  rtn      latched        acked          no       acked          unacked
acked            acked    normal   latched_acked  no             no       acked          unacked
rtn              unacked  rtn      rtn            normal         normal   normal         rtn
latched          unacked  latched  latched        latched_acked  normal   latched_acked  latched
latched_acked    unacked  latched_acked  latched_acked  no       normal   latched_acked  latched
"""
OF_HOLDS = """
                 shelve   shelve_once  unshelve  take_out  take_out_open  put_in  wait      wait_out
free             shelved  one_shot     no        out       out_open       no      free      free
shelved          shelved  one_shot     free      out       out_open       no      shelved   free
one_shot         shelved  one_shot     free      out       out_open       no      one_shot  free
out              no       no           no        out       out_open       free    out       free
out_open         no       no           no        out       out_open       free    out_open  out_open
"""


def table(text: str) -> dict[tuple[str, str], str]:
    heads, *rows = [line.split() for line in text.strip().splitlines()]
    return {(row[0], head): cell for row in rows for head, cell in zip(heads, row[1:], strict=True)}


MEMORY_TABLE, HOLD_TABLE = table(OF_MEMORIES), table(OF_HOLDS)
SHELF_ONCE = HOLDS["one_shot"]
INPUTS: dict[str, Callable[[Point], Point]] = {
    "on": lambda point: lifecycle.turn(point, SPILL, on=True, latching=False, now_s=NOW_S),
    "off": lambda point: lifecycle.turn(point, SPILL, on=False, latching=False, now_s=NOW_S),
    "off_latching": lambda point: lifecycle.turn(point, SPILL, on=False, latching=True, now_s=NOW_S),
    "ack": lambda point: lifecycle.acknowledge(point, now_s=NOW_S),
    "reset": lifecycle.reset,
    "shelve": lambda point: lifecycle.suppress(point, Hold(AlarmState.SHELVED, NOW_S + SHELF_S)),
    "shelve_once": lambda point: lifecycle.suppress(point, Hold(AlarmState.SHELVED, NOW_S + SHELF_S, one_shot=True)),
    "unshelve": lambda point: lifecycle.release(point, AlarmState.SHELVED, now_s=NOW_S),
    "take_out": lambda point: lifecycle.suppress(point, Hold(AlarmState.OUT_OF_SERVICE, NOW_S + SHELF_S)),
    "take_out_open": lambda point: lifecycle.suppress(point, Hold(AlarmState.OUT_OF_SERVICE, None)),
    "put_in": lambda point: lifecycle.release(point, AlarmState.OUT_OF_SERVICE, now_s=NOW_S),
    "wait": lambda point: pass_time(point, NOW_S + REALARM_S - 1),
    "wait_out": lambda point: pass_time(point, NOW_S + SHELF_S, realarm_s=0),
}


def pass_time(point: Point, now_s: float, realarm_s: float = REALARM_S) -> Point:
    return lifecycle.tick(point, now_s=now_s, realarm_s=realarm_s, calling_again={SPILL})


def point(memory: str, hold: str) -> Point:
    life = MEMORIES[memory]
    return Point({} if life.at_rest else {SPILL: life}, HOLDS[hold])


def named(after: Point) -> tuple[str, str]:
    """A point's names in the tables, whatever its times are."""
    life, hold = after.life(SPILL), after.hold
    memories = [n for n, m in MEMORIES.items() if (m.cause, m.active, m.acked) == (life.cause, life.active, life.acked)]
    holds = [n for n, h in HOLDS.items() if hold == h]
    return memories[0], holds[0]


def expected(memory: str, hold: str, given_input: str) -> tuple[str, str] | None:
    """What the tables say; None is a refusal."""
    if (memory, given_input) in MEMORY_TABLE:
        after = MEMORY_TABLE[memory, given_input]
        return None if after == "no" else (after, hold)
    held = HOLD_TABLE[hold, given_input]
    active = MEMORIES[memory].active
    if held == "no" or (given_input == "shelve_once" and not active):
        return None
    if hold == "one_shot" and given_input == "wait" and not active:
        held = "free"  # what it was shelved for is over
    if given_input in ("shelve", "shelve_once", "take_out", "take_out_open"):
        return MEMORY_TABLE[memory, "silence"], held
    return MEMORY_TABLE[memory, "release"] if hold != held == "free" else memory, held


@pytest.mark.parametrize("given_input", INPUTS)
@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_every_state_by_every_input(memory: str, hold: str, given_input: str) -> None:
    before, want = point(memory, hold), expected(memory, hold, given_input)
    if want is None:
        with pytest.raises(CommandError):
            INPUTS[given_input](before)
    else:
        assert named(INPUTS[given_input](before)) == want


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_the_state_is_the_hold_or_what_the_memories_make(memory: str, hold: str) -> None:
    held = HOLDS[hold]
    assert point(memory, hold).state(SPILL) == (held.kind if held else STATES[memory])


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_what_is_active_and_not_held_calls_again(memory: str, hold: str) -> None:
    before = point(memory, hold)
    after = pass_time(before, NOW_S + REALARM_S)
    if before.active and not before.hold:
        assert after.life(SPILL) == Life(MEMORIES[memory].cause, True, False, NOW_S + REALARM_S)
        assert pass_time(after, NOW_S + 2 * REALARM_S - 1) is after
    elif hold != "one_shot":
        assert after is before


def test_what_does_not_call_again_never_does() -> None:
    before = point("acked", "free")
    assert pass_time(before, NOW_S + 1e6, realarm_s=0) is before
    assert lifecycle.tick(before, now_s=NOW_S + 1e6, realarm_s=1, calling_again={OBSTRUCTED}) is before


def test_an_acknowledgement_begins_the_wait_for_the_next_call() -> None:
    later = lifecycle.acknowledge(point("unacked", "free"), now_s=NOW_S + 299)
    assert pass_time(later, NOW_S + 301) is later


def test_a_one_shot_shelf_waits_for_all_of_its_alarms() -> None:
    both = Point({SPILL: MEMORIES["acked"], OBSTRUCTED: MEMORIES["acked"]}, SHELF_ONCE)
    one = lifecycle.turn(both, SPILL, on=False, latching=False, now_s=NOW_S)
    assert pass_time(one, NOW_S + 1) is one
    none = lifecycle.turn(one, OBSTRUCTED, on=False, latching=False, now_s=NOW_S)
    assert pass_time(none, NOW_S + 1) == Point()


def test_a_reset_leaves_what_persists() -> None:
    both = Point({SPILL: MEMORIES["latched"], OBSTRUCTED: MEMORIES["acked"]})
    assert lifecycle.reset(both) == Point({OBSTRUCTED: MEMORIES["acked"]})


@pytest.mark.parametrize(
    ("memory", "hold", "given_input", "why"),
    [
        ("normal", "free", "ack", "nothing of it is unacknowledged"),
        ("normal", "free", "reset", "it has no alarm"),
        ("unacked", "free", "reset", "its cause persists (spill)"),
        ("normal", "free", "shelve_once", "no alarm of it is active, so say with for_s for how long"),
        ("normal", "out", "shelve", "it is out of service"),
        ("normal", "free", "unshelve", "it is not shelved"),
        ("normal", "shelved", "put_in", "it is not out of service"),
    ],
)
def test_a_refusal_says_why(memory: str, hold: str, given_input: str, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        INPUTS[given_input](point(memory, hold))
    assert str(refused.value) == why


def test_after_a_restart_with_the_clock_set_back_no_shelf_and_no_call_waits_for_it() -> None:
    back_s = NOW_S - 86400
    after = lifecycle.bounded(Point({SPILL: MEMORIES["acked"]}, HOLDS["shelved"]), now_s=back_s, shelf_s=SHELF_S)
    assert after.hold == Hold(AlarmState.SHELVED, back_s + SHELF_S)
    assert after.life(SPILL).told_s == back_s


TOUCHES = st.tuples(st.sampled_from([*INPUTS, "on_too", "off_too"]), st.integers(0, 2000))


@given(st.lists(TOUCHES, max_size=40))
def test_after_any_sequence_nothing_unacknowledged_is_lost_and_every_shelf_ends(touches: list[tuple[str, int]]) -> None:
    now_s, now = NOW_S, Point()
    for touch, pause_s in touches:
        now_s += pause_s
        before, now = now, after_touch(now, touch, now_s)
        for condition, life in now.lives.items():
            assert life.active or not life.cause  # a cause is never without its alarm
            assert not life.at_rest
            assert now.hold is not None or now.state(condition) != AlarmState.NORMAL
        answered = touch in ("ack", "reset", "shelve", "shelve_once", "take_out", "take_out_open")
        unacked = {condition for condition, life in before.lives.items() if not life.acked}
        assert answered or all(not now.life(condition).acked for condition in unacked)
    if now.hold and now.hold.kind == AlarmState.SHELVED:
        assert pass_time(now, now_s + SHELF_S).hold is None


def after_touch(now: Point, touch: str, now_s: float) -> Point:
    """One input at its own time; a refusal changes nothing."""
    shelf, out = Hold(AlarmState.SHELVED, now_s + SHELF_S), Hold(AlarmState.OUT_OF_SERVICE, now_s + SHELF_S)
    timed: dict[str, Callable[[Point], Point]] = {
        "on_too": lambda p: lifecycle.turn(p, OBSTRUCTED, on=True, latching=False, now_s=now_s),
        "off_too": lambda p: lifecycle.turn(p, OBSTRUCTED, on=False, latching=False, now_s=now_s),
        "shelve": lambda p: lifecycle.suppress(p, shelf),
        "shelve_once": lambda p: lifecycle.suppress(p, Hold(shelf.kind, shelf.ends_s, one_shot=True)),
        "take_out": lambda p: lifecycle.suppress(p, out),
        "wait": lambda p: pass_time(p, now_s),
        "wait_out": lambda p: pass_time(p, now_s, realarm_s=0),
    }
    try:
        return (timed | {k: v for k, v in INPUTS.items() if k not in timed})[touch](now)
    except CommandError:
        return now
