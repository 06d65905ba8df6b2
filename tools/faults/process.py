"""What a process holds, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holdings:
    """Threads, open descriptors, and resident memory in bytes."""

    threads: int
    descriptors: int
    resident: int


def holdings(pid: int) -> Holdings:
    """What the process holds now."""
    proc = Path(f"/proc/{pid}")
    pages = int((proc / "statm").read_text().split()[1])
    return Holdings(
        threads=len(list((proc / "task").iterdir())),
        descriptors=len(list((proc / "fd").iterdir())),
        resident=pages * os.sysconf("SC_PAGE_SIZE"),
    )


def load() -> float:
    """The machine's load of the last minute, per core: above 1, timings are those of a queue."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
