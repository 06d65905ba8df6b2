"""Every frame of a video file, on the video's own clock."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import av
import structlog

from spillwatch.errors import SourceError
from spillwatch.records import Frame
from spillwatch.sources.decoding import one_thread, planes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.video.stream import VideoStream

_LOG = structlog.get_logger()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPLETE = 0.98  # of the promised length: containers round it, and cutting tools leave a few frames off


class FileSource:
    """A video file, once through; ``with`` opens it and fills in what it promises.

    ``time_s`` counts from the first frame by the file's time-stamps; ``at`` adds that to the file's creation time, or
    to 1970 where it has none, so that two replays of one file agree. What can be read of a damaged file is given
    before SourceError tells what is missing; damage in its midst that the decoder gets over is only logged.
    """

    def __init__(self, path: Path, *, camera: str = "replay") -> None:
        self.path = path
        self.camera = camera
        self.width = 0
        self.height = 0
        self.fps = 0.0
        self.frames: int | None = None
        self.duration_s: float | None = None
        self.started_at = _EPOCH
        self.damaged = 0
        self._container: InputContainer | None = None

    def __enter__(self) -> Self:
        self._container = container = self._open()
        try:
            self._describe(container)
        except BaseException:
            container.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Frame]:
        if self._container is None:
            raise RuntimeError("FileSource is read inside its with block")
        container, stream = self._container, self._container.streams.video[0]
        reading = _Reading()
        first_s: float | None = None
        time_s = -1.0 / self.fps
        for picture in reading.pictures(container, stream):
            self.damaged = reading.damaged
            if (picture.width, picture.height) != (self.width, self.height):
                raise SourceError(
                    f"{self.path} changes its size from {self.width}x{self.height} to {picture.width}x{picture.height}"
                    f" after {reading.frames - 1} frames; cut it there and read each part by itself"
                )
            step_s = time_s + 1.0 / self.fps  # for a frame without a time-stamp, or with one that steps back
            if picture.time is not None:
                first_s = picture.time if first_s is None else first_s
                step_s = picture.time - first_s if picture.time - first_s > time_s else step_s
            time_s = step_s
            at = self.started_at + timedelta(seconds=time_s)
            yield Frame(camera=self.camera, at=at, time_s=time_s, planes=planes_of(picture))
        self._judge(reading, read_s=time_s + 1.0 / self.fps, first_s=first_s or 0.0)

    def _open(self) -> InputContainer:
        try:
            status = self.path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise SourceError(f"{self.path} is a directory; name a video file in it")
            if status.st_size == 0 and stat.S_ISREG(status.st_mode):
                raise SourceError(f"{self.path} is empty; record or copy it again")
            return av.open(f"file:{self.path}", metadata_errors="replace")
        except FileNotFoundError as exc:
            raise SourceError(f"{self.path} does not exist; check the path") from exc
        except PermissionError as exc:
            raise SourceError(f"{self.path} may not be read; give this user the right to read it") from exc
        except av.FFmpegError as exc:
            raise SourceError(
                f"{self.path} is not a video or was cut short while it was written ({exc.strerror}); copy it again"
            ) from exc
        except OSError as exc:
            raise SourceError(f"{self.path} cannot be read: {exc.strerror}; check the disk") from exc

    def _describe(self, container: InputContainer) -> None:
        if not container.streams.video or container.format.name == "tty":  # FFmpeg draws .txt files as pictures
            raise SourceError(f"{self.path} holds no video; name a video file")
        stream = container.streams.video[0]
        one_thread(stream)
        self.width, self.height = stream.codec_context.width, stream.codec_context.height
        self.fps = float(stream.average_rate or stream.guessed_rate or 25)
        self.duration_s = _duration_s(container, stream)
        self.frames = stream.frames or (round(self.duration_s * self.fps) if self.duration_s else None)
        self.started_at = _created_at(container) or _EPOCH

    def _judge(self, reading: _Reading, *, read_s: float, first_s: float) -> None:
        """At the end: raise if the file promised more."""
        if reading.frames == 0:
            raise SourceError(f"{self.path} has no frame that can be decoded; convert it to H.264 or copy it again")
        end_s = read_s + max(first_s, 0.0)  # some containers state where the video ends, others how long it is
        short = self.duration_s is not None and end_s < self.duration_s * _COMPLETE - 1.0 / self.fps
        if short or reading.broken_off:
            promised = f" of {self.frames}" if self.frames else ""
            promised_s = f" of {self.duration_s:.1f}" if self.duration_s else ""
            reason = f" ({reading.broken_off})" if reading.broken_off else ""
            raise SourceError(
                f"{self.path} is cut short: {reading.frames}{promised} frames, {read_s:.1f}{promised_s} s"
                f" could be read{reason}; copy it again"
            )
        if reading.damaged:
            _LOG.warning("source.damaged", path=str(self.path), damaged=reading.damaged, frames=reading.frames)


class _Reading:
    """Decodes to the end, over damaged packets, and counts."""

    def __init__(self) -> None:
        self.frames = 0
        self.damaged = 0
        self.broken_off: str | None = None  # why the last packet, or the one after it, could not be had

    def pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as exc:
                self.broken_off = str(exc.strerror)
                return
            try:
                pictures = packet.decode()
            except av.FFmpegError as exc:
                self.damaged += 1
                self.broken_off = str(exc.strerror)
                continue
            if packet.size:  # the empty packet at the end only flushes
                self.broken_off = None
            for picture in pictures:
                self.frames += 1
                self.damaged += picture.is_corrupt
                yield picture


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The video stream's own length where the file states it, for sound may go on longer; else the file's."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska states the end: 00:00:10.240000000
        try:
            hours, minutes, seconds = tag.split(":")
            begin_s = float((stream.start_time or 0) * (stream.time_base or 0))
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - begin_s
        except ValueError:
            pass
    return container.duration / 1e6 if container.duration else None


def _created_at(container: InputContainer) -> datetime | None:
    try:
        at = datetime.fromisoformat(container.metadata.get("creation_time", ""))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
