"""The shift report: one HTML page to read and to print, from the history alone."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from spillwatch import history
from spillwatch.outputs import check_outputs, write_text
from spillwatch.pages import figure, render
from spillwatch.records import SITE, Condition, Priority
from spillwatch.watch import assessment
from spillwatch.watch.priorities import FLOOD_ALARMS, FLOOD_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from spillwatch.config import Settings
    from spillwatch.history import Wanted
    from spillwatch.records import Trend
    from spillwatch.watch.assessment import Alarm, Assessment, Span

LEAD = timedelta(hours=1)
"""So long before the span is read too: a flood then may last into it."""

# EEMUA 191's bands of the average rate of alarms per operator, in ten minutes, and ISA-18.2's, which agree below 2
BANDS = (
    (1.0, "very likely acceptable"),
    (2.0, "manageable"),
    (5.0, "above what is manageable"),
    (10.0, "likely to be over-demanding"),
    (float("inf"), "very likely unacceptable"),
)
TARGETS = {Priority.HIGH: 0.05, Priority.MEDIUM: 0.15, Priority.LOW: 0.8}
"""The shares of priorities that both advise for three of them."""

_STRIPS = 12  # wells whose scores are drawn
_ROWS = 200  # alarms listed one by one
_INK, _SOFT, _NORMAL, _SPILL = "#1d2329", "#5b6670", "#2b6ca3", "#c4441c"


def report(settings: Settings, wanted: Wanted, out: Path) -> None:
    """Read the history and write the page; raises SpillwatchError when either cannot be done."""
    check_outputs([out], read=settings.files())
    span, book = history.span(wanted), history.past(settings, wanted)
    alarms = assessment.alarms(book.events(span[0] - LEAD, span[1]))
    trends = book.trends(*span)
    cameras = dict.fromkeys([*(camera.id for camera in settings.cameras), *trends])
    result = assessment.assess(alarms, span, cameras)
    judgements = book.judgements()
    listed = [alarm for alarm in alarms if alarm.within(span)]
    page = render(
        "shift.html",
        result=result,
        site=settings.site,
        band=band(result.average),
        targets=TARGETS,
        local=_local,
        lasting=history.lasting,
        listed=listed[-_ROWS:],
        left_out=max(0, len(listed) - _ROWS),
        judgements=judgements,
        judged=[judgements[alarm.name].verdict for alarm in listed if alarm.name in judgements],
        minutes={camera: len(trend.times) for camera, trend in trends.items()},
        rates=_rates(result),
        strips=_strips(trends, listed, span),
        site_alarms=SITE,
        version=version("spillwatch"),
    )
    write_text(out, page, what="report")


def band(average: float) -> str:
    """What EEMUA 191 calls this average of alarms in ten minutes."""
    return next(name for most, name in BANDS if average <= most)


def _local(at: datetime, style: str = "%d %b %H:%M:%S") -> str:
    """This machine's own time."""
    return at.astimezone().strftime(style)


def _zone() -> tzinfo | None:
    return datetime.now().astimezone().tzinfo


def _rates(result: Assessment) -> Markup:
    """Alarms by ten minutes as bars, over the manageable peak."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    fig = Figure(figsize=(9.8, 2.5))
    ax = fig.subplots()
    since = result.span[0]
    starts = [since + timedelta(seconds=FLOOD_S * i) for i in range(len(result.per_ten))]
    for began, ended in result.floods:
        ax.axvspan(began, ended, color=_SPILL, alpha=0.15, lw=0)  # type: ignore[arg-type]
    colours = [_SPILL if count > FLOOD_ALARMS else _NORMAL for count in result.per_ten]
    width = timedelta(seconds=FLOOD_S * 0.9)
    ax.bar(starts, result.per_ten, width=width, align="edge", color=colours)  # type: ignore[arg-type]
    ax.axhline(FLOOD_ALARMS, color=_INK, lw=0.8, ls="--")
    ax.text(1, FLOOD_ALARMS, " 10", transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=_INK)
    ax.set_ylim(0, max(12, result.peak * 1.1))
    ax.set_ylabel("alarms in 10 min", fontsize=8)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.tick_params(axis="y", labelsize=8)
    ax.grid(axis="y", color="#d9dee3", lw=0.6)
    ax.set_axisbelow(True)
    _time_axis(ax, result.span)
    return figure(fig, alt=f"Alarms by ten minutes, {result.peak} at most")


def _strips(trends: Mapping[str, Trend], alarms: Sequence[Alarm], span: Span) -> Markup | None:
    """The scores of the wells that had a spill alarm: their highest of each minute, and the mean below it."""
    from matplotlib.figure import Figure

    spills = [alarm for alarm in alarms if alarm.condition == Condition.SPILL and alarm.well]
    counts = Counter((alarm.camera, alarm.well or "") for alarm in spills).most_common()
    places = [(camera, well) for (camera, well), _ in counts if camera in trends and well in trends[camera].wells]
    places = places[:_STRIPS]
    if not places:
        return None
    fig = Figure(figsize=(9.8, 0.5 + 0.6 * len(places)))
    axes = fig.subplots(len(places), 1, sharex=True, squeeze=False, gridspec_kw={"hspace": 0.25})[:, 0]
    for ax, (camera, well) in zip(axes, places, strict=True):
        trend = trends[camera]
        times, peaks, means = _with_holes(trend, trend.wells.index(well))
        ax.fill_between(times, means, peaks, color=_NORMAL, alpha=0.25, lw=0)
        ax.plot(times, peaks, color=_NORMAL, lw=0.8)
        ax.plot(times, means, color=_SOFT, lw=0.6)
        own = [alarm for alarm in spills if (alarm.camera, alarm.well) == (camera, well)]
        for alarm in own:
            began, ended = max(alarm.raised_at, span[0]), min(alarm.returned_at or span[1], span[1])
            ax.axvspan(began, ended, color=_SPILL, alpha=0.18, lw=0)
            ax.axvline(began, color=_SPILL, lw=0.9)
        if threshold := next((alarm.threshold for alarm in reversed(own) if alarm.threshold), None):
            ax.axhline(threshold, color=_INK, lw=0.7, ls="--")
        ax.set_yscale("log")
        ax.set_yticks([])
        ax.minorticks_off()
        label = well if len(trends) == 1 else f"{camera}\n{well}"
        ax.set_ylabel(label, rotation=0, ha="right", va="center", weight="bold", fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    _time_axis(axes[-1], span)
    return figure(fig, alt="Scores by the minute of the wells that alarmed")


def _with_holes(trend: Trend, column: int) -> tuple[list[datetime], Sequence[float], Sequence[float]]:
    """Times, peaks and means as scores, NaN where minutes are missing, so that no line is drawn over them."""
    times: list[datetime] = []
    rows: list[int] = []
    for i, at in enumerate(trend.times):
        if times and at - times[-1] > timedelta(minutes=1):
            times.append(times[-1] + timedelta(minutes=1))
            rows.append(-1)
        times.append(at)
        rows.append(i)
    hole = np.array(rows) < 0
    peaks, means = (np.where(hole, np.nan, np.exp(part[rows, column])) for part in (trend.peaks, trend.means))
    return times, peaks.tolist(), means.tolist()


def _time_axis(ax: Axes, span: Span) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=_zone(), maxticks=12)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=_zone()))  # type: ignore[no-untyped-call]
    ax.tick_params(axis="x", labelsize=8)
    ax.xaxis.get_offset_text().set_fontsize(8)
    ax.set_xlim(*span)  # type: ignore[arg-type]
    ax.spines[["top", "right"]].set_visible(False)
