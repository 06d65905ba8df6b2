"""The frozen records that pass through the house, and the contracts of their JSON.

Nothing here acts. Times: ``at`` is aware UTC; ``time_s`` is the camera's own clock in seconds, which never steps
back (the monotonic clock live, the video's time-stamps in replay) and from which every duration is taken.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """One picture as the YUV 4:2:0 planes that decoders give, BT.601.

    ``y`` is (H, W) uint8; ``u`` and ``v`` are (ceil(H/2), ceil(W/2)) uint8. They are read-only views, whose rows may
    be padded. ``full_range`` tells 0..255 (JPEG, USB) from 16..235 (most H.264).
    """

    y: U8
    u: U8
    v: U8
    full_range: bool = False

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        return int(self.y.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera, at the moment it was taken.

    ``lag_s`` is how much later it came than the stream's own clock says, against the stream's best; 0 where unknown.
    """

    camera: str
    at: datetime
    time_s: float
    planes: Planes
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """The camera does not see, since ``time_s`` at the latest: blindness is data, not a timer on the side."""

    camera: str
    at: datetime
    time_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureCounters:
    """What a live camera's capture has been through since its start; ``lag_s`` is that of its last frame.

    ``dropped`` frames were overtaken by newer ones; ``damaged`` ones were left out by the decoder. ``reconnects``
    counts how often pictures came back, ``stalls`` how often the camera was blind for want of frames, ``abandoned``
    the threads that hung in a library and were given up.
    """

    frames: int = 0
    dropped: int = 0
    damaged: int = 0
    reconnects: int = 0
    stalls: int = 0
    abandoned: int = 0
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a well becomes a network's input: resized to (height, width), blurred, the middle ``size`` square kept.

    ``blur_kernel`` is odd, in pixels of the resized crop; ``blur_sigma`` 0 means no blur.
    """

    height: int = 32
    width: int = 48
    size: int = 32
    blur_kernel: int = 7
    blur_sigma: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Wells:
    """Where the wells are, one row per well, in pixels of the reference frame (origin at the top-left corner).

    ``centres`` is (wells, 2) float64 x, y; ``sizes`` is (wells, 2) float64 width, height of the oval;
    ``in_service`` is (wells,) bool; ``reference`` is the picture they were located on, where there is one.
    """

    ids: tuple[str, ...]
    centres: F64
    sizes: F64
    in_service: Bools
    reference: Path | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one picture looks like as a whole, from a sparse sample of its luma (0..255).

    ``level`` is the 90th percentile: what the bright parts show. ``clipped`` is the share of samples at the top of the
    range; ``changed`` the share that differs by more than one grey level from the picture before (1 for the first);
    ``veiled`` the share of the table that shows much less detail than in the reference picture.
    """

    level: float
    clipped: float
    changed: float
    veiled: float = 0.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """A well at (x, y) of the reference is at (x + dx, y + dy), in pixels of the frame, if ``trusted``.

    Otherwise dx, dy are the last that could be trusted, and ``reason`` is a sentence for people where there is more to
    say than that. ``response`` is how sure it is, 0..1.
    """

    dx: float
    dy: float
    trusted: bool
    response: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a camera's pipeline knows after a frame, one column per well.

    ``scores`` (wells,) float32 are the model's, NaN where no score could be had; ``evidence`` (wells,) float32 is the
    CUSUM in seconds of a typical spill; ``active`` (wells,) bool marks wells whose spill alarm is active and
    ``covered`` those that something stands before. Wells are ``shift`` pixels (x, y) from where the file has them.
    """

    time_s: float
    scores: F32
    evidence: F32
    active: Bools
    covered: Bools | None = None
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedStream:
    """How to read a camera's packets: FFmpeg's name of the codec, the unit of time-stamps, and what a decoder needs
    before the first packet."""

    codec: str
    time_base: Fraction
    header: bytes


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPacket:
    """One packet as the camera sent it; ``pts`` and ``dts`` are in the stream's unit, ``time_s`` is its arrival."""

    data: bytes
    pts: int
    dts: int
    time_s: float
    key: bool


@dataclass(frozen=True, slots=True, eq=False)
class EncodedClip:
    """Packets of one stream, from a key frame on."""

    stream: EncodedStream
    packets: tuple[EncodedPacket, ...]


class Condition(StrEnum):
    """What an alarm is about. Camera conditions carry no well."""

    SPILL = "spill"
    OBSTRUCTED = "obstructed"
    CAMERA_LOST = "camera_lost"
    CAMERA_FROZEN = "camera_frozen"
    CAMERA_DARK = "camera_dark"
    CAMERA_SATURATED = "camera_saturated"
    CAMERA_SHIFTED = "camera_shifted"
    CAMERA_BLURRED = "camera_blurred"
    CAMERA_LATE = "camera_late"
    COMMON_CAUSE = "common_cause"
    OVERLOAD = "overload"
    STORAGE = "storage"
    SELF_TEST_FAILED = "self_test_failed"


class AlarmState(StrEnum):
    """Alarm states after ISA-18.2 (RTN: return to normal)."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RTN_UNACKNOWLEDGED = "rtn_unacknowledged"
    SHELVED = "shelved"
    OUT_OF_SERVICE = "out_of_service"


class Priority(StrEnum):
    """ISA-18.2 priorities, by consequence and time to respond."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class CameraState(StrEnum):
    """Whether a camera's wells are watched at all."""

    WATCHING = "watching"
    DEGRADED = "degraded"
    BLIND = "blind"


class WellState(StrEnum):
    """Whether a well is watched."""

    WATCHING = "watching"
    OBSTRUCTED = "obstructed"
    SHELVED = "shelved"
    OUT_OF_SERVICE = "out_of_service"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEvent:
    """One change of one alarm: the same JSON in MQTT and JSONL.

    ``id`` is unique per event and the same at every delivery of it; what stands before its last dot names the alarm
    from raise to return, so that a subscriber can pair them. ``seq`` counts the site's events from 1. ``well`` is
    None for camera conditions, ``media_time_s`` None live, ``delay_ms`` (capture to hand-over to the publisher) None
    in replay. ``score`` and ``threshold`` are the model's own units, None for camera conditions and
    where no picture made the change. ``first_out`` marks
    the first alarm of a group that was calm before, ``flood`` one of more than ten in ten minutes (EEMUA 191).
    ``by`` and ``reason`` are those of the command that made the change; ``by`` is None where nobody did.
    ``evidence`` is where the alarm's pictures are kept, below the state directory and below the page's address; see
    ``evidence_path``.
    """

    id: str
    seq: int
    camera: str
    well: str | None
    condition: Condition
    state: AlarmState
    active: bool
    acked: bool
    priority: Priority
    at: datetime
    media_time_s: float | None = None
    score: float | None = None
    threshold: float | None = None
    model: str | None = None
    delay_ms: float | None = None
    late: bool = False
    test: bool = False
    first_out: bool = False
    flood: bool = False
    by: str | None = None
    reason: str | None = None
    evidence: str | None = None

    @property
    def raises(self) -> bool:
        """The alarm's first event: no acknowledgement, no further call, no return."""
        return self.active and self.id.endswith(".1")


class Verb(StrEnum):
    """What people may ask of alarms and wells, after ISA-18.2."""

    ACK = "ack"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    SELF_TEST = "self_test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What somebody asks, checked: camera and well exist. ``well`` None means the camera's own conditions.

    ``for_s`` is how long it holds; ``shelve`` without it is one-shot: until the alarm next returns to normal.
    """

    command: Verb
    camera: str
    well: str | None
    by: str
    reason: str | None = None
    for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmMemory:
    """What one alarm remembers from raise to return, and beyond a restart.

    ``name`` is its id's stem, ``events`` how many events it has had. ``cause`` tells whether the condition itself
    holds; a latched alarm stays ``active`` when it no longer does. ``told_at`` is when it last called for attention or
    its call was answered. ``model`` is the one that raised it.
    """

    name: str
    camera: str
    well: str | None
    condition: Condition
    events: int
    active: bool
    acked: bool
    cause: bool
    first_out: bool
    told_at: datetime
    evidence: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """A well (None: the camera itself) that people took out of the alarm list: ``kind`` is SHELVED or OUT_OF_SERVICE.

    It ends at ``until``; a shelf without one ends when its alarm next returns to normal, and out of service without
    one by command alone.
    """

    camera: str
    well: str | None
    kind: AlarmState
    by: str
    reason: str | None
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything of one camera's alarms that a restart must not forget."""

    alarms: tuple[AlarmMemory, ...] = ()
    suppressions: tuple[Suppression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a command. ``refused`` says why it was not done; None when it was. ``request`` is its payload."""

    ok: bool
    refused: str | None
    request: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What somebody says an alarm really was: ``alarm`` is its name, ``verdict`` whether it was true; None takes back
    what was said before."""

    alarm: str
    verdict: bool | None
    note: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MinuteScores:
    """A camera's scores in the minute from ``at``: (wells,) float32 natural logarithms, NaN where a well had none."""

    camera: str
    at: datetime
    wells: tuple[str, ...]
    peaks: F32
    means: F32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trend:
    """A camera's kept minutes, rising: (minutes, wells) float32 natural logarithms of scores, NaN where none."""

    wells: tuple[str, ...]
    times: tuple[datetime, ...]
    peaks: F32
    means: F32


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTally:
    """What a candidate beside the model in force has done: frames looked at and left out, and the seconds they took.

    Alarms that are over are counted by who raised them; ``fault`` is why it rests.
    """

    candidate: str
    frames: int
    shed: int
    cost_s: float
    both: int
    live_only: int
    candidate_only: int
    fault: str | None


SITE = "-"
"""Stands for a camera in alarms of the site itself, such as a full disk; no camera may be called so."""

HEARTBEAT_S = 5.0
"""A camera's status is repeated this often; three times as long without one means that nobody is watching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What became of a camera's last self-test: ``ok`` is None where it could not be made, and ``reason`` says why.

    ``delay_ms`` runs from the capture of the first painted picture to the event's return from the broker,
    ``delivery_ms`` from the capture of the one that raised it. ``passed_at`` is when one last passed in this run.
    """

    at: datetime
    well: str | None
    ok: bool | None
    reason: str | None = None
    delay_ms: float | None = None
    delivery_ms: float | None = None
    passed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStatus:
    """Retained: what a camera's wells can count on, in this ``state`` since ``since``, told every ``heartbeat_s``.

    ``last_frame_age_s`` is None before the first frame, ``last_score_age_s`` before the first that wells were scored
    in. ``wells`` counts them by their state; a blind camera watches none. ``self_test`` is the last of this run.
    """

    camera: str
    state: CameraState
    reason: str | None
    fps: float
    last_frame_age_s: float | None
    at: datetime
    since: datetime | None = None
    last_score_age_s: float | None = None
    wells: dict[WellState, int] = field(default_factory=dict)
    heartbeat_s: float = HEARTBEAT_S
    self_test: SelfTest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WellStatus:
    """Retained: whether one well is watched, and since when that is so."""

    camera: str
    well: str
    state: WellState
    at: datetime
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSpills:
    """Retained, for Home Assistant: the wells of a camera that spill and are neither shelved nor out of service."""

    camera: str
    wells: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStatus:
    """What spillwatch itself must do without at the moment, such as ``storage``; empty when all is well."""

    degraded: tuple[str, ...]


Message = AlarmEvent | CameraStatus | WellStatus | SiteStatus


SNAPSHOT, STRIP, CLIP = "snapshot.png", "strip.png", "clip.mp4"
"""The files of an alarm's evidence."""

CROPS = "crop-??.png"
"""Beside them: the well as `extract` would cut it out, while the alarm lasted."""

SHADOW = "shadow"
"""The folder below the state directory in which is kept what a shadow saw."""

LESSONS = "learning"
"""The folder below the state directory in which crops wait for training."""


STAMP = "%Y%m%dT%H%M%S.%fZ"
"""A time, UTC, in names: those of alarms end with it, and files with it sort by age."""


def evidence_path(alarm: str) -> str:
    """Where the evidence of an alarm of this name is kept: ``evidence/2026-11-24/cam1~3L4~spill~…``.

    Whatever the name holds, the path has three levels and no character that a shell, a URL or a file system minds.
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]|^\.", "~", alarm)
    stamp = safe.rpartition("~")[2]
    return f"evidence/{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}/{safe}"


def rfc3339(at: datetime) -> str:
    """2026-11-24T10:00:00.125Z: milliseconds, UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json(record: Message | Answer | CameraSpills) -> dict[str, Any]:
    """A record as a dict of plain JSON values, in the order of its fields; numbers that JSON lacks become None."""
    return {column.name: json_value(getattr(record, column.name)) for column in fields(record)}


def encode(record: Message | Answer | CameraSpills) -> str:
    """A record as compact JSON on one line: the same text in MQTT, in files and in the database."""
    return json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def json_value(value: Any) -> Any:
    """As JSON has it: a number that it lacks is None, a time is RFC 3339."""
    if isinstance(value, float):
        # An alarm that readers refuse for its NaN would be worse than one without its score
        return value if math.isfinite(value) else None
    if isinstance(value, SelfTest):
        return {column.name: json_value(getattr(value, column.name)) for column in fields(value)}
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return rfc3339(value) if isinstance(value, datetime) else value
