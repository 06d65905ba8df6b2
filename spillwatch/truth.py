"""Scoring a replay against the truth of its clip."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spillwatch.errors import ConfigError
from spillwatch.records import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spillwatch.records import AlarmEvent, Wells

Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]

GRACE_S = 1.0
"""A spill that ends may still be raised for this long: evidence in hand is not a false alarm."""


class TrueSpill(BaseModel):
    """One spill that really happened."""

    model_config = ConfigDict(frozen=True)

    well: str
    start_s: Time
    end_s: Time
    kind: str = "spill"


class Truth(BaseModel):
    """The part of a truth file that scoring needs; the rest of its keys describe other disturbances."""

    model_config = ConfigDict(frozen=True)

    spills: tuple[TrueSpill, ...]


def load(path: Path) -> Truth:
    """Read a truth file. Raises ConfigError that names the file and the fault."""
    try:
        return Truth.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as exc:
        raise ConfigError(f"truth file {path} cannot be read: {exc.strerror}") from exc
    except (json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"truth file {path} is not valid JSON: {exc}") from exc
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"truth file {path}: {key or 'content'}: {fault['msg']}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much was watched."""

    frames: int
    seconds: float
    wells: Wells


def score(events: Sequence[AlarmEvent], truth: Truth, extent: Extent) -> dict[str, Any]:
    """Delay of every spill, misses and false alarms.

    A spill is found by the first spill alarm of its well from its onset to its end (plus a second of grace); every
    spill alarm that falls in no spill of its own well is false. Spills of wells out of service are left out.
    """
    raised = [e for e in events if e.condition == Condition.SPILL and e.active and e.media_time_s is not None]
    served = {well for well, on in zip(extent.wells.ids, extent.wells.in_service, strict=True) if on}
    rows = []
    explained: set[str] = set()
    for spill in truth.spills:
        if spill.well not in served:
            continue
        inside = [
            e
            for e in raised
            if e.well == spill.well and spill.start_s <= (e.media_time_s or 0.0) <= spill.end_s + GRACE_S
        ]
        explained.update(e.id for e in inside)
        alarm_s = inside[0].media_time_s if inside else None
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
        "false_alarms": sum(e.id not in explained for e in raised),
        "well_hours": round(len(served) * extent.seconds / 3600, 6),
        "frames": extent.frames,
        "seconds": round(extent.seconds, 3),
    }
