"""What trends cost: bytes on disk and time per camera and day, by a store that keeps a day of 84 wells.

python tools/trend_cost.py
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from spillwatch.config import StateSettings
from spillwatch.records import MinuteScores
from spillwatch.store.keeping import Store
from spillwatch.watch.trends import Minute

WELLS = tuple(f"{row}{side}{number}" for row in (1, 2, 3) for side in "UL" for number in range(1, 15))
MINUTES = 24 * 60


def main() -> None:
    rng = np.random.default_rng(0)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        settings = StateSettings(directory=Path(folder), trend_days=36500)
        database = Path(folder) / "spillwatch.db"
        took_s = []
        with Store(settings, deliver=False):
            pass
        empty = database.stat().st_size
        with Store(settings, deliver=False) as store:
            for minute in range(MINUTES):
                peaks = rng.normal(-5, 0.3, len(WELLS)).astype(np.float32)
                at = start + timedelta(minutes=minute)
                row = MinuteScores(camera="table", at=at, wells=WELLS, peaks=peaks, means=peaks - np.float32(0.4))
                began_s = time.perf_counter()
                store.keep_trends([row])
                took_s.append(time.perf_counter() - began_s)
        size = database.stat().st_size - empty
    gathered = Minute("table", WELLS)
    scores = rng.random(len(WELLS)).astype(np.float32)
    began_s = time.perf_counter()
    for _ in range(10_000):
        gathered.add(scores)
    frame_us = (time.perf_counter() - began_s) * 100
    print(f"{size / 1024:.0f} KiB a camera and day, {size / MINUTES:.0f} bytes a minute, of {len(WELLS)} wells")
    print(f"{1000 * np.median(took_s):.2f} ms a minute to write, {frame_us:.0f} µs a frame to gather")


if __name__ == "__main__":
    main()
