"""What systemd does for a service of Type=notify with WatchdogSec= and Restart=always, as small as it gets."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Supervisor:
    """Starts a program, listens to it on a real notify socket, and sends SIGABRT when it is silent for too long.

    As in systemd, time starts to count at READY=1, and a program that ended is started again.
    """

    def __init__(self, program: Sequence[object], folder: Path, *, watchdog_s: float) -> None:
        self._program = [str(word) for word in program]
        self._folder = folder
        self._watchdog_s = watchdog_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._leaving = False
        self.ready = 0
        self.kills = 0

    def __enter__(self) -> Self:
        self._socket.bind(str(self._folder / "supervisor"))
        self._socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leaving = True
        self._thread.join(20)
        self._socket.close()

    def log(self) -> str:
        return (self._folder / "supervised.log").read_text(errors="replace")

    def _run(self) -> None:
        given = {"NOTIFY_SOCKET": str(self._folder / "supervisor"), "STATE_DIRECTORY": str(self._folder / "state")}
        while not self._leaving:
            with (self._folder / "supervised.log").open("ab") as log:
                process = subprocess.Popen(self._program, env=os.environ | given, stdout=log, stderr=log)
            self._watch(process)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        fed_s: float | None = None
        while process.poll() is None:
            with contextlib.suppress(TimeoutError):
                lines = self._socket.recv(4096).decode().splitlines()
                self.ready += "READY=1" in lines
                if "READY=1" in lines or "WATCHDOG=1" in lines:
                    fed_s = time.monotonic()
            if self._leaving:
                process.terminate()
                process.wait(10)
            elif fed_s is not None and time.monotonic() - fed_s > self._watchdog_s:
                self.kills += 1
                process.send_signal(signal.SIGABRT)
                process.wait(10)
