"""A stated false-alarm budget: how often normal footage alone would raise, and which levels keep that within bounds.

CUSUM's textbook levels suppose independent Gaussian scores (Page, Biometrika 41, 1954). The strengths of a casting
line are neither: people, tools and splashes come as events that last. So nothing is supposed of single frames. The
evidence that normal footage gathers is cut into events, each what the detector would raise as one alarm (runs
declustering: Coles, *An Introduction to Statistical Modeling of Extreme Values*, 2001, 5.3). How often an event
reaches a level is counted where the footage holds enough of them, and beyond that read from a generalised Pareto tail
of the peaks over a threshold (Coles, chapter 4), fitted after Zhang & Stephens (Technometrics 51, 2009). The interval
comes from a bootstrap of blocks of time, all wells together, since what disturbs one well soon disturbs the next
(Künsch, Annals of Statistics 17, 1989).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import genpareto

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spillwatch.records import F32, F64

Ints = npt.NDArray[np.int64]

LOW_S = 0.1
"""Evidence up to this is rest: an event begins when it is exceeded."""
LEAST_EVENTS = 20
"""A tail is fitted to no fewer peaks ..."""
MOST_EVENTS = 200
"""... and to no more: the upper half of them, for only the highest tell what lies beyond."""
BLOCK_S = 30.0
"""Blocks of the bootstrap: longer than a person needs along a row of wells."""
BLOCKS, LEAST_BLOCK_S = 20, 5.0
"""Short footage is cut into this many blocks, but into none shorter than this."""
REPLICATES = 300
CONFIDENCE = 0.9
CARE = 0.75
"""Levels are set so high that the budget is kept in this share of replicates: the estimate alone would break it more
often than not, since the least of many delays is chosen."""
REFERENCES = tuple(round(-0.3 + 0.05 * i, 2) for i in range(19))
"""Reference values to choose from: from the middle between normal wells and a weak spill up to strong spills only."""
LEAST_ON_S = 0.3
"""No level is set below this, however calm the footage: a few frames are no spill."""
LONGEST_DELAY_S = 5.0
"""No level is set at which the expected spill would take longer than this, whatever the budget."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Strengths of normal footage of one camera.

    ``times_s`` is (frames,) float64, rising; ``strengths`` is (frames, wells) float32, -1..+1 and NaN where a well was
    not seen; wells that are never watched have no column.
    """

    times_s: F64
    strengths: F32

    def disturbances(self, reference: float, *, max_step_s: float, apart_s: float) -> Disturbances:
        """See ``Stretch``."""
        clock_s = _clock(self.times_s, max_step_s)
        evidence = _evidence(self.strengths, np.diff(clock_s, prepend=0.0), reference)
        peaks, began, wells = _peaks(evidence, clock_s, apart_s)
        return Disturbances(peaks, clock_s[began], wells, float(clock_s[-1]), self.strengths.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Disturbances:
    """What one stretch of normal footage gathers at one reference value, as separate events.

    ``peaks`` (events,) float64 are seconds of evidence, from ``wells`` (events,) int64; ``began_s`` (events,) float64
    is when, on a clock that the detector counts to ``span_s``; ``width`` wells were watched.
    """

    peaks: F64
    began_s: F64
    wells: Ints
    span_s: float
    width: int


class Stretch(Protocol):
    """Normal footage of one camera without a break: strengths, or what was gathered from them before."""

    def disturbances(self, reference: float, *, max_step_s: float, apart_s: float) -> Disturbances:
        """What the detector gathers; two peaks of a well are one event unless it rested for ``apart_s`` between."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What normal footage gathers at one reference value.

    ``peaks`` (events,) float64 are seconds of evidence, from ``wells`` and ``blocks`` (events,) int64; ``hours``
    (blocks,) float64 are the well-hours of each block.
    """

    peaks: F64
    wells: Ints
    blocks: Ints
    hours: F64


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """Events per well-hour that reach a level: counted up to ``threshold`` and generalised Pareto beyond.

    ``peaks`` (events,) float64 are sorted, ``count`` of them lie beyond the threshold. ``shape`` is never below 0: a
    bounded tail would promise that no disturbance lasts longer than those that happened to be filmed.
    """

    peaks: F64
    hours: float
    threshold: float
    count: int
    shape: float
    scale: float

    def rate(self, level_s: float) -> float:
        """Events per well-hour whose evidence reaches ``level_s``."""
        if level_s <= self.threshold:
            return (len(self.peaks) - int(np.searchsorted(self.peaks, level_s))) / self.hours
        share = genpareto.sf(level_s - self.threshold, self.shape, scale=self.scale)
        return self.count / self.hours * float(share)

    def level(self, rate: float) -> float:
        """The least level in seconds that no more than ``rate`` events per well-hour reach."""
        if rate * self.hours < self.count:
            share = rate * self.hours / self.count
            return self.threshold + float(genpareto.isf(share, self.shape, scale=self.scale))
        allowed = math.floor(rate * self.hours)
        return LOW_S if allowed >= len(self.peaks) else float(np.nextafter(self.peaks[-allowed - 1], np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Levels for one reference value. ``rate`` is in false alarms per well-hour; ``met`` tells whether it is within
    the budget; ``delay_s`` is for a spill of the strength that was asked for."""

    reference: float
    on_s: float
    delay_s: float
    rate: float
    met: bool
    events: Events
    tail: Tail


def gather(series: Sequence[Stretch], reference: float, *, max_step_s: float, apart_s: float) -> Events:
    """What the detector would gather from all of this footage with this reference value, in blocks of time."""
    found = [one.disturbances(reference, max_step_s=max_step_s, apart_s=apart_s) for one in series]
    total_s = sum(one.span_s for one in found)
    block_s = min(BLOCK_S, max(total_s / BLOCKS, LEAST_BLOCK_S))
    blocks: list[Ints] = []
    hours: list[F64] = []
    before = 0
    for one in found:
        count = max(round(one.span_s / block_s), 1)
        share = one.began_s / max(one.span_s, 1e-9)
        blocks.append(np.minimum(count * share, count - 1).astype(np.int64) + before)
        hours.append(np.full(count, one.span_s * one.width / 3600 / count))
        before += count
    return Events(
        peaks=np.concatenate([one.peaks for one in found]),
        wells=np.concatenate([one.wells for one in found]),
        blocks=np.concatenate(blocks),
        hours=np.concatenate(hours),
    )


def _clock(times_s: F64, max_step_s: float) -> F64:
    """(frames,) seconds since the first frame, as the detector counts them."""
    return np.cumsum(np.clip(np.diff(times_s, prepend=times_s[:1]), 0.0, max_step_s))


def _evidence(strengths: F32, steps_s: F64, reference: float) -> F64:
    """(frames, wells) float64 CUSUM: a walk less its lowest point so far (Lindley, 1952); unseen wells wait."""
    walk = np.nan_to_num(strengths.astype(np.float64) - reference, nan=0.0) * steps_s[:, None]
    np.cumsum(walk, axis=0, out=walk)
    walk -= np.minimum(np.minimum.accumulate(walk, axis=0), 0.0)
    return walk


def _peaks(evidence: F64, clock_s: F64, apart_s: float) -> tuple[F64, Ints, Ints]:
    """Of each event its peak, the frame in which it began, and its well."""
    frames, count = evidence.shape
    rest = np.zeros((1, count))  # every well begins and ends at rest, so that none runs into the next
    flat = np.concatenate([rest, evidence, rest]).T.ravel()
    above = flat > LOW_S
    starts = np.flatnonzero(above[1:] & ~above[:-1]) + 1
    ends = np.flatnonzero(above[:-1] & ~above[1:]) + 1
    if not len(starts):
        return np.zeros(0), starts, starts
    wells, began = np.divmod(starts, frames + 2)
    began -= 1
    rested_s = clock_s[began[1:]] - clock_s[np.minimum(ends[:-1] % (frames + 2) - 1, frames - 1)]
    first = np.flatnonzero(np.append(True, (wells[1:] != wells[:-1]) | (rested_s >= apart_s)))
    peaks = np.maximum.reduceat(np.maximum.reduceat(flat, starts), first)
    return peaks, began[first], wells[first]


def fit(found: Events) -> Tail | None:
    """The tail of these events; None where there are too few to tell it."""
    peaks = np.sort(found.peaks)
    if len(peaks) <= LEAST_EVENTS:
        return None
    count = min(max(len(peaks) // 2, LEAST_EVENTS), MOST_EVENTS)
    threshold = float(peaks[-count - 1] + peaks[-count]) / 2
    return _tail(peaks, float(found.hours.sum()), threshold)


def _tail(peaks: F64, hours: float, threshold: float, rng: np.random.Generator | None = None) -> Tail:
    excess = peaks[peaks > threshold] - threshold
    shape, scale = pareto(excess, rng) if len(excess) else (0.0, 1.0)
    return Tail(peaks, hours, threshold, len(excess), shape, scale)


def pareto(excess: F64, rng: np.random.Generator | None = None) -> tuple[float, float]:
    """Shape (0 or more) and scale of a generalised Pareto distribution; ``excess`` (n,) is sorted and above 0.

    Zhang & Stephens weigh a grid of parameters by their likelihood and take the mean; with ``rng`` one is drawn by
    these weights instead.
    """
    count = len(excess)
    if count < 5:
        return 0.0, float(excess.mean())
    size = 30 + math.isqrt(count)
    quartile = excess[int(count / 4 + 0.5) - 1]
    grid = (1 - np.sqrt(size / (np.arange(size) + 0.5))) / (3 * quartile) + 1 / excess[-1]
    shapes = np.log1p(-grid[:, None] * excess).mean(axis=1)
    likelihood = count * (np.log(-grid / shapes) - shapes - 1)
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    chosen = float(grid @ weights) if rng is None else float(rng.choice(grid, p=weights))
    shape = float(np.log1p(-chosen * excess).mean())
    return (shape, -shape / chosen) if shape > 0 else (0.0, float(excess.mean()))


def interval(found: Events, tail: Tail, level_s: float, *, seed: int = 0) -> tuple[float, float]:
    """Interval (``CONFIDENCE``) of the rate at which events reach ``level_s``, per well-hour."""
    rng = np.random.default_rng(seed)
    if level_s <= tail.threshold:  # a count has its own uncertainty beside that of its blocks
        rates = [
            rng.gamma(round(one.rate(level_s) * one.hours) + 0.5) / one.hours for one in _redrawn(found, tail, rng)
        ]
    else:
        rates = [one.rate(level_s) for one in _redrawn(found, tail, rng)]
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def careful_level(found: Events, tail: Tail, rate: float, *, seed: int = 0) -> float:
    """The level in seconds that suffices for ``rate`` events per well-hour in the share ``CARE`` of what may be."""
    levels = [one.level(rate) for one in _redrawn(found, tail, np.random.default_rng(seed))]
    return max(float(np.quantile(levels, CARE)), tail.level(rate))


def _redrawn(found: Events, tail: Tail, rng: np.random.Generator) -> Iterator[Tail]:
    """Tails that the footage might have shown as well.

    Resampled blocks alone are too sure of a tail that twenty peaks have shown, so each replicate also draws its tail
    among those that its peaks allow.
    """
    order = np.argsort(found.blocks, kind="stable")
    bounds = np.cumsum(np.bincount(found.blocks, minlength=len(found.hours)))[:-1]
    blocks = np.split(found.peaks[order], bounds)
    for _ in range(REPLICATES):
        drawn = rng.integers(0, len(blocks), len(blocks))
        peaks = np.sort(np.concatenate([blocks[j] for j in drawn]))
        yield _tail(peaks, float(found.hours[drawn].sum()), tail.threshold, rng)


def choices(
    series: Sequence[Stretch], *, rate: float, strength: float, max_step_s: float, apart_s: float
) -> list[Choice]:
    """For each reference value that the footage can tell of, the least level that keeps to ``rate`` false alarms
    per well-hour, with care."""
    made = []
    for reference in REFERENCES:
        if reference > strength - 0.1:
            break
        found = gather(series, reference, max_step_s=max_step_s, apart_s=apart_s)
        tail = fit(found)
        if tail is None:
            continue
        gain = strength - reference
        wanted_s = max(careful_level(found, tail, rate), LEAST_ON_S)
        on_s = max(min(math.ceil(wanted_s * 100) / 100, math.floor(LONGEST_DELAY_S * gain * 100) / 100), LEAST_ON_S)
        made.append(Choice(reference, on_s, on_s / gain, tail.rate(on_s), wanted_s <= on_s, found, tail))
    return made


def kept(
    series: Sequence[Stretch], *, reference: float, on_s: float, strength: float, max_step_s: float, apart_s: float
) -> Choice:
    """Levels in force, for footage too calm to choose others by: what its few events, or none, tell of their rate.

    The rate is the mean that a count of events leaves to believe (Jeffreys): never nil, however calm the footage.
    """
    found = gather(series, reference, max_step_s=max_step_s, apart_s=apart_s)
    tail = Tail(np.sort(found.peaks), float(found.hours.sum()), threshold=math.inf, count=0, shape=0.0, scale=1.0)
    rate = tail.rate(on_s) + 0.5 / tail.hours
    gain = strength - reference
    delay_s = on_s / gain if gain > 0 else math.inf
    return Choice(reference, on_s, delay_s, rate, met=False, events=found, tail=tail)


def best(made: Sequence[Choice]) -> Choice:
    """The least expected delay within the budget; where none is within, the fewest false alarms."""
    met = [choice for choice in made if choice.met]
    return min(met, key=lambda choice: choice.delay_s) if met else min(made, key=lambda choice: choice.rate)
