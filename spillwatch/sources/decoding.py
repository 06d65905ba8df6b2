"""What the file and the RTSP source share: FFmpeg's pictures become planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from spillwatch.records import U8, Planes

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream

_JPEG_RANGE = 2  # AVCOL_RANGE_JPEG: 0..255


def one_thread(stream: VideoStream) -> None:
    """Decode in the calling thread alone.

    Frame threads cost a fifth more CPU, which on two cores the analysis beside it would lack; they hold frames back,
    and report a damaged packet when a later one is sent.
    """
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1


class WholePictures:
    """A live stream's pictures without the damaged ones, nor those after them that are drawn on top of the damage.

    From a fault to the next key frame nothing can be relied on; without a fault reported, pictures are whole.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._whole = True

    def of(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """A packet's pictures that can be relied on."""
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            self.damaged += 1
            self._whole = False
            return []
        return [picture for picture in pictures if self._is_whole(picture)]

    def _is_whole(self, picture: VideoFrame) -> bool:
        self._whole = not picture.is_corrupt and (self._whole or picture.key_frame)
        self.damaged += not self._whole
        return self._whole


def planes_of(frame: VideoFrame) -> Planes:
    """A decoder's picture as planes: views of its own memory where it is 8-bit 4:2:0 already, else converted."""
    if frame.format.name not in {"yuv420p", "yuvj420p"}:
        frame = frame.reformat(format="yuv420p")  # keeps the range
    full_range = frame.format.name == "yuvj420p" or frame.color_range == _JPEG_RANGE
    y, u, v = (_view(plane) for plane in frame.planes)
    return Planes(y=y, u=u, v=v, full_range=full_range)


def _view(plane: VideoPlane) -> U8:
    """(H, W) uint8 over a plane's memory, which the array keeps alive; the decoder may still refer to it: read-only."""
    padded = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    view: U8 = padded[: plane.height, : plane.width]
    view.flags.writeable = False
    return view
