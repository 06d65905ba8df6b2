"""Scoring a replay against the truth of its clip."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spillwatch import inputs
from spillwatch.errors import ConfigError
from spillwatch.records import Condition, Wells

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spillwatch.records import AlarmEvent

_LOG = structlog.get_logger()

Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Pixels = Annotated[float, Field(allow_inf_nan=False)]

GRACE_S = 1.0
"""A spill that ends may still be raised for this long: evidence in hand is not a false alarm."""


class TrueSpill(BaseModel):
    """One spill that really happened."""

    model_config = ConfigDict(frozen=True)

    well: str
    start_s: Time
    end_s: Time
    kind: str = "spill"

    @model_validator(mode="after")
    def _ordered(self) -> TrueSpill:
        if self.end_s < self.start_s:
            raise ValueError(f"end_s ({self.end_s:g}) must not lie before start_s ({self.start_s:g})")
        return self


class TrueWell(BaseModel):
    """A well as the maker of the clip placed it: centre and size in pixels."""

    model_config = ConfigDict(frozen=True)

    id: str
    x: Pixels
    y: Pixels
    w: Pixels
    h: Pixels


class Truth(BaseModel):
    """The part of a truth file that scoring needs; the rest of its keys describe other disturbances."""

    model_config = ConfigDict(frozen=True)

    spills: tuple[TrueSpill, ...]
    wells: tuple[TrueWell, ...] = ()


def load(path: Path) -> Truth:
    """Read a truth file. Raises ConfigError that names the file and the fault."""
    what = f"truth file {path}"
    try:
        content = inputs.read(path, what="truth file", error=ConfigError, trusted=False)
        return Truth.model_validate(json.loads(inputs.text(content, what=what, error=ConfigError)))
    except OSError as exc:
        raise ConfigError(f"{what} cannot be read: {exc.strerror}; check the path") from exc
    except (json.JSONDecodeError, RecursionError) as exc:
        raise ConfigError(f"{what} is not valid JSON: {exc}; is it the right file?") from exc
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"{what}: {key or 'content'}: {fault['msg'].removeprefix('Value error, ')}") from None


def warn_of_strangers(truth: Truth, wells: Wells) -> None:
    """Log the wells that spill in truth and that nobody watches, since they have another name or were not found."""
    if strange := sorted({spill.well for spill in truth.spills} - set(wells.ids)):
        _LOG.warning("truth.unknown_wells", wells=strange, mend="they count as missed; see the ids in the wells file")


def beside(video: Path) -> Path | None:
    """The truth file that lies beside a video: X.json or X.truth.json beside X.mp4."""
    files = [video.with_suffix(ending) for ending in (".json", ".truth.json")]
    return next((path for path in files if path.is_file()), None)


def wells_of_truth(path: Path, out_of_service: Sequence[str] = ()) -> Wells:
    """The wells that a truth file places, but for those ``out_of_service``."""
    rows = load(path).wells
    if not rows:
        raise ConfigError(f"truth file {path} places no wells; name a wells file instead")
    return Wells(
        ids=tuple(row.id for row in rows),
        centres=np.array([(row.x, row.y) for row in rows], np.float64),
        sizes=np.array([(row.w, row.h) for row in rows], np.float64),
        in_service=np.array([row.id not in out_of_service for row in rows], np.bool_),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much was watched."""

    frames: int
    seconds: float
    wells: Wells


def score(events: Sequence[AlarmEvent], truth: Truth, extent: Extent) -> dict[str, Any]:
    """Delay of every spill, misses and false alarms; see ``score_raised``."""
    raised = [
        (e.well or "", e.media_time_s)
        for e in events
        if e.condition == Condition.SPILL and e.raises and e.media_time_s is not None
    ]
    return score_raised(raised, truth, extent)


def score_raised(raised: Sequence[tuple[str, float]], truth: Truth, extent: Extent) -> dict[str, Any]:
    """Spill alarms, as wells and the times at which they were raised, against the truth.

    A spill is found by the first spill alarm of its well from its onset to its end (plus a second of grace); every
    spill alarm that falls in no spill of its own well is false. Spills of wells out of service are left out; those of
    wells that are not in the wells file at all are missed.
    """
    served = {well for well, on in zip(extent.wells.ids, extent.wells.in_service, strict=True) if on}
    left_out = set(extent.wells.ids) - served
    rows = []
    explained: set[tuple[str, float]] = set()
    for spill in truth.spills:
        if spill.well in left_out:
            continue
        inside = [
            (well, at_s)
            for well, at_s in raised
            if well == spill.well and spill.start_s <= at_s <= spill.end_s + GRACE_S
        ]
        explained.update(inside)
        alarm_s = inside[0][1] if inside else None
        delay_s = None if alarm_s is None else round(alarm_s - spill.start_s, 3)
        rows.append(
            {
                "well": spill.well,
                "kind": spill.kind,
                "onset_s": spill.start_s,
                "alarm_s": alarm_s,
                "delay_s": delay_s,
            }
        )
    return {
        "spills": rows,
        "missed": sum(row["alarm_s"] is None for row in rows),
        "false_alarms": sum(alarm not in explained for alarm in raised),
        "well_hours": round(len(served) * extent.seconds / 3600, 6),
        "frames": extent.frames,
        "seconds": round(extent.seconds, 3),
    }
