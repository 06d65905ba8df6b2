from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillwatch.watch.detection import ScoreScale, SpillDetector
from tests.support.simulated import NORMAL, OFF_DELAY_S, OFF_S, ON_S, SCALE, SPILL


def detector(count: int = 1) -> SpillDetector:
    return SpillDetector(count, SCALE, on_s=ON_S, off_s=OFF_S, off_delay_s=OFF_DELAY_S, max_step_s=0.5)


def test_strength_is_linear_in_log_score_and_limited() -> None:
    scores = np.array([1e-9, 0.001, 0.01, 10**-1.5, 0.1, 1e9], np.float32)
    assert SCALE.strength(np.log(scores, dtype=np.float64)) == pytest.approx([-1, -1, 0, 0.5, 1, 1], abs=1e-6)


@pytest.mark.parametrize(("normal", "threshold", "spill"), [(0.1, 0.01, 1.0), (0.1, 1.0, 0.5), (0.0, 1.0, 2.0)])
def test_a_threshold_must_lie_between_the_classes(normal: float, threshold: float, spill: float) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        ScoreScale(normal=normal, threshold=threshold, spill=spill)


def test_the_first_frame_alone_is_no_evidence() -> None:
    alone = detector()
    assert not alone.step(100.0, np.array([SPILL], np.float32))
    assert alone.evidence[0] == 0


def test_a_late_frame_counts_for_max_step_at_most() -> None:
    late = detector()
    late.step(0.0, np.array([SPILL], np.float32))
    late.step(60.0, np.array([SPILL], np.float32))
    assert late.evidence[0] == pytest.approx(0.5)


@pytest.mark.parametrize("lift", [1.0, 3.5])
def test_what_lifts_all_wells_and_brings_none_near_the_threshold_hides_no_weak_spill(lift: float) -> None:
    scale = ScoreScale(normal=0.0008, threshold=0.086, spill=1.5)
    table = SpillDetector(84, scale, on_s=0.35, off_s=0.05, off_delay_s=3, max_step_s=0.5, reference=0.2)
    scores = np.full(84, 0.0008 * lift, np.float32)
    scores[5] = 0.3
    for i in range(26):
        active = table.step(i * 0.08, scores)
    assert np.flatnonzero(active).tolist() == [5]


def test_time_that_steps_back_is_no_evidence() -> None:
    back = detector()
    back.step(5.0, np.array([SPILL], np.float32))
    back.step(4.0, np.array([SPILL], np.float32))
    assert back.evidence[0] == 0


def test_a_well_that_is_not_watched_has_no_evidence_and_no_alarm() -> None:
    pair = detector(2)
    for i in range(100):
        active = pair.step(i * 0.08, np.array([np.nan, SPILL], np.float32))
    assert active.tolist() == [False, True]
    assert pair.evidence[0] == 0


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200), st.sampled_from([5.0, 12.5, 25.0]))
def test_columns_do_not_influence_each_other(scores: list[float], fps: float) -> None:
    one, many = detector(1), detector(3)
    for i, score in enumerate(scores):
        alone = one.step(i / fps, np.array([score], np.float32))
        among = many.step(i / fps, np.array([NORMAL, score, SPILL], np.float32))
        assert alone[0] == among[1]
        assert one.evidence[0] == many.evidence[1]


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200))
def test_evidence_stays_within_its_bounds(scores: list[float]) -> None:
    bounded = detector()
    for i, score in enumerate(scores):
        bounded.step(i * 0.2, np.array([score], np.float32))
        assert 0 <= bounded.evidence[0] <= 2 * ON_S
