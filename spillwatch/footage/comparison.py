"""What a comparison of two models found: the rules by which a candidate is worse, its JSON and its page."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from spillwatch.errors import PublishError
from spillwatch.outputs import write_whole
from spillwatch.pages import figure, render
from spillwatch.watch.contest import BINS, HIGH, LOW, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from markupsafe import Markup

SLOWER_S = 0.5
"""A candidate may raise true spills later by so much, in the median."""

SHOWN = 60
"""Disagreements that the page shows."""

_INK, _LIVE, _CANDIDATE = "#1d2329", "#5b6670", "#2b6ca3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that both models were asked: a spill that was one (``true``), or an alarm that should not have been.

    ``live`` and ``candidate`` say whether each raised it, ``delay_s`` how much later the candidate did. ``learnt``
    marks what the candidate was taught by this very alarm. ``where`` names footage, evidence or shadow.
    """

    where: str
    what: str
    true: bool | None
    live: bool
    candidate: bool
    delay_s: float | None = None
    learnt: bool = False
    note: str = ""
    png: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All of it. ``watched`` says how much of what was looked at; ``crops`` how the crew's crops score."""

    candidate: dict[str, Any]
    live: dict[str, Any]
    at: str
    watched: Sequence[dict[str, Any]]
    said: Sequence[Said]
    crops: Sequence[dict[str, Any]]
    scores: Scores = field(default_factory=Scores)
    notes: Sequence[str] = ()

    @property
    def figures(self) -> dict[str, Any]:
        """True spills found and false alarms raised by each; what nobody has judged counts as false."""
        true = [each for each in self.said if each.true]
        false = [each for each in self.said if not each.true]
        delays = [each.delay_s for each in true if each.delay_s is not None]
        return {
            "spills": len(true),
            "live_found": sum(each.live for each in true),
            "candidate_found": sum(each.candidate for each in true),
            "live_false": sum(each.live for each in false),
            "candidate_false": sum(each.candidate for each in false),
            "unjudged": sum(each.true is None for each in false),
            "delay_median_s": round(median(delays), 3) if delays else None,
            "well_hours": round(sum(each["well_hours"] for each in self.watched), 3),
        }

    @property
    def worse(self) -> list[str]:
        """Why the candidate should not take over; empty when it is no worse."""
        of, faults = self.figures, []
        lost = [each for each in self.said if each.true and each.live and not each.candidate]
        if not of["spills"]:
            faults.append("there was no true spill to find in anything that was compared")
        if lost:
            faults.append(f"it misses {len(lost)} true spills that the other finds ({lost[0].what})")
        if of["candidate_false"] > of["live_false"]:
            faults.append(f"it raises {of['candidate_false']} false alarms, the other {of['live_false']}")
        if (of["delay_median_s"] or 0) > SLOWER_S:
            faults.append(f"it finds true spills {of['delay_median_s']:g} s later in the median")
        return faults


def write(comparison: Comparison, path: Path) -> None:
    """The JSON, which `model promote` reads, and a page of the same name, .html; both whole. Raises PublishError."""
    said = [asdict(each) for each in comparison.said]
    values = {
        "candidate": comparison.candidate,
        "live": comparison.live,
        "at": comparison.at,
        "version": version("spillwatch"),
        "worse": comparison.worse,
        "figures": comparison.figures,
        "notes": list(comparison.notes),
        "watched": list(comparison.watched),
        "crops": list(comparison.crops),
        "said": [{name: value for name, value in each.items() if name != "png"} for each in said],
        "scores": comparison.scores.json(),
    }
    apart = [each for each in comparison.said if each.live != each.candidate]
    page = render(
        "comparison.html",
        comparison=comparison,
        figures=comparison.figures,
        worse=comparison.worse,
        apart=sorted(apart, key=lambda each: (each.true is not True, each.true is False))[:SHOWN],
        apart_all=len(apart),
        histogram=_histogram(comparison.scores) if comparison.scores.agreement.sum() else "",
        agreement=comparison.scores.agreement.tolist(),
        slower_s=SLOWER_S,
        version=version("spillwatch"),
    )
    try:
        write_whole(path.with_suffix(".html"), page.encode())
        write_whole(path, (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as exc:
        raise PublishError(f"{path} cannot be written: {exc.strerror}; make {path.parent} writable") from exc


def _histogram(scores: Scores) -> Markup:
    """Both models' scores of the same wells, in units of each threshold."""
    from matplotlib.figure import Figure

    edges = np.exp(np.linspace(LOW, HIGH, BINS + 1))
    fig = Figure(figsize=(9.8, 2.8), layout="constrained")
    ax = fig.subplots()
    for row, name, colour in zip(scores.histograms, ("in force", "candidate"), (_LIVE, _CANDIDATE), strict=True):
        ax.stairs(row, edges, label=name, color=colour, lw=1.6)
    ax.axvline(1, color=_INK, lw=1, ls="--")
    used = np.flatnonzero(scores.histograms.sum(0))
    ax.set(xscale="log", yscale="log", xlabel="score, in units of each model's threshold", ylabel="wells of frames")
    ax.set_xlim(edges[max(used[0] - 1, 0)], max(edges[min(used[-1] + 2, BINS)], 2))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return figure(fig, alt="Scores of both models")
