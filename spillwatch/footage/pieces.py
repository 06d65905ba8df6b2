"""A piece of an archive: one video watched with one model, by whatever process, and the bytes that keep it."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from spillwatch import build
from spillwatch.errors import ConfigError, ModelError
from spillwatch.footage import recording
from spillwatch.model import bundle as bundles
from spillwatch.records import to_json
from spillwatch.watch import budget
from spillwatch.watch.budget import Disturbances, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.build import Judge
    from spillwatch.config import DetectionSettings, ModelSettings
    from spillwatch.footage.recording import Recording
    from spillwatch.records import F32, Wells

SUMMARY_S = 10.0
"""Scores are kept as a median and the highest of so long."""

ALARMS = pa.struct(
    {
        "id": pa.string(),
        "well": pa.string(),
        "condition": pa.string(),
        "state": pa.string(),
        "active": pa.bool_(),
        "raises": pa.bool_(),
        "priority": pa.string(),
        "at": pa.string(),
        "media_time_s": pa.float64(),
        "score": pa.float64(),
        "threshold": pa.float64(),
    }
)
"""Alarm events, as in MQTT and JSON lines; ``raises`` marks the first of each alarm."""
DISTURBANCES = pa.struct(
    {"reference": pa.float64(), "well": pa.string(), "began_s": pa.float64(), "peak_s": pa.float64()}
)
"""What calibration needs, for each reference value."""
SCORES = pa.struct(
    {
        "start_s": pa.float64(),
        "well": pa.string(),
        "seen": pa.int32(),
        "score_median": pa.float32(),
        "score_highest": pa.float32(),
        "strength_highest": pa.float32(),
    }
)
"""Of each well, ``SUMMARY_S`` at a time; ``seen`` counts frames in which it was seen."""
SCHEMA = pa.schema(
    {
        "frames": pa.int64(),
        "seconds": pa.float64(),
        "span_s": pa.float64(),
        "cut_short": pa.string(),
        "alarms": pa.list_(ALARMS),
        "disturbances": pa.list_(DISTURBANCES),
        "scores": pa.list_(SCORES),
    }
)
"""One row a piece; ``span_s`` is what the detector's clock counted, null where too little was seen to calibrate on."""

_DECIDES = ("sources", "wells", "model", "watch", "records.py", "pictures.py", "build.py", "footage/recording.py",
            "footage/pieces.py")  # fmt: skip
_LIBRARIES = ("av", "numpy", "opencv", "pyarrow", "torch")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """One video to watch with one model; ``video`` and the model's path must be the same on every machine."""

    video: Path
    wells: Wells
    model: ModelSettings
    model_digest: str
    detection: DetectionSettings
    made_by: str

    def key(self) -> str:
        """A digest of all that decides the result. A video is known by name, size and time of change, not by folder.

        Raises OSError when the video cannot be looked at.
        """
        status = self.video.stat()
        wells, reference = self.wells, self.wells.reference
        decides = {
            "video": [self.video.name, status.st_size, status.st_mtime_ns],
            "wells": [wells.ids, wells.centres.tolist(), wells.sizes.tolist(), wells.in_service.tolist()],
            "reference": digest_of(reference) if reference and reference.is_file() else None,
            "model": [self.model_digest, self.model.threshold, self.model.device],
            "detection": self.detection.model_dump(mode="json"),
            "made_by": self.made_by,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def made_by() -> str:
    """A digest of the code that decides a result, and of the libraries under it."""
    root = Path(__file__).parents[1]
    files = [path for name in _DECIDES for path in ((root / name).rglob("*.py") if "." not in name else [root / name])]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix()} {digest_of(path)}\n".encode())
    for name in _LIBRARIES:
        release = cv2.__version__ if name == "opencv" else version(name)  # OpenCV goes by several names
        digest.update(f"{name} {release}\n".encode())
    return digest.hexdigest()


def watch(piece: Piece) -> bytes:
    """What a worker does: a piece's one row of ``SCHEMA``, as a Parquet file. Raises SourceError or WellsError."""
    if not structlog.is_configured():  # a worker process: its standard output is ours
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    if piece.made_by != made_by():
        raise ConfigError(
            f"worker {socket.gethostname()} has another spillwatch, or other versions of {', '.join(_LIBRARIES)}, than "
            "this machine; install the same on all, so that results are the same wherever they are made"
        )
    build.one_core_each()
    judge = _judge(piece.model, piece.model_digest)
    seen = recording.record(piece.video, piece.wells, judge, piece.detection)
    return packed(seen, judge, piece.detection)


@lru_cache(maxsize=4)
def _judge(model: ModelSettings, digest: str) -> Judge:
    path = model.path or bundles.default_path()
    if not path.is_file():
        raise ModelError(f"model {path} is not on worker {socket.gethostname()}; put it at the same path there")
    if digest_of(path) != digest:
        raise ModelError(f"model {path} on worker {socket.gethostname()} is another file than here; copy it again")
    return build.judge(model)


def packed(seen: Recording, judge: Judge, detection: DetectionSettings) -> bytes:
    """One row of ``SCHEMA`` as a Parquet file."""
    strengths = recording.strengths(seen, judge.scale, detection)
    series = Series(seen.times_s, strengths) if len(seen.times_s) > 1 and strengths.shape[1] else None
    served = [well for well, on in zip(seen.wells.ids, seen.wells.in_service, strict=True) if on]
    span_s, disturbances = _disturbances(series, served, detection)
    row = {
        "frames": seen.frames,
        "seconds": seen.seconds,
        "span_s": span_s,
        "cut_short": seen.cut_short,
        "alarms": [to_json(event) | {"raises": event.raises} for event in seen.events],
        "disturbances": disturbances,
        "scores": list(_scores(seen, strengths)),
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _disturbances(
    series: Series | None, served: list[str], detection: DetectionSettings
) -> tuple[float | None, list[dict[str, Any]]]:
    if series is None:
        return None, []
    rows: list[dict[str, Any]] = []
    for reference in sorted({*budget.REFERENCES, detection.reference}):
        found = series.disturbances(reference, max_step_s=detection.max_step_s, apart_s=detection.off_delay_s)
        columns = (found.wells.tolist(), found.began_s.tolist(), found.peaks.tolist())
        rows += [
            {"reference": reference, "well": served[well], "began_s": began_s, "peak_s": peak_s}
            for well, began_s, peak_s in zip(*columns, strict=True)
        ]
    return found.span_s, rows


def _scores(seen: Recording, strengths: F32) -> Iterator[dict[str, Any]]:
    served = seen.wells.in_service
    ids = np.array(seen.wells.ids)[served]
    scores = np.where(seen.covered, np.nan, seen.scores)[:, served]
    spans = (seen.times_s // SUMMARY_S).astype(np.int64)
    for span in np.unique(spans):
        here, strong = scores[spans == span], strengths[spans == span]
        for i, well in enumerate(ids):
            values = here[:, i][~np.isnan(here[:, i])]
            if len(values):
                strongest = strong[:, i][~np.isnan(strong[:, i])]
                yield {
                    "start_s": float(span * SUMMARY_S),
                    "well": str(well),
                    "seen": len(values),
                    "score_median": float(np.median(values)),
                    "score_highest": float(values.max()),
                    "strength_highest": float(strongest.max()) if len(strongest) else None,
                }


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A piece that was watched before, as read from its file."""

    row: dict[str, Any]
    table: pa.Table

    @classmethod
    def read(cls, path: Path) -> Kept:
        """Raises OSError or ArrowInvalid when the file is not one of ours, or damaged."""
        table = pq.read_table(path, schema=SCHEMA)
        row = table.select(["frames", "seconds", "span_s", "cut_short", "alarms"]).to_pylist()[0]
        return cls(row, table)

    def rows(self, column: str) -> pa.Table:
        """``alarms``, ``disturbances`` or ``scores`` as a table of their own."""
        return pa.Table.from_struct_array(self.table.column(column).combine_chunks().flatten())


@dataclass(frozen=True, slots=True, eq=False)
class KeptStretch:
    """Footage whose disturbances were gathered by ``watch``, for calibration: a ``budget.Stretch``."""

    rows: dict[str, npt.NDArray[Any]]
    span_s: float
    width: int

    @classmethod
    def of(cls, kept: Kept, wells: Wells) -> KeptStretch | None:
        """None where too little was seen."""
        if kept.row["span_s"] is None:
            return None
        served = np.array(wells.ids)[wells.in_service].tolist()
        number = {well: i for i, well in enumerate(served)}
        table = kept.rows("disturbances")
        rows = {name: table[name].to_numpy() for name in ("reference", "began_s", "peak_s")}
        rows["well"] = np.array([number[well] for well in table["well"].to_pylist()], np.int64)
        return cls(rows, kept.row["span_s"], len(served))

    def disturbances(self, reference: float, *, max_step_s: float, apart_s: float) -> Disturbances:  # noqa: ARG002
        """See ``budget.Stretch``; both times are those of the settings that the piece was watched with."""
        here = self.rows["reference"] == reference
        peaks, began_s, wells = (self.rows[name][here] for name in ("peak_s", "began_s", "well"))
        return Disturbances(peaks, began_s, wells, self.span_s, self.width)
