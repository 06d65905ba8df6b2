"""What the plate around each well looks like with nothing before it, over a restart: a small file per camera.

Losing one costs no more than learning it anew, so it stands beside the database and not in it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from spillwatch.outputs import write_whole
from spillwatch.records import rfc3339

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8

FRESH = timedelta(minutes=10)
"""What is older may have changed for good meanwhile: dross and light do."""


def keep(folder: Path, camera: str, plates: U8, *, made_from: str) -> None:
    """``plates`` (3, wells, samples) of wells that ``made_from`` is a digest of. A disk that takes nothing is told by
    the database."""
    about = {"made_from": made_from, "at": rfc3339(datetime.now(UTC))}
    with suppress(OSError):
        write_whole(_path(folder, camera), to_bytes({"plates": plates}, metadata=about), mode=0o600)


def kept(folder: Path, camera: str, *, made_from: str) -> U8 | None:
    """What was kept of the same wells, if it is fresh."""
    try:
        with safe_open(str(_path(folder, camera)), framework="numpy") as file:
            about = file.metadata() or {}
            age = datetime.now(UTC) - datetime.fromisoformat(about["at"])
            if about["made_from"] == made_from and timedelta(0) <= age <= FRESH:
                return np.asarray(file.get_tensor("plates"), np.uint8)
    except (SafetensorError, OSError, KeyError, ValueError):
        pass
    return None


def _path(folder: Path, camera: str) -> Path:
    return folder / f"plates-{camera}.safetensors"
