"""Faults between the daemon and whoever listens: the broker dies, the network goes silent."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tools.faults.scene import busy
from tools.faults.stage import Stage
from tools.faults.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path


def broker_killed(folder: Path, *, seed: int, times: int) -> Tally:
    """kill -9 of mosquitto in the midst of alarms; the recorder is back before it dies again."""
    chance, tally = random.Random(seed), Tally()
    scene = busy(folder.parent / "scenes")
    with Stage(folder / "stage", {"one": scene, "two": scene}) as stage:
        for tally.times in range(1, times + 1):
            time.sleep(chance.uniform(0.2, 2.0))
            stage.recorder.wait_connected()
            stage.broker.kill()
            time.sleep(chance.uniform(0.0, 2.0))
            stage.broker.start()
            stage.recorder.wait_connected()
        _finish(stage, tally)
    return tally


def network_silent(folder: Path, *, seed: int, times: int) -> Tally:
    """Nothing passes between daemon and broker, and nobody is told; shorter and longer than the keepalive of 5 s."""
    chance, tally = random.Random(seed), Tally()
    scene = busy(folder.parent / "scenes")
    with Stage(folder / "stage", {"one": scene, "two": scene}, relayed=True) as stage:
        for tally.times in range(1, times + 1):
            time.sleep(chance.uniform(0.5, 2.0))
            stage.relay.silence()
            time.sleep(chance.uniform(0.5, 20.0))
            stage.relay.restore()
        _finish(stage, tally)
    return tally


def _finish(stage: Stage, tally: Tally) -> None:
    """Give the backlog time, then judge."""
    time.sleep(10)
    tally.breaches += stage.judge()
    events = stage.recorder.events()
    ids = {event["id"] for event in events}
    tally.figures["events"] = str(len(ids))
    tally.figures["repeats dropped"] = str(len(events) - len(ids))
    tally.figures["marked late"] = str(sum(event["late"] for event in events))
