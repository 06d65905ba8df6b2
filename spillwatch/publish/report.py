"""A replay on one page: what spilled and when, and what the scores did. One HTML file, nothing loaded from outside."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from markupsafe import Markup

from spillwatch.errors import PublishError
from spillwatch.pages import figure, render
from spillwatch.publish.annotate import clock
from spillwatch.records import F32, F64, U8, AlarmEvent, Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from spillwatch.records import Wells

# These bound the page: about 3 MB at most, however long the video and however many the alarms.
_COLUMNS = 700  # of the evidence map, and of a score trace
_TRACES = 24  # alarmed wells whose scores are plotted
_OTHERS = 3  # of the wells without alarm, the highest
_PICTURES = 24

_INK, _NORMAL, _SPILL = "#1d2329", "#2b6ca3", "#c4441c"  # the page's own colours; blue and vermilion part for everyone


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
    page = render(
        "replay.html",
        data=data,
        clock=clock,
        number=_number,
        spills=[alarm for alarm in alarms if alarm.condition == Condition.SPILL],
        others=[alarm for alarm in alarms if alarm.condition != Condition.SPILL],
        duration_s=_span(data.times_s),
        unwatched=[name for name, watched in zip(data.wells.ids, data.wells.in_service, strict=True) if not watched],
        unscored=_unscored(data),
        evidence_map=_evidence_map(data, alarms),
        traces=_traces(data, alarms),
        pictures=[(alarm, _jpeg(alarm.picture)) for alarm in alarms if alarm.picture is not None][:_PICTURES],
        more_pictures=sum(alarm.picture is not None for alarm in alarms) - _PICTURES,
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as exc:
        raise PublishError(
            f"The report {path} cannot be written ({exc.strerror}); "
            "name a file in a folder that exists, that you may write to and that has free space"
        ) from exc


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
    if raised.score is None or raised.media_time_s is None or raised.well not in data.wells.ids:
        return None
    # The event's time may be rounded; a millisecond of slack keeps its own frame in.
    frames = (data.times_s >= raised.media_time_s - 1e-3) & (data.times_s <= (np.inf if end_s is None else end_s))
    return float(np.fmax.reduce(data.scores[frames, data.wells.ids.index(raised.well)], initial=raised.score))


def _unscored(data: ReplayData) -> list[str]:
    """Wells in service that not one frame gave a score of."""
    never = data.wells.in_service & ~np.isfinite(data.scores).any(axis=0)
    return [data.wells.ids[index] for index in np.flatnonzero(never)]


def _span(times_s: F64) -> float:
    return float(times_s[-1] - times_s[0]) if len(times_s) else 0.0


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _jpeg(picture: U8) -> Markup:
    """An inline JPEG of at most 640 pixels in width."""
    scale = min(1.0, 640 / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return Markup("data:image/jpeg;base64,{}").format(base64.b64encode(encoded.tobytes()).decode("ascii"))


def _bins(times_s: F64) -> tuple[F64, list[slice]]:
    """Equal spans of time for drawing: their edges, and the frames of each; no frames where the video has a hole.

    A span shorter than the video's rhythm shows the frame before it, so that unequal pauses do not look like holes.
    """
    count = int(np.clip(len(times_s), 1, _COLUMNS))
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.04
    edges = np.linspace(times_s[0], times_s[-1] + usual_s, count + 1)
    bounds = np.searchsorted(times_s, edges)
    slices = []
    for edge, start, stop in zip(edges, bounds, bounds[1:], strict=False):
        held = start == stop and edge - times_s[start - 1] <= 3 * usual_s
        slices.append(slice(start - held, stop))
    return edges, slices


def _peaks(values: F32, slices: Iterable[slice]) -> F32:
    """(spans, ...) float32: the maximum in each span, so that no peak is lost, NaN where nothing is known."""
    nothing = np.full(values.shape[1:], np.nan, np.float32)
    return np.array([np.fmax.reduce(values[span], axis=0) if span.stop > span.start else nothing for span in slices])
