"""The driver for clips with truth: how late, how often missed, how often false, now and at other levels."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from spillwatch import build, truth
from spillwatch.errors import ConfigError, SourceError, WellsError
from spillwatch.footage import recording
from spillwatch.outputs import check_outputs, write_text
from spillwatch.pages import figure, render
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from spillwatch.build import Judge
    from spillwatch.config import DetectionSettings, Settings
    from spillwatch.footage.recording import Raised, Recording
    from spillwatch.records import Wells
    from spillwatch.truth import Truth

_LOG = structlog.get_logger()

VIDEOS = {".mp4", ".mkv", ".avi", ".mov", ".ts", ".m4v"}
LEVELS_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
"""Evidence levels that are tried beside the one in force."""
_LABELLED_S = (0.2, 0.4, 0.6, 1.0, 1.5, 2.0, 3.0)
_INK, _SOFT, _NORMAL, _SPILL = "#1d2329", "#5b6670", "#2b6ca3", "#c4441c"  # the page's own colours


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to score; without ``wells`` every clip's truth says where its wells are."""

    folders: Sequence[Path]
    wells: Path | None = None
    out_of_service: Sequence[str] = ()
    json: Path | None = None
    report: Path | None = None
    on_clip: Callable[[int, int | None], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, eq=False)
class _Clip:
    seen: Recording
    truth: Truth

    def score(self, raised: Raised) -> dict[str, Any]:
        extent = truth.Extent(frames=self.seen.frames, seconds=self.seen.seconds, wells=self.seen.wells)
        return truth.score_raised(raised, self.truth, extent)


def score(settings: Settings, job: Job) -> dict[str, Any]:
    """Every clip with truth, in all, and over a sweep of levels; what ``--json`` writes.

    A clip that cannot be watched, or not to its end, is named in its row and in ``faults``, and stops none.
    """
    build.one_core_each()
    pairs = _clips(job.folders)
    read = [path for pair in pairs for path in pair]
    given = wellmap.load(job.wells) if job.wells else None
    named = [job.wells, given.reference if given else None]
    check_outputs((job.json, job.report), read=(*read, *named, *settings.files()))
    judge = build.judge(settings.model)
    truths = [truth.load(beside) for _video, beside in pairs]
    wells = _wells(given, job.out_of_service, [beside for _video, beside in pairs])
    names = _names([video for video, _beside in pairs])
    clips: list[_Clip] = []
    scores: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for done, (video, _beside) in enumerate(pairs):
        job.on_clip(done, len(pairs))
        try:
            seen = recording.record(video, wells[done], judge, settings.detection)
        except (SourceError, WellsError) as exc:
            rows.append({"clip": names[done], "spills": [], **dict.fromkeys(_FIGURES), "fault": str(exc)})
            continue
        truth.warn_of_strangers(truths[done], wells[done])
        clip = _Clip(seen, truths[done])
        clips.append(clip)
        one = clip.score(seen.raised)
        scores.append(one)
        rows.append({"clip": names[done], **one, **summary([one]), "fault": seen.cut_short})
    result = {
        "model": judge.bundle.name,
        "on_s": settings.detection.on_s,
        "reference": settings.detection.reference,
        "clips": rows,
        "faults": [row["fault"] for row in rows if row["fault"]],
        "total": summary(scores),
        "sweep": _sweep(clips, judge, settings.detection),
    }
    _write(job, result)
    return result


def _clips(folders: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Videos with the truth that lies beside them; the others are named in the log."""
    pairs = []
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder; name one with clips and their truth (X.mp4 beside X.json)")
        for video in sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS):
            found = truth.beside(video)
            if found:
                pairs.append((video, found))
            else:
                _LOG.warning("score.clip_without_truth", video=str(video))
    if not pairs:
        raise ConfigError(f"no clip with truth in {', '.join(map(str, folders))}; put X.json beside X.mp4")
    return pairs


def _names(videos: Sequence[Path]) -> list[str]:
    """File names, with their folder where two clips share one."""
    names = [video.name for video in videos]
    return [str(video) if names.count(video.name) > 1 else video.name for video in videos]


def _wells(given: Wells | None, out_of_service: Sequence[str], truths: Sequence[Path]) -> list[Wells]:
    """The wells of every clip: those ``given``, else where its truth says."""
    every = [given or truth.wells_of_truth(path) for path in truths]
    if unknown := set(out_of_service).difference(*(wells.ids for wells in every)):
        raise ConfigError(f"no clip has a well {min(unknown)!r} to take out of service; see the ids in the truth files")
    return [replace(w, in_service=w.in_service & ~np.isin(w.ids, list(out_of_service))) for w in every]


def summary(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one clip or of many together."""
    delays = [row["delay_s"] for one in scores for row in one["spills"] if row["delay_s"] is not None]
    hours = sum(one["well_hours"] for one in scores)
    false_alarms = sum(one["false_alarms"] for one in scores)
    return {
        "spill_count": sum(len(one["spills"]) for one in scores),
        "delay_median_s": round(median(delays), 3) if delays else None,
        "delay_worst_s": max(delays, default=None),
        "missed": sum(one["missed"] for one in scores),
        "false_alarms": false_alarms,
        "well_hours": round(hours, 6),
        "false_alarms_per_well_hour": round(false_alarms / hours, 4) if hours else None,
    }


_FIGURES = ("missed", "false_alarms", "well_hours", "frames", "seconds", *summary([]))
"""What a clip's row has, and is null where the clip was not watched."""


def _sweep(clips: Sequence[_Clip], judge: Judge, detection: DetectionSettings) -> list[dict[str, Any]]:
    """The same clips at other levels: the detector runs again, the network does not."""
    rows = []
    for on_s in sorted({*LEVELS_S, detection.on_s}):
        levels = detection.model_copy(update={"on_s": on_s, "off_s": min(detection.off_s, on_s / 4)})
        scores = [clip.score(recording.raised_at(clip.seen, judge.scale, levels)) for clip in clips]
        rows.append({"on_s": on_s, **summary(scores)})
    return rows


def table(result: dict[str, Any]) -> str:
    """The result as lines of text: per clip, in all, and by level."""
    heads = ("spills", "median delay", "worst", "missed", "false", "false/well-hour")
    keys = ("spill_count", "delay_median_s", "delay_worst_s", "missed", "false_alarms", "false_alarms_per_well_hour")
    rows = [*((clip["clip"], clip) for clip in result["clips"]), ("all", result["total"])]
    rows += [(f"all, on_s = {row['on_s']:g}", row) for row in result["sweep"]]
    texts = [("", *heads), *((name, *(shown(values[key]) for key in keys)) for name, values in rows)]
    lines = aligned(texts)
    lines.insert(len(result["clips"]) + 2, "")
    return "\n".join([*lines, *([""] if result["faults"] else []), *result["faults"]])


def aligned(texts: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of columns: names to the left, figures to the right."""
    widths = [max(len(text[i]) for text in texts) for i in range(len(texts[0]))]
    return [
        "  ".join([text[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(text[1:], widths[1:], strict=True))])
        for text in texts
    ]


def shown(value: float | None) -> str:
    """A figure for people."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _write(job: Job, result: dict[str, Any]) -> None:
    if job.json:
        write_text(job.json, json.dumps(result, indent=2) + "\n", what="score")
    if job.report:
        page = render("score.html", result=result, shown=shown, curve=_curve(result), version=version("spillwatch"))
        write_text(job.report, page, what="report")


def _curve(result: dict[str, Any]) -> Markup:
    """Left: delay against false alarms, a dot a level. Right: what each level misses and raises falsely."""
    from matplotlib.figure import Figure

    rows = result["sweep"]
    fig = Figure(figsize=(9.8, 3.8), layout="constrained")
    trade, counts = fig.subplots(1, 2)
    known = [row for row in rows if row["delay_median_s"] is not None]
    for key, colour, label in (("delay_worst_s", _SPILL, "worst"), ("delay_median_s", _NORMAL, "median")):
        rates = [row["false_alarms_per_well_hour"] for row in known]
        trade.plot(rates, [row[key] for row in known], "o-", color=colour, lw=1, ms=4, label=label)
    for row in (row for row in known if row["on_s"] in {*_LABELLED_S, result["on_s"]}):
        place = (row["false_alarms_per_well_hour"], row["delay_median_s"])
        weight = "bold" if row["on_s"] == result["on_s"] else "normal"
        offset = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
        trade.annotate(f"{row['on_s']:g}", place, fontsize=7, color=_INK, weight=weight, **offset)
    trade.set(xlabel="false alarms per well-hour", ylabel="seconds from onset to alarm")
    trade.margins(x=0.1)
    trade.set_ylim(bottom=0)
    if known:
        trade.legend(frameon=False, fontsize=8)
    levels = [row["on_s"] for row in rows]
    counts.plot(levels, [row["false_alarms"] for row in rows], "o-", color=_NORMAL, lw=1, ms=4, label="false alarms")
    counts.plot(levels, [row["missed"] for row in rows], "s-", color=_SPILL, lw=1, ms=4, label="missed spills")
    counts.axvline(result["on_s"], color=_SOFT, lw=1, ls="--")
    counts.set(xlabel="on_s, seconds of evidence", ylabel="count")
    counts.yaxis.get_major_locator().set_params(integer=True)
    counts.set_ylim(
        bottom=0, top=max(*(row["false_alarms"] for row in rows), *(row["missed"] for row in rows), 1) * 1.1
    )
    counts.legend(frameon=False, fontsize=8)
    for ax in (trade, counts):
        ax.spines[["top", "right"]].set_visible(False)
    return figure(fig, alt="Delay against false alarms over the levels, and counts of both errors")
