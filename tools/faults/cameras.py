"""Faults of cameras: gone and back, hanging, and sending rubbish."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tools.faults.scene import busy, calm
from tools.faults.stage import Stage
from tools.faults.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

BLIND_WITHIN_S = 3.0
WATCHING_WITHIN_S = 5.0
"""Whether it was away for seconds or, as every tenth time, for a minute: attempts have not become rarer by then."""


def killed(folder: Path, *, seed: int, times: int) -> Tally:
    """The server dies, and another starts in its place after a while."""
    return _blinded(folder, seed=seed, times=times, kill=True)


def stopped(folder: Path, *, seed: int, times: int) -> Tally:
    """The server hangs: its connections stay open and say nothing."""
    return _blinded(folder, seed=seed, times=times, kill=False)


def _blinded(folder: Path, *, seed: int, times: int, kill: bool) -> Tally:
    chance, tally = random.Random(seed), Tally()
    with Stage(folder / "stage", {"table": busy(folder.parent / "scenes")}) as stage:
        stream = stage.streams["table"]
        before = stage.settled()
        for tally.times in range(1, times + 1):
            away_s = chance.uniform(30.0, 60.0) if tally.times % 10 == 0 else chance.uniform(0.0, 6.0)
            fault_s = time.monotonic()
            (stream.kill if kill else stream.freeze)()
            blind = stage.recorder.wait_state("table", "blind", since_s=fault_s, within_s=BLIND_WITHIN_S + 3)
            tally.took("blind", blind, at_most_s=BLIND_WITHIN_S)
            time.sleep(away_s)
            (stream.start if kill else stream.thaw)()
            back_s = time.monotonic()
            seen = stage.recorder.wait_state("table", "watching", since_s=back_s, within_s=40)
            tally.took("watching again", seen, at_most_s=WATCHING_WITHIN_S)
            time.sleep(chance.uniform(0.3, 1.5))
        after = stage.settled()
        tally.same("threads", before.threads, after.threads)
        tally.same("descriptors", before.descriptors, after.descriptors)
        if grown := after.kinds - before.kinds:
            tally.figures["new descriptors"] = ", ".join(grown)
        tally.breaches += stage.judge()
        tally.breaches += _told_each_time(stage, times)
    return tally


def _told_each_time(stage: Stage, times: int) -> list[str]:
    lost = [event for event in stage.recorder.events() if event["condition"] == "camera_lost"]
    raised = {event["id"] for event in lost if event["active"]}
    return [] if len(raised) == times else [f"camera_lost was raised {len(raised)} times, the camera was lost {times}"]


def corrupted(folder: Path, *, seed: int, times: int) -> Tally:
    """Random bytes of the H.264 are flipped; ``times`` are seconds of one camera."""
    tally = Tally()
    cameras = {f"cam{i}": calm(folder.parent / "scenes") for i in range(1, 5)}
    seconds = times / len(cameras)
    with Stage(folder / "stage", cameras) as stage:
        for number, stream in enumerate(stage.streams.values()):
            stream.corrupt(share=(0.02, 0.1, 0.3, 0.02)[number], seed=seed + number)
        time.sleep(seconds)
        tally.times = times
        damaged = [stream.corrupt(share=0.0, seed=0) for stream in stage.streams.values()]
        tally.figures["damaged pictures"] = str(sum(damaged))
        back_s = time.monotonic()
        for name in cameras:
            watching = stage.recorder.wait_state(name, "watching", since_s=back_s, within_s=15)
            tally.took("watching again", watching, at_most_s=10)
        events = stage.recorder.events()
        tally.figures["spills raised"] = str(sum(e["condition"] == "spill" and e["active"] for e in events))
        tally.breaches += stage.judge()
    return tally
