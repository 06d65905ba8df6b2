"""How late a stream is, from its time-stamps and the clock of arrival."""

from __future__ import annotations

import pytest

from spillwatch.sources.lag import LATE_S, PATIENCE_S, Lag


def play(lag: Lag, *, seconds: float, begin_s: float = 0.0, rate: float = 1.0, held_up_s: float = 0.0) -> float:
    """Pictures at 10 per second of the stream's clock, which the world passes ``rate`` times as fast; the last lag."""
    late_s = 0.0
    for number in range(round(seconds * 10)):
        stamp_s = begin_s + number / 10
        late_s = lag.measure(stamp_s, 1000 + begin_s + (stamp_s - begin_s) * rate + held_up_s)
        if lag.lasts:
            break
    return late_s


def test_a_prompt_stream_is_not_late() -> None:
    lag = Lag()
    assert play(lag, seconds=60) == pytest.approx(0, abs=1e-3)
    assert not lag.lasts


def test_a_stream_that_comes_slower_than_it_was_taken_is_given_up() -> None:
    lag = Lag()
    late_s = play(lag, seconds=60, rate=1.1)
    assert lag.lasts
    assert LATE_S < late_s < LATE_S + 0.2 * PATIENCE_S


def test_clocks_of_different_rates_are_no_lag() -> None:
    lag = Lag()
    assert play(lag, seconds=3 * 3600, rate=1.0004) < 0.1
    assert not lag.lasts


def test_what_a_short_break_held_up_is_late_but_not_for_long() -> None:
    lag = Lag()
    play(lag, seconds=10)
    assert play(lag, begin_s=10, seconds=0.5, held_up_s=4.0) == pytest.approx(4.0, abs=0.01)
    assert not lag.lasts
    assert play(lag, begin_s=10.5, seconds=10) == pytest.approx(0, abs=0.01)
    assert not lag.lasts


def test_a_break_that_the_stream_never_catches_up_with_is_given_up() -> None:
    lag = Lag()
    play(lag, seconds=10)
    play(lag, begin_s=10, seconds=10, held_up_s=4.0)
    assert lag.lasts


def test_a_picture_without_a_time_stamp_says_nothing() -> None:
    assert Lag().measure(None, 5.0) == 0.0
