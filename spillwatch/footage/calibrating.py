"""The driver for normal footage: detection levels of one camera that keep a stated budget of false alarms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from spillwatch import build, profile
from spillwatch.errors import ConfigError
from spillwatch.footage import recording
from spillwatch.outputs import check_outputs, write_text
from spillwatch.pages import figure, render
from spillwatch.profile import Evidence, Levels, Profile
from spillwatch.watch import budget
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from spillwatch.config import DetectionSettings, Settings
    from spillwatch.records import Wells
    from spillwatch.watch.budget import Choice, Stretch

Raised = tuple[str, str, float]
"""Video, well, and seconds of media time of a spill alarm."""
PERIOD_H = 720.0
"""30 days, in which budgets are stated and figures are given."""
FAR = 10.0
"""What lies this many times beyond the footage is a guess from the tail's shape."""
_HOURS = {"hour": 1.0, "shift": 8.0, "day": 24.0, "week": 168.0, "month": PERIOD_H, "year": 8766.0}
_INK, _SOFT, _NORMAL, _SPILL = "#1d2329", "#5b6670", "#2b6ca3", "#c4441c"  # the page's own colours


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to calibrate on, for what, and what to write."""

    videos: Sequence[Path]
    wells: Path
    profile: Path
    budget: str
    strength: float
    report: Path | None = None
    on_frame: Callable[[int, int | None], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Footage:
    """Normal work as the detector sees it; ``raised`` are the spill alarms that it raised at the levels in force."""

    wells: Wells
    model: str
    series: Sequence[Stretch]
    raised: Sequence[Raised]

    @property
    def period_well_hours(self) -> float:
        """Well-hours of this camera in 30 days."""
        return float(self.wells.in_service.sum()) * PERIOD_H


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The levels with their evidence, and all that was weighed for them."""

    profile: Profile
    footage: Footage
    chosen: Choice
    choices: Sequence[Choice]


def calibrate(settings: Settings, job: Job) -> Outcome:
    """Watch normal footage, choose the levels, write the profile and the report."""
    parse_budget(job.budget)  # before hours of watching
    wells = wellmap.load(job.wells)
    old = {camera.profile for camera in settings.cameras}  # which may be made anew
    named = [path for path in settings.files() if path not in old]
    check_outputs((job.profile, job.report), read=(*job.videos, job.wells, wells.reference, *named))
    build.one_core_each()
    judge = build.judge(settings.model)
    series: list[Stretch] = []
    raised: list[Raised] = []
    for video in job.videos:
        seen = recording.record(video, wells, judge, settings.detection, on_frame=job.on_frame)
        raised += [(video.name, well, at_s) for well, at_s in seen.raised]
        if len(seen.times_s) > 1:
            strengths = recording.strengths(seen, judge.scale, settings.detection)
            series.append(budget.Series(seen.times_s, strengths))
    footage = Footage(wells=wells, model=judge.bundle.name, series=series, raised=raised)
    outcome = choose(footage, settings.detection, job)
    profile.save(outcome.profile, job.profile)
    if job.report:
        write_report(job.report, outcome)
    return outcome


def choose(footage: Footage, detection: DetectionSettings, job: Job) -> Outcome:
    """The levels for a budget, with their evidence; those in force where the footage is too calm to tell."""
    if not footage.series or not footage.wells.in_service.any():
        raise ConfigError("no well in service was seen in this footage, so there is nothing to calibrate on")
    if job.strength <= detection.reference:
        raise ConfigError(
            f"strength {job.strength:g} is not above detection.reference {detection.reference:g}, so such a spill "
            "would never be raised; give a higher --strength"
        )
    per_30_days = parse_budget(job.budget)
    period = footage.period_well_hours
    times = {"max_step_s": detection.max_step_s, "apart_s": detection.off_delay_s}
    choices = budget.choices(footage.series, rate=per_30_days / period, strength=job.strength, **times)
    if choices:
        chosen = budget.best(choices)
        off_s = round(min(detection.off_s, chosen.on_s / 4), 3)
    else:
        in_force = {"reference": detection.reference, "on_s": detection.on_s}
        chosen = budget.kept(footage.series, strength=job.strength, **in_force, **times)
        off_s = detection.off_s
    low, high = budget.interval(chosen.events, chosen.tail, chosen.on_s)
    evidence = Evidence(
        model=footage.model,
        videos=tuple(video.name for video in job.videos),
        well_hours=_figure(chosen.tail.hours),
        events=len(chosen.events.peaks),
        budget=job.budget,
        budget_per_30_days=_figure(per_30_days),
        fitted=bool(choices),
        met=chosen.met,
        expected_per_30_days=_figure(chosen.rate * period),
        interval_per_30_days=(_figure(low * period), _figure(high * period)),
        confidence=budget.CONFIDENCE,
        extrapolation=_figure(period / per_30_days / chosen.tail.hours),
        strength=job.strength,
        expected_delay_s=round(chosen.delay_s, 3),
        date=datetime.now(UTC).date().isoformat(),
        version=version("spillwatch"),
    )
    levels = Levels(reference=chosen.reference, on_s=chosen.on_s, off_s=off_s)
    return Outcome(Profile(detection=levels, evidence=evidence), footage, chosen, choices)


def parse_budget(text: str) -> float:
    """False alarms in 30 days of "1 per 30 days", "2 per week" and the like."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s+per\s+(?:(\d+(?:\.\d+)?)\s+)?([a-z]+?)s?\s*", text)
    if not match or match[3] not in _HOURS or not float(match[1]) or not float(match[2] or 1):
        known = ", ".join(_HOURS)
        raise ConfigError(f'budget {text!r} is not understood; write it as "1 per 30 days" ({known})')
    return float(match[1]) * PERIOD_H / (float(match[2] or 1) * _HOURS[match[3]])


def _figure(value: float) -> float:
    """Three digits are more than such figures hold."""
    return float(f"{value:.3g}")


def sentences(outcome: Outcome) -> list[str]:
    """The outcome for people, each on one line."""
    levels, evidence = outcome.profile.detection, outcome.profile.evidence
    low, high = evidence.interval_per_30_days
    wells = int(outcome.footage.wells.in_service.sum())
    expected = f"{evidence.expected_per_30_days:,g} ({100 * evidence.confidence:.0f} % interval {low:,g} to {high:,g})"
    if not evidence.fitted:
        expected = f"unknown, with {50 + 50 * evidence.confidence:.0f} % confidence no more than {high:,g}"
    said = [
        f"levels: reference {levels.reference:g}, on_s {levels.on_s:g}, off_s {levels.off_s:g}",
        f"expected false alarms per 30 days, of {wells} wells: {expected}",
        f"expected delay: {evidence.expected_delay_s:.2f} s for a spill of strength {evidence.strength:g}",
    ]
    if not evidence.fitted:
        said.append(
            f"the footage holds too few disturbances to choose levels by, {evidence.events} where more than "
            f"{budget.LEAST_EVENTS} are needed: those in force are kept"
        )
    elif not evidence.met:
        said.append(
            f"the budget of {evidence.budget} cannot be met with a delay of {budget.LONGEST_DELAY_S:g} s or less; "
            "these levels come nearest"
        )
    if evidence.extrapolation > FAR:
        enough_h = evidence.extrapolation * evidence.well_hours / FAR / wells
        said.append(
            f"the footage is too short to support this budget: {evidence.well_hours:.3g} well-hours with "
            f"{evidence.events} disturbances, and the budget lies {evidence.extrapolation:,.0f} times beyond them; "
            f"{enough_h:.3g} hours of footage or more would do"
        )
    if outcome.footage.raised:
        named = ", ".join(f"{well} at {at_s:.2f} s of {video}" for video, well, at_s in outcome.footage.raised[:10])
        more = len(outcome.footage.raised) - 10
        said.append(
            f"this footage raises spill alarms ({len(outcome.footage.raised)}) at the present levels: {named}"
            + (f" and {more} more" if more > 0 else "")
            + "; look at them, for a real spill among them would spoil the calibration"
        )
    return said


def write_report(path: Path, outcome: Outcome) -> None:
    """The calibration on one page."""
    peaks, wells = outcome.chosen.events.peaks, outcome.chosen.events.wells
    served = np.array(outcome.footage.wells.ids)[outcome.footage.wells.in_service]
    top = np.argsort(-peaks, kind="stable")[:10]
    page = render(
        "calibration.html",
        profile=outcome.profile,
        sentences=sentences(outcome),
        chosen=outcome.chosen,
        choices=[(choice, choice.rate * outcome.footage.period_well_hours) for choice in outcome.choices],
        highest=[(served[wells[i]], float(peaks[i]), int((wells == wells[i]).sum())) for i in top],
        curve=_curve(outcome) if outcome.choices else "",
        version=version("spillwatch"),
    )
    write_text(path, page, what="report")


def _curve(outcome: Outcome) -> Markup:
    """False alarms in 30 days against the level: counted, and the tail beyond."""
    from matplotlib.figure import Figure

    chosen, evidence = outcome.chosen, outcome.profile.evidence
    tail, period = chosen.tail, outcome.footage.period_well_hours
    fig = Figure(figsize=(9.8, 4.2), layout="constrained")
    ax = fig.subplots()
    counted = np.arange(len(tail.peaks), 0, -1) / tail.hours * period
    ax.step(tail.peaks, counted, where="pre", color=_NORMAL, lw=1.5, label="counted in the footage")
    levels = np.linspace(tail.threshold, max(1.3 * chosen.on_s, float(tail.peaks[-1])), 200)
    ax.plot(levels, [tail.rate(float(x)) * period for x in levels], color=_INK, lw=1, ls="--", label="fitted tail")
    low, high = (max(x, 1e-6) for x in evidence.interval_per_30_days)
    ax.plot([chosen.on_s] * 2, [low, high], color=_SPILL, lw=2)
    ax.plot([chosen.on_s], [max(evidence.expected_per_30_days, 1e-6)], "o", color=_SPILL, label="chosen level")
    ax.axhline(evidence.budget_per_30_days, color=_SOFT, lw=0.8, ls=":")
    ax.annotate("budget", (0, evidence.budget_per_30_days), color=_SOFT, fontsize=8, va="bottom")
    ax.set_yscale("log")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=evidence.budget_per_30_days / 100)
    ax.set(xlabel="level on_s, seconds of evidence", ylabel="events in 30 days that reach it")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
    return figure(fig, alt="False alarms in 30 days against the level")
