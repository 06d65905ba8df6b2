"""The real world around the daemon, on loopback: a broker, RTSP cameras, the daemon itself as a process.

Tests and the fault campaign share it. A test that meets ``MissingError`` is skipped.
"""

from __future__ import annotations

import shutil
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_PACKAGES = {
    "chromedriver": "chromium-driver",
    "mosquitto_passwd": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
}


class RigError(Exception):
    """A part of the rig did not do what it must, or a test waited for something in vain."""


class MissingError(RigError):
    """A program that the rig needs is not installed; the text names its Debian package."""


def program(name: str) -> str:
    """Its path. Debian keeps daemons in sbin, which is not on everybody's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingError(f"{name} is not installed (Debian: apt install {_PACKAGES.get(name, name)})")
    return found


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], *, within_s: float = 10, what: str = "") -> float:
    """Poll until it holds; the seconds that it took. Raises RigError when it does not in time."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s >= within_s:
            raise RigError(f"not within {within_s} s: {what or condition}")
        time.sleep(0.01)
    return time.monotonic() - began_s
