"""The results of a backtest in Parquet: the same bytes whoever watched the pieces, and in whatever order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from spillwatch import truth
from spillwatch.errors import PublishError
from spillwatch.footage.pieces import ALARMS, DISTURBANCES, SCORES, Kept
from spillwatch.records import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from spillwatch.footage.archive import Clip

GROUP_ROWS = 200_000
"""Rows of a table are written so many at a time, so that an archive need not fit into memory."""

_WHO = {"video": pa.string(), "model": pa.string()}
CLIPS = pa.schema(
    _WHO
    | {
        "camera": pa.string(),
        "frames": pa.int64(),
        "seconds": pa.float64(),
        "well_hours": pa.float64(),
        "alarms": pa.int64(),
        "spills": pa.int64(),
        "missed": pa.int64(),
        "false_alarms": pa.int64(),
        "delay_median_s": pa.float64(),
        "fault": pa.string(),
    }
)
"""One row for each video and model; ``alarms`` are of spills; what needs truth is null without it."""
SPILLS = pa.schema(
    _WHO
    | {
        "well": pa.string(),
        "kind": pa.string(),
        "onset_s": pa.float64(),
        "alarm_s": pa.float64(),
        "delay_s": pa.float64(),
    }
)
_PARTS = {"alarms": ALARMS, "disturbances": DISTURBANCES, "scores": SCORES}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """A clip with one model: its piece's file, or why there is none."""

    clip: Clip
    model: str
    piece: Path | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """What one piece says. ``score`` is that of ``truth.score_raised``, None without truth or without the piece."""

    watched: Watched
    fault: str | None
    well_hours: float
    raised: Sequence[tuple[str, float]]
    score: dict[str, Any] | None
    kept: dict[str, Any] | None


def read(watched: Watched, kept: Kept | None) -> Result:
    """Score one piece against its truth."""
    if kept is None or watched.clip.wells is None:
        return Result(watched=watched, fault=watched.fault, well_hours=0.0, raised=(), score=None, kept=None)
    row, wells = kept.row, watched.clip.wells
    raised = [
        (alarm["well"], alarm["media_time_s"])
        for alarm in row["alarms"]
        if alarm["condition"] == Condition.SPILL and alarm["raises"]
    ]
    extent = truth.Extent(frames=row["frames"], seconds=row["seconds"], wells=wells)
    return Result(
        watched=watched,
        fault=row["cut_short"],
        well_hours=int(wells.in_service.sum()) * row["seconds"] / 3600,
        raised=raised,
        score=None if watched.clip.truth is None else truth.score_raised(raised, watched.clip.truth, extent),
        kept=row,
    )


def combine(every: Iterable[Watched], folder: Path) -> list[Result]:
    """Score each piece and write the tables into ``folder``, all of them or none."""
    results: list[Result] = []
    try:
        with _Tables(folder) as tables:
            for watched in every:
                kept = Kept.read(watched.piece) if watched.piece else None
                result = read(watched, kept)
                results.append(result)
                who = {"video": watched.clip.name, "model": watched.model}
                tables.add("clips", pa.Table.from_pylist([_figures(result)], schema=_without(CLIPS)), who)
                spills = result.score["spills"] if result.score else []
                tables.add("spills", pa.Table.from_pylist(spills, schema=_without(SPILLS)), who)
                if kept:
                    for name in _PARTS:
                        tables.add(name, kept.rows(name), who)
    except OSError as exc:
        raise PublishError(
            f"results in {folder} cannot be written: {exc.strerror or exc}; choose another --out"
        ) from exc
    return results


def _without(schema: pa.Schema) -> pa.Schema:
    return pa.schema([column for column in schema if column.name not in _WHO])


def _figures(result: Result) -> dict[str, Any]:
    figures: dict[str, Any] = {"camera": result.watched.clip.camera, "fault": result.fault}
    if result.kept:
        figures |= {"frames": result.kept["frames"], "seconds": result.kept["seconds"]}
        figures |= {"well_hours": result.well_hours, "alarms": len(result.raised)}
    if result.score:
        delays = [row["delay_s"] for row in result.score["spills"] if row["delay_s"] is not None]
        figures |= {"spills": len(result.score["spills"]), "delay_median_s": median(delays) if delays else None}
        figures |= {key: result.score[key] for key in ("missed", "false_alarms")}
    return figures


class _Tables:
    """Parquet files that grow group by group, under another name until all are complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        schemas = {name: pa.schema(_WHO | {field.name: field.type for field in part}) for name, part in _PARTS.items()}
        self._schemas = {"clips": CLIPS, "spills": SPILLS} | schemas
        self._waiting: dict[str, list[pa.Table]] = {name: [] for name in self._schemas}
        self._rows = dict.fromkeys(self._schemas, 0)
        self._files: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> Self:
        for name, schema in self._schemas.items():
            self._files[name] = pq.ParquetWriter(self._folder / f"{name}.parquet.part", schema, compression="zstd")
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        for name, file in self._files.items():
            if kind is None:
                self._flush(name)
            file.close()
        for name in self._files:
            part = self._folder / f"{name}.parquet.part"
            if kind is None:
                os.replace(part, part.with_suffix(""))  # noqa: PTH105
            else:
                part.unlink()

    def add(self, name: str, table: pa.Table, who: dict[str, str]) -> None:
        columns = {key: pa.repeat(value, len(table)) for key, value in who.items()}
        columns |= {key: table[key] for key in table.column_names}
        self._waiting[name].append(pa.table(columns, schema=self._schemas[name]))
        self._rows[name] += len(table)
        if self._rows[name] >= GROUP_ROWS:
            self._flush(name)

    def _flush(self, name: str) -> None:
        waiting, self._waiting[name], self._rows[name] = self._waiting[name], [], 0
        if waiting:
            self._files[name].write_table(pa.concat_tables(waiting), row_group_size=GROUP_ROWS)
