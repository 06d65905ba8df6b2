"""What a video device says of itself, asked beside whoever streams from it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_QUERYCAP = 0x80685600  # VIDIOC_QUERYCAP of <linux/videodev2.h>, for its struct of 104 bytes
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_CAPTURES = 0x1 | 0x1000  # V4L2_CAP_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE_MPLANE


class Presence(Enum):
    """What stands behind a device file."""

    CAMERA = "a camera"
    SILENT = "a device that captures no video"  # cameras have a second one, for what they know of their pictures
    OTHER = "no video device"
    GONE = "nothing"
    BUSY = "a device that another program keeps to itself"


def presence(device: Path) -> Presence:
    """Whether a camera is there. It is neither started nor disturbed. Raises PermissionError."""
    try:
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError as exc:
        return Presence.BUSY if exc.errno == errno.EBUSY else Presence.GONE
    try:
        answer = fcntl.ioctl(handle, _QUERYCAP, bytes(_CAPABILITY.size))
    except OSError as exc:
        return Presence.GONE if exc.errno in (errno.ENODEV, errno.ENXIO, errno.EIO) else Presence.OTHER
    finally:
        os.close(handle)
    device_caps = _CAPABILITY.unpack(answer)[5]
    return Presence.CAMERA if device_caps & _CAPTURES else Presence.SILENT
