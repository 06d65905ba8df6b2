"""The daemon as systemd starts it: a process of its own, with a notify socket that listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from tools.rig import RigError, wait_until

if TYPE_CHECKING:
    from pathlib import Path


class DaemonProcess:
    """``spillwatch run`` under a notify socket; leaving kills what still runs.

    Its state directory and its log are in ``folder``, and go on from one to the next.
    """

    def __init__(self, config: Path, folder: Path, **environment: str) -> None:
        self._command = [sys.executable, "-m", "spillwatch", "run", "--config", str(config)]
        self._log_path = folder / "daemon.log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0.2)
        self._address = folder / "notify"
        self._socket.bind(str(self._address))
        given = {"NOTIFY_SOCKET": str(self._address), "STATE_DIRECTORY": str(folder / "state")}
        self._environment = {**os.environ, **given, **environment}
        self._listening = True
        self._listener = threading.Thread(target=self._listen, name="notify-socket", daemon=True)
        self.notified: list[str] = []
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._listener.start()
        self.start()
        return self

    def start(self) -> None:
        """Also after it ended: the log goes on."""
        self.notified.clear()
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """At once, as a power cut would."""
        self.process.kill()
        self.process.wait(10)

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._listening = False
        self._listener.join(2)
        self._socket.close()
        self._address.unlink()

    def _listen(self) -> None:
        while self._listening:
            try:
                self.notified.append(self._socket.recv(4096).decode())
            except TimeoutError:
                continue

    def wait_ready(self, within_s: float = 30) -> None:
        wait_until(lambda: "READY=1" in self.notified, within_s=within_s, what=f"READY=1; log:\n{self.log()}")

    def reload(self, within_s: float = 20) -> None:
        """SIGHUP, and until it says that it is done, in whichever way."""
        before = self.notified.count("READY=1")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.notified.count("READY=1") > before, within_s=within_s, what=f"reload:\n{self.log()}")

    def terminate(self) -> float:
        """SIGTERM; the seconds until it ended, which must be without fault."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        if code != 0:
            raise RigError(f"the daemon ended with code {code}:\n{self.log()}")
        return time.monotonic() - start

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")
