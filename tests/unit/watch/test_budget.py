"""The maths of a false-alarm budget, on simulated wells whose true rate is counted over far more footage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from spillwatch.watch import budget
from spillwatch.watch.budget import Events, Series, Tail
from spillwatch.watch.detection import SpillDetector
from tests.support.simulated import SCALE

TIMES = {"max_step_s": 0.5, "apart_s": 3.0}


@pytest.fixture(autouse=True)
def fewer_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "REPLICATES", 100)


def footage(seed: int, *, hours: float = 0.5, wells: int = 20, fps: float = 12.5, pareto: bool = False) -> Series:
    """Normal work: coloured noise about -0.6, and passers-by who lift four wells, one after the other.

    Each well is lifted for a time of mean 0.15 s, exponential or Pareto (shape 0.25), 20 times an hour.
    """
    rng = np.random.default_rng(seed)
    frames = int(hours * 3600 * fps)
    memory = np.exp(-1 / (0.5 * fps))  # AR(1) with a time constant of half a second, at any frame rate
    noise = lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=(frames, wells)), axis=0)
    strengths = -0.6 + 0.2 * noise
    for _ in range(rng.poisson(20 * hours * wells / 4)):
        well, at_s = rng.integers(wells), rng.uniform(0, hours * 3600)
        for i in range(4):
            lasts_s = 0.45 * rng.pareto(4) if pareto else rng.exponential(0.15)
            first, last = (int(np.ceil(t * fps)) for t in (at_s + 0.8 * i, at_s + 0.8 * i + lasts_s))
            strengths[first:last, (well + i) % wells] = rng.uniform(0.4, 1.0)
    return Series(np.arange(frames) / fps, np.clip(strengths, -1, 1).astype(np.float32))


def gathered(*series: Series, reference: float = 0.0) -> Events:
    return budget.gather(series, reference, **TIMES)


def fitted(found: Events) -> Tail:
    tail = budget.fit(found)
    assert tail is not None
    return tail


@pytest.fixture(scope="module", params=[False, True], ids=["exponential", "pareto"])
def kind(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def truth(kind: bool) -> tuple[np.ndarray, float]:
    """All peaks of 640 well-hours, sorted, and the hours: 64 times what each case sees."""
    runs = [gathered(footage(1000 + i, hours=2, wells=40, pareto=kind)) for i in range(8)]
    return np.sort(np.concatenate([run.peaks for run in runs])), float(sum(run.hours.sum() for run in runs))


@pytest.mark.parametrize("rarity", [0.3, 3.0], ids=["counted", "beyond the footage"])
def test_the_interval_covers_the_true_rate_in_most_cases(
    kind: bool, truth: tuple[np.ndarray, float], rarity: float
) -> None:
    peaks, hours = truth
    level_s = float(peaks[-round(hours / 10 / rarity)])  # reached once in so many times the footage of one case
    true = 1 / (10 * rarity)
    covered = 0
    for seed in range(24):
        found = gathered(footage(seed, pareto=kind))
        low, high = budget.interval(found, fitted(found), level_s, seed=seed)
        covered += low <= true <= high
    assert covered >= 19, "of 24, where 90 % are promised"


def test_a_higher_level_is_reached_no_more_often_and_level_inverts_rate() -> None:
    tail = fitted(gathered(footage(1)))
    rates = [tail.rate(level_s) for level_s in np.linspace(0.1, 3, 200)]
    assert all(a >= b for a, b in itertools.pairwise(rates))
    for rate in (2.0, 0.5, 1e-2, 1e-5):
        assert tail.rate(tail.level(rate)) <= rate * (1 + 1e-9)
        assert tail.rate(tail.level(rate) - 0.02) >= min(rate, tail.rate(0.11)) * 0.999


def test_a_higher_reference_gathers_no_more() -> None:
    series = footage(2)
    counts = [np.count_nonzero(gathered(series, reference=k).peaks > 0.3) for k in (-0.3, 0.0, 0.3, 0.6)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_the_tail_is_never_bounded() -> None:
    short = np.sort(np.random.default_rng(0).uniform(0.01, 0.2, 100))  # a bounded sample
    shape, scale = budget.pareto(short)
    assert shape == 0
    assert scale == pytest.approx(short.mean())


def test_the_fit_finds_a_pareto_shape() -> None:
    excess = np.sort(0.3 * np.random.default_rng(0).pareto(1 / 0.5, 5000) * 0.5 / 0.5)
    shape, _scale = budget.pareto(excess)
    assert shape == pytest.approx(0.5, abs=0.05)


def test_a_well_that_is_not_seen_waits() -> None:
    nan = float("nan")
    strengths = np.array([[-1, 1, 1, nan, nan, 1, 1, -1, -1, -1, -1, -1]], np.float32).T
    found = gathered(Series(np.arange(12) * 0.1, strengths))
    assert found.peaks == pytest.approx([0.4])
    assert len(gathered(Series(np.arange(12) * 0.1, np.full((12, 3), nan, np.float32))).peaks) == 0


def test_peaks_of_one_disturbance_are_one_event_and_wells_are_kept_apart() -> None:
    strengths = np.full((100, 2), -1, np.float32)
    strengths[[*range(10, 15), *range(30, 37), *range(80, 84)], 0] = 1  # rests of about 1 s and 4 s
    strengths[90:, 1] = 1
    found = gathered(Series(np.arange(100) * 0.1, strengths))
    assert found.peaks == pytest.approx([0.7, 0.4, 1.0])
    assert found.wells.tolist() == [0, 0, 1]
    assert found.hours.sum() == pytest.approx(2 * 9.9 / 3600)


def test_a_late_frame_counts_for_max_step_at_most() -> None:
    found = gathered(Series(np.array([0.0, 0.1, 60.0]), np.ones((3, 1), np.float32)))
    assert found.peaks == pytest.approx([0.6])


def test_the_frame_rate_changes_little() -> None:
    fine = footage(3, hours=1, fps=25)
    coarse = Series(fine.times_s[::2], fine.strengths[::2])
    tails = [fitted(gathered(series)) for series in (fine, coarse)]
    for level_s in (0.3, 0.5, 0.8):
        assert tails[0].rate(level_s) == pytest.approx(tails[1].rate(level_s), rel=0.25)
    made = [budget.best(budget.choices([s], rate=0.01, strength=0.7, **TIMES)) for s in (fine, coarse)]
    assert made[0].delay_s == pytest.approx(made[1].delay_s, rel=0.15)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0008, 0.005, 0.03, 0.09, float("nan")]), min_size=2, max_size=80))
def test_peaks_are_what_the_detector_gathers(scores: list[float]) -> None:
    levels = {"on_s": 50.0, "off_s": 0.2, "off_delay_s": 3.0, "max_step_s": 0.5, "reference": 0.1}
    detector = SpillDetector(1, SCALE, **levels)
    covered = np.isnan(scores)
    strengths, evidence = [], [0.0]
    for i, score in enumerate(np.nan_to_num(scores, nan=0.01)):
        detector.step(i * 0.08, np.array([score], np.float32), covered[i : i + 1])
        strengths.append(detector.strength.copy())
        evidence.append(float(detector.evidence[0]))
    found = gathered(Series(np.arange(len(scores)) * 0.08, np.array(strengths, np.float32)), reference=0.1)
    highest = max(evidence)
    assert found.peaks.max(initial=0.0) == pytest.approx(highest if highest > budget.LOW_S else 0.0, abs=1e-5)


def test_the_least_delay_within_the_budget_is_chosen() -> None:
    made = budget.choices([footage(4)], rate=0.01, strength=0.7, **TIMES)
    chosen = budget.best(made)
    assert chosen.met
    assert chosen.rate <= 0.01
    assert chosen.on_s >= chosen.tail.level(0.01)
    assert chosen.delay_s == min(choice.delay_s for choice in made if choice.met)
    assert all(choice.on_s >= budget.LEAST_ON_S for choice in made)
    assert all(choice.reference <= 0.6 for choice in made)


def test_a_budget_out_of_reach_is_not_called_met() -> None:
    chosen = budget.best(budget.choices([footage(5, pareto=True)], rate=1e-12, strength=0.3, **TIMES))
    assert not chosen.met
    assert chosen.rate > 1e-12
    assert chosen.delay_s <= budget.LONGEST_DELAY_S


def test_calm_footage_offers_no_choice_and_is_not_called_free_of_alarms() -> None:
    calm = Series(np.arange(4500) * 0.08, np.full((4500, 10), -0.9, np.float32))  # one well-hour
    assert budget.choices([calm], rate=1.0, strength=0.7, **TIMES) == []
    kept = budget.kept([calm], reference=0.0, on_s=0.8, strength=0.7, **TIMES)
    assert kept.rate == pytest.approx(0.5, rel=0.01)
    low, high = budget.interval(kept.events, kept.tail, 0.8)
    assert low < kept.rate < high
    assert 1.5 < high < 3.0


def test_the_same_seed_gives_the_same_interval() -> None:
    found = gathered(footage(6))
    tail = fitted(found)
    assert budget.interval(found, tail, 0.6) == budget.interval(found, tail, 0.6)
    assert budget.interval(found, tail, 0.6) != budget.interval(found, tail, 0.6, seed=1)
