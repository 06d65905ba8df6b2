"""What is shown of one spill: a snapshot with the error map, the well over time, and a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from spillwatch.pictures import to_bgr
from spillwatch.records import U8, Planes, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cv2.typing import MatLike

    from spillwatch.records import F32, AlarmEvent, EncodedClip, Frame

_HEIGHT = 480  # pixels of the snapshot, without its line of text
_REACH = (2.5, 3.0)  # of a well's size, to each side: its neighbours and the launder
_CELL = 96  # pixels of a well in the strip
_COLUMNS = 10
_LINE = 28
_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibit:
    """All that is needed to show one alarm.

    ``centre`` and ``size`` are the well's, (x, y) pixels of the ``frame`` that raised it. ``crop`` is (3, side, side)
    uint8 RGB as the model saw it and ``errors`` (side, side) float32 what it could not repaint; ``strip`` is the crops
    before, with their seconds before the alarm; ``box`` is (h, w, 3) uint8 BGR, see ``boxed``. ``clip`` gives the
    packets, from ``due_s`` on; None where the camera sends no packets.
    """

    path: str
    event: AlarmEvent
    frame: Frame
    centre: tuple[float, float]
    size: tuple[float, float]
    crop: U8
    box: U8
    errors: F32
    strip: Sequence[tuple[float, U8]]
    clip: Callable[[], EncodedClip | None] | None
    due_s: float


def snapshot(exhibit: Exhibit) -> U8:
    """(H, W, 3) uint8 BGR: the well among its neighbours, as the model saw it, and what the model could not repaint."""
    around = _around(exhibit)
    half = (_HEIGHT // 2, _HEIGHT // 2)
    crop = cv2.resize(_bgr(exhibit.crop), half, interpolation=cv2.INTER_CUBIC)
    # The root shows what the brightest pixel would drown; what is below the threshold stays dark.
    least = exhibit.event.threshold or 0.0
    strength = np.sqrt(exhibit.errors / max(float(exhibit.errors.max()), least, 1e-9))
    heat = cv2.applyColorMap((strength * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    errors = cv2.resize(heat, half, interpolation=cv2.INTER_NEAREST)
    for picture, text in ((crop, "as the model sees it"), (errors, "error")):
        _label(picture, text)
    whole = np.hstack([around, np.vstack([crop, errors])])
    event = exhibit.event
    text = f"{event.camera}  {event.well}  {event.condition}  {rfc3339(event.at)}"
    if event.score is not None:
        text += f"  score {event.score:.3g}, threshold {event.threshold:.3g}"
    return np.vstack([_band(whole.shape[1], text), whole])


def strip(exhibit: Exhibit) -> U8:
    """(H, W, 3) uint8 BGR: the well over time, the oldest first, with the seconds before the alarm."""
    cells = []
    for before_s, crop in exhibit.strip:
        cell = cv2.resize(_bgr(crop), (_CELL, _CELL), interpolation=cv2.INTER_CUBIC)
        cells.append(np.vstack([cell, _band(_CELL, f"{-before_s:+.1f} s" if before_s >= 0.05 else "alarm", 0.45)]))
    blank = np.zeros((_CELL + _LINE, _CELL, 3), np.uint8)
    columns = min(len(cells), _COLUMNS)
    cells += [blank] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)])


def boxed(planes: Planes, centre: tuple[float, float], size: tuple[float, float]) -> U8:
    """(h, w, 3) uint8 BGR: a well's box in the frame's own pixels, as `extract` cuts it out."""
    low = [round(middle - side / 2) for middle, side in zip(centre, size, strict=True)]
    high = [round(middle + side / 2) for middle, side in zip(centre, size, strict=True)]
    part, (left, top) = _part(planes, (low[0] - 2, low[1] - 2), (high[0] + 2, high[1] + 2))
    columns, rows = (slice(max(a - at, 0), max(b - at, 0)) for a, b, at in zip(low, high, (left, top), strict=True))
    return np.ascontiguousarray(to_bgr(part)[rows, columns])


def png(picture: U8) -> bytes:
    """A picture's bytes."""
    return bytes(cv2.imencode(".png", picture)[1])


def write_clip(clip: EncodedClip, path: Path, *, width: int, height: int) -> None:
    """Packets into an MP4 as they are. Raises OSError and FFmpegError."""
    first, last_dts = clip.packets[0], None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_mux_stream(
            clip.stream.codec, width=width, height=height, time_base=clip.stream.time_base
        )
        for encoded in clip.packets:
            if last_dts is not None and encoded.dts <= last_dts:  # a camera whose clock stepped back
                continue
            last_dts = encoded.dts
            # Cameras may tell how to decode only once, in the session's description.
            packet = av.Packet(clip.stream.header + encoded.data if encoded is first else encoded.data)
            packet.stream, packet.time_base = stream, clip.stream.time_base
            packet.pts, packet.dts = max(encoded.pts, encoded.dts) - first.dts, encoded.dts - first.dts
            packet.is_keyframe = encoded.key
            container.mux(packet)


def _around(exhibit: Exhibit) -> U8:
    planes = exhibit.frame.planes
    (x, y), (w, h) = exhibit.centre, exhibit.size
    reach = (w * _REACH[0], h * _REACH[1])
    part, (left, top) = _part(planes, (x - reach[0], y - reach[1]), (x + reach[0], y + reach[1]))
    scale = _HEIGHT / part.height
    picture = cv2.resize(to_bgr(part), (round(part.width * scale), _HEIGHT), interpolation=cv2.INTER_CUBIC)
    middle = ((x - left) * scale, (y - top) * scale)
    for colour, thickness in (((0, 0, 0), 4), (_WHITE, 2)):
        cv2.ellipse(picture, (middle, (w * 1.15 * scale, h * 1.15 * scale), 0), colour, thickness, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def _part(planes: Planes, low: tuple[float, float], high: tuple[float, float]) -> tuple[Planes, tuple[int, int]]:
    """The planes between two corners, (x, y) pixels, as far as the picture goes, and where the part begins."""
    left, right = (int(np.clip(x, 0, planes.width)) & ~1 for x in (low[0], high[0]))
    top, bottom = (int(np.clip(y, 0, planes.height)) & ~1 for y in (low[1], high[1]))
    chroma = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
    return Planes(planes.y[top:bottom, left:right], planes.u[chroma], planes.v[chroma], planes.full_range), (left, top)


def _bgr(crop: U8) -> U8:
    return np.ascontiguousarray(crop.transpose(1, 2, 0)[..., ::-1])


def _band(width: int, text: str, scale: float = 0.55) -> U8:
    band = np.full((_LINE, width, 3), 40, np.uint8)
    cv2.putText(band, text, (6, 19), _FONT, scale, _WHITE, 1, cv2.LINE_AA)
    return band


def _label(picture: MatLike, text: str) -> None:
    (width, height), below = cv2.getTextSize(text, _FONT, 0.5, 1)
    cv2.rectangle(picture, (0, 0), (width + 12, height + below + 8), (40, 40, 40), cv2.FILLED)
    cv2.putText(picture, text, (6, height + 5), _FONT, 0.5, _WHITE, 1, cv2.LINE_AA)
