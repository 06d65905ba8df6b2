"""The daemon killed at any moment, its disk full, and its clock stepped."""

from __future__ import annotations

import os
import random
import shutil
import time
from datetime import datetime
from pathlib import Path

from tools.faults import oracle
from tools.faults.recorder import BASE, retained
from tools.faults.scene import busy, calm, lasting
from tools.faults.stage import Stage
from tools.faults.tally import Tally
from tools.rig import MissingError
from tools.rig.disk import fill, small_disk

SHELF_S = 6.0
HOUR_S = 3600
_FAKETIME = "*/faketime/libfaketime.so.1"


def killed(folder: Path, *, seed: int, times: int) -> Tally:
    """kill -9 and an immediate start, anywhere between the start and the fifth second of watching."""
    chance, tally = random.Random(seed), Tally()
    scenes = {"busy": busy(folder.parent / "scenes"), "lasting": lasting(folder.parent / "scenes")}
    with Stage(folder / "stage", scenes) as stage:
        held, shelved = _hold_two_wells(stage)
        for tally.times in range(1, times + 1):
            if chance.random() < 0.2:  # in the midst of its start, too
                time.sleep(chance.uniform(0.2, 2.0))
            else:
                stage.daemon.wait_ready()
                end_s = time.monotonic() + chance.uniform(0.2, 5.0)
                while time.monotonic() < end_s:
                    _acknowledge_some(stage, chance)
                    time.sleep(chance.uniform(0.1, 1.0))
            stage.daemon.kill()
            stage.daemon.start()
        began_s = time.monotonic()
        stage.wait_watching(since_s=began_s)
        time.sleep(10)
        tally.breaches += stage.judge()
        tally.breaches += oracle.acknowledged_stays(stage.recorder.events())
        now = retained(stage.broker.port)
        for well, state in ((held, "out_of_service"), (shelved, "shelved")):
            found = now.get(f"{BASE}/busy/{well}/state", {}).get("state")
            if found != state:
                tally.breaches.append(f"well {well} was {state} before the restarts and is {found} now")
        events = oracle.without_repeats(stage.recorder.events())
        tally.figures["events"] = str(len(events))
        tally.figures["acknowledged"] = str(sum(event["acked"] for event in events))
    return tally


def _hold_two_wells(stage: Stage) -> tuple[str, str]:
    """One well out of service, one on a long shelf; both spill in the scene."""
    held, shelved, *_ = sorted(stage.scenes["busy"].spilling)
    said = {"camera": "busy", "by": "campaign", "reason": "to be remembered"}
    stage.recorder.command({"command": "out_of_service", "well": held, **said})
    stage.recorder.command({"command": "shelve", "well": shelved, "for_s": HOUR_S, **said})
    time.sleep(1)
    return held, shelved


def _acknowledge_some(stage: Stage, chance: random.Random) -> None:
    events = stage.recorder.events()[-10:]
    if events:
        event = chance.choice(events)
        stage.recorder.command({"command": "ack", "well": event["well"], "camera": event["camera"], "by": "campaign"})


def disk_full(folder: Path, *, seed: int, times: int) -> Tally:
    """Not a byte is left in the state directory for some seconds, in the midst of alarms."""
    chance, tally = random.Random(seed), Tally()
    state = folder / "disk"
    shutil.rmtree(state, ignore_errors=True)
    scene = busy(folder.parent / "scenes")
    with small_disk(state, 40), Stage(folder / "stage", {"one": scene, "two": scene}, state=state) as stage:
        for tally.times in range(1, times + 1):
            full_s = time.monotonic()
            ballast = fill(state)
            tally.took("announced", _storage(stage, active=True, since_s=full_s), at_most_s=5)
            if not _spills_told(stage, since_s=full_s):
                tally.breaches.append(f"no alarm was published while the disk was full (repeat {tally.times})")
            time.sleep(chance.uniform(0, 3))
            free_s = time.monotonic()
            ballast.unlink()
            tally.took("over", _storage(stage, active=False, since_s=free_s), at_most_s=10)
            time.sleep(chance.uniform(1, 3))
        stage.daemon.kill()  # what was only in memory while the disk was full must be on it by now
        began_s = time.monotonic()
        stage.daemon.start()
        stage.wait_watching(since_s=began_s)
        tally.breaches += stage.judge()
        tally.figures["events"] = str(len(oracle.without_repeats(stage.recorder.events())))
    return tally


def _spills_told(stage: Stage, *, since_s: float) -> bool:
    """Whether spills went on being told; the scene has an event every second."""
    while time.monotonic() < since_s + 20:
        told = [h.payload for h in list(stage.recorder.heard) if h.at_s > since_s and h.topic == f"{BASE}/alarms"]
        if sum(event["condition"] == "spill" for event in told) >= 3:
            return True
        time.sleep(0.1)
    return False


def _storage(stage: Stage, *, active: bool, since_s: float) -> float | None:
    """Seconds until the condition was told."""
    while time.monotonic() < since_s + 20:
        for heard in list(stage.recorder.heard):
            event = heard.at_s >= since_s and heard.topic == f"{BASE}/alarms" and heard.payload
            if event and event["condition"] == "storage" and event["active"] == active:
                return heard.at_s - since_s
        time.sleep(0.02)
    return None


def clock_stepped(folder: Path, *, seed: int, times: int) -> Tally:
    """Wall time jumps by an hour, there or back, under the running daemon (libfaketime); monotonic time does not."""
    chance, tally = random.Random(seed), Tally()
    library = next(iter(sorted(Path("/usr/lib").glob(_FAKETIME))), None)
    if library is None:
        raise MissingError("libfaketime is not installed (Debian: apt install faketime)")
    folder.mkdir(parents=True, exist_ok=True)
    offset = folder / "offset"
    offset.write_text("+0\n")
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(offset.resolve())}
    faked |= {"FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    scenes = {"busy": busy(folder.parent / "scenes"), "calm": calm(folder.parent / "scenes")}
    with Stage(folder / "stage", scenes, environment=faked) as stage:
        well = sorted(stage.scenes["busy"].spilling)[0]
        began_s = time.monotonic()
        for tally.times in range(1, times + 1):
            stage.recorder.command({"command": "shelve", "well": well, "camera": "busy", "for_s": SHELF_S,
                                    "by": "campaign", "reason": "to be timed"})  # fmt: skip
            shelved = stage.recorder.wait_for(f"{BASE}/busy/{well}/state", "shelved", since_s=time.monotonic())
            shelved_s = time.monotonic()
            time.sleep(chance.uniform(0.5, 2.0))
            step_s = HOUR_S if tally.times % 2 else -HOUR_S
            scratch = offset.with_suffix(".new")
            scratch.write_text(f"{step_s:+d}\n")
            os.replace(scratch, offset)  # noqa: PTH105 - at once
            freed = stage.recorder.wait_for(f"{BASE}/busy/{well}/state", "watching", since_s=shelved_s)
            if shelved is None or freed is None:
                tally.breaches.append(f"the shelf did not begin or end (repeat {tally.times})")
            else:
                tally.took(f"a shelf of {SHELF_S:g} s", freed, at_most_s=SHELF_S + 1)
                if freed < SHELF_S - 1:
                    tally.breaches.append(f"the shelf of {SHELF_S:g} s ended after {freed:.1f} s")
            time.sleep(max(0.0, 2 * stage.scenes["busy"].seconds / times - 8))
        _read_clock(stage, tally)
        tally.breaches += oracle.regular(stage.recorder.heard, "busy", stage.scenes["busy"], since_s=began_s)
        tally.breaches += stage.judge()
    return tally


def _read_clock(stage: Stage, tally: Tally) -> None:
    """Did the steps reach the daemon at all?"""
    hours = {round((h.wall_s - _seconds(h.payload["at"])) / HOUR_S) for h in stage.recorder.heard
             if h.topic == f"{BASE}/alarms"}  # fmt: skip
    tally.figures["hours that events were off"] = ", ".join(f"{-hour:+d}" for hour in sorted(hours)) or "none"
    if not {-1} <= hours:
        tally.breaches.append("the daemon's clock was not stepped: nothing is shown")


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
