"""What a process holds, from /proc."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holdings:
    """Threads, open descriptors, and resident memory in bytes."""

    threads: int
    descriptors: int
    resident: int
    kinds: Counter[str]  # of descriptors: files by name, sockets and pipes by kind


def holdings(pid: int) -> Holdings:
    """What the process holds now."""
    proc = Path(f"/proc/{pid}")
    kinds = _kinds(proc)
    pages = int((proc / "statm").read_text().split()[1])
    return Holdings(
        threads=len(list((proc / "task").iterdir())),
        descriptors=kinds.total(),
        resident=pages * os.sysconf("SC_PAGE_SIZE"),
        kinds=kinds,
    )


def settled(pid: int, *, for_s: float = 3.0) -> Holdings:
    """The least of some seconds: what is leaked stays, what is in passing does not."""
    end_s = time.monotonic() + for_s
    samples = [holdings(pid)]
    while time.monotonic() < end_s:
        time.sleep(0.2)
        samples.append(holdings(pid))
    return min(samples, key=lambda sample: (sample.descriptors, sample.threads))


def _kinds(proc: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for link in (proc / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found[re.sub(r":\[\d+\]", "", str(link.readlink()))] += 1
    return found


def load() -> float:
    """The machine's load of the last minute, per core: above 1, timings are those of a queue."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
