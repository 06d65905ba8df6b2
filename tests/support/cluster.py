"""A real Dask scheduler and workers, as processes on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tools.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

DASK = Path(sys.executable).with_name("dask")


class Cluster:
    """``dask scheduler`` and so many ``dask worker``; ``with`` starts them and ends them."""

    def __init__(
        self, folder: Path, *, workers: int, scheme: str = "tcp", environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._scheme = scheme
        self._environment = {**os.environ, **(environment or {})}
        self._count = workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        """By name: w0, w1 ..."""
        self.address = ""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            here = ("--host", f"{self._scheme}://127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard")
            self._start("scheduler", "--port", "0", *here)
            wait_until(self._find_address, within_s=30, what="the scheduler tells its address")
            for name in (f"w{i}" for i in range(self._count)):
                alone = ("--no-nanny", "--nthreads", "1", "--name", name, "--local-directory", str(self.folder))
                self.workers[name] = self._start("worker", self.address, *here, *alone)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait(10)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{words[0]}-{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [DASK, *words], stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        self._processes.append(process)
        return process

    def _find_address(self) -> bool:
        found = re.search(rf"Scheduler at:\s+({self._scheme}://127\.0\.0\.1:\d+)", self.log("scheduler"))
        self.address = found[1] if found else ""
        return bool(found)

    def kill_scheduler(self) -> None:
        self._processes[0].kill()

    def log(self, kind: str) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{kind}-*.log")))
