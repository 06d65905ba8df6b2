"""A real RTSP server on loopback, which can be killed, frozen and started again."""

from __future__ import annotations

import selectors
import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest

_PYTHON = "/usr/bin/python3"
_NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('GstApp', '1.0')"
_SCRIPT = Path(__file__).with_name("rtsp_server.py")


class RtspServer:
    """Serves a clip made with ``clips.ZERO_LATENCY``; the port stays the same over restarts."""

    def __init__(self, clip: Path, *, fps: float = 25, account: str = "") -> None:
        self.clip, self.fps, self.account = clip, fps, account
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def url(self, account: str = "", path: str = "cam") -> str:
        return f"rtsp://{account + '@' if account else ''}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        command = [_PYTHON, str(_SCRIPT), str(self.port), str(self.clip), str(self.fps), self.account]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(timeout=15) else "nothing"
        if not line.startswith("ready "):
            self.kill()
            pytest.fail(f"the RTSP server did not start, it said: {line}")
        self.port = int(line.split()[1])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        missing = subprocess.run([_PYTHON, "-c", _NEEDS], capture_output=True, check=False).returncode
        if missing:
            pytest.skip(
                "no GStreamer RTSP server (Debian: apt install python3-gi gir1.2-gst-rtsp-server-1.0"
                " gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-rtsp)"
            )
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
