"""A USB camera's pictures as they arrive, over V4L2."""

from __future__ import annotations

import math
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np
import structlog

from spillwatch.errors import SourceError
from spillwatch.pictures import from_bgr
from spillwatch.records import Frame
from spillwatch.sources.v4l2 import Presence, presence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.config import CameraSettings

_LOG = structlog.get_logger()


class UsbSource:
    """One V4L2 camera; ``with`` opens it and checks that it gives what the settings ask. Frames carry their arrival.

    OpenCV and not FFmpeg reads it, since FFmpeg's time-outs do not end a wait for a frozen V4L2 device.
    """

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        device = str(settings.device)
        self.device = Path(f"/dev/video{device}" if device.isdecimal() else device)
        self.damaged = 0
        self._patience_s = max(1, math.ceil(settings.read_timeout_s))
        self._capture: cv2.VideoCapture | None = None

    def __enter__(self) -> Self:
        self._check_device()
        # The only time-out that OpenCV's V4L2 knows: whole seconds, and one for the whole process.
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(self._patience_s)
        capture = cv2.VideoCapture(str(self.device), cv2.CAP_V4L2)
        try:
            if not capture.isOpened():  # a camera it is, as was just seen
                raise self._busy()
            self._configure(capture)
        except BaseException:
            capture.release()
            raise
        self._capture = capture
        return self

    def __exit__(self, *exc: object) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def __iter__(self) -> Iterator[Frame]:
        if self._capture is None:
            raise RuntimeError("UsbSource is read inside its with block")
        while True:
            good, bgr = self._capture.read()
            at, time_s = datetime.now(UTC), time.monotonic()
            if not good:
                raise self._silent()
            yield Frame(camera=self._settings.id, at=at, time_s=time_s, planes=from_bgr(np.asarray(bgr, np.uint8)))

    def _check_device(self) -> None:
        if not self.device.exists():
            there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
            raise SourceError(f"{self.device} does not exist; plug the camera in or name another (found: {there})")
        try:
            found = presence(self.device)
        except PermissionError as exc:
            raise SourceError(f"{self.device} may not be opened by this user; add it to the group `video`") from exc
        if found == Presence.BUSY:
            raise self._busy()
        if found == Presence.GONE:
            raise SourceError(f"{self.device} is unplugged; plug it in again")
        if found != Presence.CAMERA:
            raise SourceError(f"{self.device} is {found.value}; `v4l2-ctl --list-devices` lists the cameras")

    def _busy(self) -> SourceError:
        return SourceError(
            f"{self.device} is busy: another program streams from it; `fuser -v {self.device}` says which"
        )

    def _silent(self) -> SourceError:
        """Why a camera that gave pictures gives none."""
        try:
            there = presence(self.device) == Presence.CAMERA
        except PermissionError:
            there = False
        if not there:
            return SourceError(f"{self.device} was unplugged; plug it in again, and check its cable")
        return SourceError(
            f"{self.device} is frozen: plugged in, but no picture for {self._patience_s} s; plug it in anew"
        )

    def _configure(self, capture: cv2.VideoCapture) -> None:
        """Ask for what is set, then look at what the device made of it."""
        asked = self._settings
        if asked.pixel_format:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*asked.pixel_format))
        if asked.width:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, asked.width)
        if asked.height:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, asked.height)
        if asked.fps:
            capture.set(cv2.CAP_PROP_FPS, asked.fps)
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        pixel_format = (
            int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "replace")
        )
        faults = [
            f"{key} = {wanted} but gives {given}"
            for key, wanted, given in (
                ("width", asked.width, width),
                ("height", asked.height, height),
                ("pixel_format", asked.pixel_format, pixel_format),
            )
            if wanted is not None and wanted != given
        ]
        if faults:
            raise SourceError(
                f"{self.device} was asked for {', '.join(faults)};"
                f" `v4l2-ctl -d {self.device} --list-formats-ext` lists what it can"
            )
        fps = capture.get(cv2.CAP_PROP_FPS)
        if asked.fps and abs(fps - asked.fps) > 0.05 * asked.fps:
            _LOG.warning("source.fps_differs", device=str(self.device), asked=asked.fps, given=fps)
