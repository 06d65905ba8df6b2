"""Small videos, made when a test needs them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from spillwatch.records import U8

ZERO_LATENCY = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "aud=1:keyint=12"}  # for the RTSP server


def moving_square(count: int, *, width: int = 320, height: int = 240) -> Iterator[U8]:
    """(H, W, 3) uint8 RGB: grey noise, a white square that moves to the right; no two pictures are the same."""
    noise = np.random.default_rng(7).integers(40, 90, (height, width, 1), np.uint8)
    side = height // 4
    for index in range(count):
        picture = np.repeat(noise, 3, axis=2)
        left = (index * 4) % (width - side)
        picture[side : 2 * side, left : left + side] = 235
        yield picture


def write_clip(
    path: Path,
    pictures: Iterable[U8],
    *,
    fps: float = 12.5,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    times_s: Iterable[float] | None = None,
) -> Path:
    """Encode (H, W, 3) uint8 RGB pictures; the suffix names the container. ``times_s`` gives irregular time-stamps."""
    times = iter(times_s) if times_s is not None else None
    with av.open(str(path), "w", options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options or {})
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pix_fmt
                stream.thread_count = 1
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = round(1000 * (next(times) if times else index / fps))
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return path
