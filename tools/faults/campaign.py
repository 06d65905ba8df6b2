"""Every fault by name: what it is, how often the full campaign does it, and how often `make test` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tools.faults import cameras, delivery, hostile, power, restarts, soak
from tools.faults.tally import Tally
from tools.rig import MissingError, RigError

if TYPE_CHECKING:
    from pathlib import Path


class Doing(Protocol):
    """Does a fault so many times in a folder of its own."""

    def __call__(self, folder: Path, *, seed: int, times: int) -> Tally: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """``times`` in the full campaign, ``few`` in the tests."""

    do: Doing
    what: str
    times: int
    few: int
    unit: str = "times"


FAULTS = {
    "rtsp-killed": Fault(cameras.killed, "RTSP server killed, and back", 50, 2),
    "rtsp-stopped": Fault(cameras.stopped, "RTSP server stopped (SIGSTOP) and continued", 50, 2),
    "broker-killed": Fault(delivery.broker_killed, "broker killed and restarted in the midst of alarms", 50, 3),
    "network-silent": Fault(delivery.network_silent, "network to the broker silently cut", 20, 1),
    "daemon-killed": Fault(restarts.killed, "daemon `kill -9` at random moments during alarms", 100, 4),
    "power-lost": Fault(power.lost, "power cut at random moments while alarms change", 20, 0),
    "disk-full": Fault(restarts.disk_full, "disk full in the state directory", 10, 1),
    "clock-stepped": Fault(restarts.clock_stepped, "clock stepped by an hour, there and back", 5, 1),
    "corrupted": Fault(cameras.corrupted, "random bytes of the H.264 flipped", 1000, 40, "camera-seconds"),
    "hostile-files": Fault(
        hostile.files, "hostile or damaged commands, settings, wells, profiles, models", 10000, 500, "inputs"
    ),
    "hostile-commands": Fault(hostile.commands, "hostile commands over MQTT to a running daemon", 500, 50, "payloads"),
    "soak": Fault(soak.soak, "four cameras, a fault every half minute", 7200, 0, "seconds"),
}


def run_one(name: str, folder: Path, *, seed: int, times: int) -> Tally:
    """Do one fault; a rig that fails under it is a breach too."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return FAULTS[name].do(folder, seed=seed, times=times)
    except MissingError:
        raise
    except RigError as exc:
        return Tally(breaches=[f"ended early: {exc}"])
