"""Power cut at any moment: a real kernel and file system in an emulated machine lose what is not on their disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.faults import oracle, power_guest
from tools.faults.tally import Tally
from tools.rig import MissingError, RigError, program

if TYPE_CHECKING:
    from tools.faults.oracle import Event

ROOT = Path(__file__).resolve().parents[2]
MACHINE = ROOT / "tools/usb_camera_vm.sh"
DISK_BYTES = 64 * 1024 * 1024


def lost(folder: Path, *, seed: int, times: int) -> Tally:
    """Alarms change and are told; then the machine stands without power, and the next start says what it knows."""
    disk, tally = _disk(folder / "disk.img"), Tally()
    told: dict[int, Event] = {}
    acknowledged: set[int] = set()
    for tally.times in range(times + 1):  # the last start looks at what the last cut left
        lines = _run(disk, folder / "console.log", seed=1000 * seed + tally.times)
        (left,) = (what for kind, what in lines if kind == "LEFT")
        tally.breaches += left["faults"]
        told |= {event["seq"]: event for event in left["outbox"]}
        kept = {event["seq"] for event in left["outbox"]}
        tally.breaches += [f"event {seq} was told and is gone" for seq in sorted(told.keys() - kept - acknowledged)]
        tally.breaches += _as_told(left["active"], told)
        told |= {event["seq"]: event for kind, event in lines if kind == "TOLD"}
        acknowledged |= {seq for kind, seq in lines if kind == "ACKNOWLEDGED"}
    tally.times = times
    events = [told[seq] for seq in sorted(told)]
    tally.breaches += oracle.in_order(events) + oracle.lives(events) + oracle.acknowledged_stays(events)
    tally.figures["events"] = str(len(events))
    tally.figures["acknowledged"] = str(len(acknowledged))
    return tally


def _as_told(active: list[str], told: dict[int, Event]) -> list[str]:
    """What is active is what was told last of each well."""
    last = {str(told[seq]["well"]): bool(told[seq]["active"]) for seq in sorted(told)}
    expected = sorted(well for well, holds in last.items() if holds)
    return [] if active == expected else [f"active after a cut: {active}, told before it: {expected}"]


def _disk(image: Path) -> Path:
    """An empty file system."""
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run([program("mkfs.ext4"), "-q", "-F", str(image)], check=True)
    return image


def _run(disk: Path, console: Path, *, seed: int) -> list[tuple[str, Any]]:
    """One life of the machine; what was said in it."""
    program("qemu-system-x86_64")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    cache = ROOT / ".cache/usb_camera_vm"
    command = [str(MACHINE), str(cache), sys.executable, str(Path(power_guest.__file__)), str(seed)]
    environment = {**os.environ, "PATH": path, "VM_DISK": str(disk), "VM_TIMEOUT_S": "900"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    console.write_text(done.stdout + done.stderr, encoding="utf-8")
    if not (cache / "vmlinuz").exists():
        raise MissingError(f"no kernel for the emulated machine: {done.stderr[-300:]}")
    whole = re.findall(r"(LEFT|TOLD|ACKNOWLEDGED) (.*)$", done.stdout, re.MULTILINE)
    lines = [(kind, json.loads(text)) for kind, text in whole if _is_whole(text)]
    if not any(kind == "LEFT" for kind, _ in lines):
        raise RigError(f"the emulated machine did not come up:\n{(done.stdout + done.stderr)[-2000:]}")
    return lines


def _is_whole(text: str) -> bool:
    """The power may go in the midst of a line."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
