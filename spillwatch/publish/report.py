"""A replay on one page: what spilled and when, and what the scores did. One HTML file, nothing loaded from outside."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from markupsafe import Markup

from spillwatch.outputs import write_text
from spillwatch.pages import figure, render
from spillwatch.publish.annotate import clock
from spillwatch.records import F32, F64, U8, AlarmEvent, Condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spillwatch.records import Wells

# These bound the page: about 3 MB at most, however long the video and however many the alarms.
_COLUMNS = 700  # of the evidence map, and of every score trace
_TRACES = 24  # wells with alarms whose scores are plotted
_MISSED = 9  # wells whose spill was missed, likewise
_OTHERS = 3  # of all other wells, the highest
_ROWS = 9  # traces in one figure
_PICTURES = 24

_MARGINS = {"left": 0.1, "right": 0.995}
# The page's own colours; blue and vermilion are two for everyone.
_INK, _SOFT, _NORMAL, _SPILL = "#1d2329", "#5b6670", "#2b6ca3", "#c4441c"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayData:
    """What a replay saw.

    ``times_s`` is (frames,) float64, rising; ``scores`` and ``evidence`` are (frames, wells) float32, NaN where
    nothing is known. ``snapshots`` are (H, W, 3) uint8 BGR under their event's id. ``score`` is the comparison with the
    truth, as ``replay --json`` writes it.
    """

    video: str
    camera: str
    wells: Wells
    model: str
    threshold: float
    on_s: float
    times_s: F64
    scores: F32
    evidence: F32
    events: Sequence[AlarmEvent]
    snapshots: Mapping[str, U8]
    score: Mapping[str, Any] | None
    wells_located: bool
    version: str


def write_replay_report(path: Path, data: ReplayData) -> None:
    """Writes the page; the same data gives the same bytes."""
    alarms = _alarms(data)
    spills = [alarm for alarm in alarms if alarm.condition == Condition.SPILL]
    others = [alarm for alarm in alarms if alarm.condition != Condition.SPILL]
    pictured = [(alarm, alarm.picture) for alarm in spills + others if alarm.picture is not None]
    page = render(
        "replay.html",
        data=data,
        clock=clock,
        number=_number,
        spills=spills,
        others=others,
        duration_s=float(np.ptp(data.times_s)) + _usual_s(data.times_s) if len(data.times_s) else 0.0,
        unwatched=[name for name, watched in zip(data.wells.ids, data.wells.in_service, strict=True) if not watched],
        unscored=_unscored(data),
        evidence_map=_evidence_map(data, alarms) if len(data.times_s) else "",
        traces=_traces(data, spills) if len(data.times_s) else [],
        traces_left_out=len({alarm.well for alarm in spills}) - _TRACES,
        pictures=[(alarm, _jpeg(picture)) for alarm, picture in pictured[:_PICTURES]],
        pictures_left_out=len(pictured) - _PICTURES,
    )
    write_text(path, page, what="report")


@dataclass(frozen=True, slots=True, eq=False)
class _Alarm:
    """One alarm from raise to return; ``end_s`` is None where the video ends first."""

    well: str | None
    condition: Condition
    start_s: float
    end_s: float | None
    peak: float | None
    picture: U8 | None


def _alarms(data: ReplayData) -> list[_Alarm]:
    """Events paired by what stands before their id's last dot, in the order of their raising."""
    lives: dict[str, list[AlarmEvent]] = {}
    for event in data.events:
        if event.media_time_s is not None:
            lives.setdefault(event.id.rpartition(".")[0], []).append(event)
    alarms = []
    for events in lives.values():
        raised = next((event for event in events if event.active), None)
        if raised is None or raised.media_time_s is None:
            continue
        ended = next((event for event in events if event.seq > raised.seq and not event.active), None)
        picture = next((data.snapshots[event.id] for event in events if event.id in data.snapshots), None)
        end_s = ended.media_time_s if ended else None
        peak = _peak(data, raised, end_s)
        alarms.append(_Alarm(raised.well, raised.condition, raised.media_time_s, end_s, peak, picture))
    return sorted(alarms, key=lambda alarm: alarm.start_s)


def _peak(data: ReplayData, raised: AlarmEvent, end_s: float | None) -> float | None:
    """The highest score while a well's alarm was active."""
    if raised.score is None or raised.media_time_s is None or raised.well is None:
        return None
    # The event's time may be rounded; a millisecond of slack keeps its own frame in.
    frames = (data.times_s >= raised.media_time_s - 1e-3) & (data.times_s <= (np.inf if end_s is None else end_s))
    return float(np.fmax.reduce(data.scores[frames, data.wells.ids.index(raised.well)], initial=raised.score))


def _unscored(data: ReplayData) -> list[str]:
    """Wells in service that not one frame gave a score of."""
    never = data.wells.in_service & ~np.isfinite(data.scores.reshape(-1, len(data.wells))).any(axis=0)
    return [data.wells.ids[index] for index in np.flatnonzero(never)]


def _number(value: float) -> str:
    return f"{value:.3g}"


def _jpeg(picture: U8) -> Markup:
    """An inline JPEG of at most 640 pixels in width."""
    scale = min(1.0, 640 / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return Markup("data:image/jpeg;base64,{}").format(base64.b64encode(encoded.tobytes()).decode("ascii"))


def _usual_s(times_s: F64) -> float:
    """How long a frame usually lasts."""
    return max(float(np.median(np.diff(times_s))), 1e-3) if len(times_s) > 1 else 0.04


def _spans(times_s: F64, columns: int) -> tuple[F64, list[slice]]:
    """Equal spans of time for drawing: their edges, and each one's frames, none where the video has a hole.

    A span without a frame of its own shows the one before it, so that a varying frame rate makes no holes.
    """
    usual_s = _usual_s(times_s)
    edges = np.linspace(times_s[0], times_s[-1] + usual_s, min(len(times_s), columns) + 1)
    bounds = np.searchsorted(times_s, edges).tolist()
    slices = []
    for edge, start, stop in zip(edges, bounds, bounds[1:], strict=False):
        held = start == stop and edge - times_s[start - 1] <= 3 * usual_s
        slices.append(slice(start - held, stop))
    return edges, slices


def _each(extreme: np.ufunc, values: F32, slices: Sequence[slice]) -> F32:
    """(spans, ...) float32: the largest (fmax) or least (fmin) of each span, so that no peak is lost; NaN is a hole."""
    nothing = np.full(values.shape[1:], np.nan, np.float32)
    rows = [extreme.reduce(values[span], axis=0) if span.start < span.stop else nothing for span in slices]
    return np.array(rows, np.float32)


def _figure(height: float) -> Figure:
    """A figure as wide as the page; ``height`` is in inches."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    fig = Figure(figsize=(9.8, height))
    fig.add_artist(Line2D([0, 1], [0, 0], lw=0))  # saving trims to what is drawn; this keeps all time axes in line
    return fig


def _evidence_map(data: ReplayData, alarms: Sequence[_Alarm]) -> Markup:
    """Wells down, time across, evidence as darkness; alarms outlined."""
    from matplotlib.colors import LinearSegmentedColormap

    edges, slices = _spans(data.times_s, _COLUMNS)
    known = np.where(data.wells.in_service, _each(np.fmax, data.evidence, slices), np.nan)
    count = len(data.wells)
    height = 0.6 + 0.15 * max(count, 4)  # inches; a row is as high as its small label
    fig = _figure(height)
    ax = fig.subplots(gridspec_kw=_MARGINS | {"bottom": 0.35 / height, "top": 1 - 0.25 / height})
    shades = LinearSegmentedColormap.from_list("evidence", ["#f3f6f9", "#7fb0d6", "#1f5c94", "#0c2340"]).with_extremes(
        bad="#c4c9ce"
    )
    extent = (edges[0], edges[-1], count - 0.5, -0.5)
    ax.imshow(known.T, cmap=shades, vmin=0, vmax=data.on_s, aspect="auto", interpolation="none", extent=extent)
    _outlines(ax, data, alarms, edges)
    ax.set_yticks(range(count), data.wells.ids, fontsize=7)
    spilled = {alarm.well for alarm in alarms if alarm.condition == Condition.SPILL}
    for label, well in zip(ax.get_yticklabels(), data.wells.ids, strict=True):
        label.set(**({"color": _SPILL, "weight": "bold"} if well in spilled else {"color": _INK}))
    ax.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    ax.grid(which="minor", axis="y", color="white", lw=0.8)
    ax.tick_params(axis="y", which="both", length=0)
    ax.tick_params(axis="x", top=True, labeltop=count > 20)
    _time_axis(ax, edges)
    return figure(fig, alt="Evidence of every well over time")


def _outlines(ax: Axes, data: ReplayData, alarms: Sequence[_Alarm], edges: F64) -> None:
    from matplotlib.patches import Rectangle

    least_s = (edges[-1] - edges[0]) / 250  # what is narrower cannot be seen
    for alarm in alarms:
        lasts_s = max((edges[-1] if alarm.end_s is None else alarm.end_s) - alarm.start_s, least_s)
        corner, height, style = (alarm.start_s, -0.5), len(data.wells), {"ec": _SOFT, "lw": 0.5, "hatch": "////"}
        if alarm.well is not None:
            corner, height = (alarm.start_s, data.wells.ids.index(alarm.well) - 0.5), 1
            style = {"ec": _INK, "lw": 1.2, "ls": ":", "zorder": 3}
        if alarm.condition == Condition.SPILL:
            style = {"ec": _SPILL, "lw": 1.6, "zorder": 4}
        outline = Rectangle(corner, lasts_s, height, fill=False, clip_on=False)
        outline.set(**style)
        ax.add_patch(outline)


def _traces(data: ReplayData, spills: Sequence[_Alarm]) -> list[Markup]:
    """Scores over time, log scale: wells with spill alarms, wells whose spill was missed, the highest of the others."""
    onsets = [(spill["well"], float(spill["onset_s"])) for spill in (data.score or {}).get("spills", ())]
    alarmed = list(dict.fromkeys(alarm.well for alarm in spills if alarm.well is not None))
    missed = [well for well in dict.fromkeys(well for well, _ in onsets) if well not in alarmed]
    highest = np.fmax.reduce(data.scores, axis=0)
    ranked = [data.wells.ids[index] for index in np.argsort(-highest) if np.isfinite(highest[index])]
    others = [well for well in ranked if well not in alarmed and well not in missed]
    wells = alarmed[:_TRACES] + missed[:_MISSED] + others[:_OTHERS]
    if not wells:
        return []  # the camera was blind all along

    edges, slices = _spans(data.times_s, _COLUMNS)
    scores = data.scores[:, [data.wells.ids.index(well) for well in wells]]
    lows, highs = _each(np.fmin, scores, slices), _each(np.fmax, scores, slices)
    lines = np.stack([lows, highs], axis=1).reshape(-1, len(wells))
    usual = np.nanpercentile(lows, 1) if np.isfinite(lows).any() else data.threshold
    limits = min(float(usual), data.threshold) / 1.5, max(float(np.fmax.reduce(highs, axis=None)), data.threshold) * 1.3
    figures = []
    for first in range(0, len(wells), _ROWS):  # several figures, so that each fits a printed page
        part = wells[first : first + _ROWS]
        fig = _figure(0.5 + 0.95 * len(part))
        margins = _MARGINS | {"hspace": 0.15, "bottom": 0.4 / fig.get_figheight(), "top": 0.99}
        axes = fig.subplots(len(part), 1, sharex=True, squeeze=False, gridspec_kw=margins)[:, 0]
        for ax, well, line in zip(axes, part, lines.T[first:], strict=False):
            ax.plot(np.repeat((edges[:-1] + edges[1:]) / 2, 2), line, color=_NORMAL, lw=0.7)
            ax.vlines([at for name, at in onsets if name == well], *limits, color=_INK, lw=1.2, ls=":")
            for alarm in (alarm for alarm in spills if alarm.well == well):
                end_s = edges[-1] if alarm.end_s is None else alarm.end_s
                ax.axvspan(alarm.start_s, end_s, color=_SPILL, alpha=0.18, lw=0)
                ax.axvline(alarm.start_s, color=_SPILL, lw=1.2)
            _score_axis(ax, well, data.threshold, limits)
            ax.yaxis.label.set_color(_SPILL if well in alarmed else _INK)
        _time_axis(axes[-1], edges)
        figures.append(figure(fig, alt=f"Scores over time of {', '.join(part)}"))
    return figures


def _score_axis(ax: Axes, well: str, threshold: float, limits: tuple[float, float]) -> None:
    ax.set_yscale("log")
    ax.set_ylim(*limits)
    ax.axhline(threshold, color=_INK, lw=0.8, ls="--")
    ax.set_yticks([threshold], [_number(threshold)], fontsize=7)
    ax.yaxis.set_minor_formatter("")
    ax.set_ylabel(well, rotation=0, ha="right", va="center", weight="bold")
    ax.spines[["top", "right"]].set_visible(False)


def _time_axis(ax: Axes, edges: F64) -> None:
    """Ticks on whole seconds or minutes, about ten of them."""
    span = edges[-1] - edges[0]
    step = next((step for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800) if span <= 12 * step), 3600)
    ticks = np.arange(np.ceil(edges[0] / step) * step, edges[-1], step)
    ax.set_xticks(ticks, [clock(tick).removesuffix(".00") for tick in ticks], fontsize=8)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("media time", fontsize=8)
