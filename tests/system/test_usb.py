"""A real V4L2 camera, in an emulated guest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import usb_guest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools/usb_camera_vm.sh"
PROGRAMS = ("qemu-system-x86_64", "busybox", "cpio", "depmod", "v4l2-ctl", "apt-get", "dpkg-deb")

pytestmark = [pytest.mark.needs_vm, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """What usb_guest.py saw: the last telling of each story."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if missing := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        pytest.skip(f"no emulated camera without {', '.join(missing)}; see {SCRIPT.name}")
    cache = ROOT / ".cache/usb_camera_vm"
    command = [str(SCRIPT), str(cache), sys.executable, str(Path(usb_guest.__file__))]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if not (cache / "vmlinuz").exists():
        pytest.skip(f"no kernel for the emulated camera: {run.stderr.strip().splitlines()[-1:]}")
    stories = [json.loads(line) for line in re.findall(r"STORY (\{.*\})", run.stdout)]
    assert run.returncode == 0, run.stdout + run.stderr
    return {story["story"]: story for story in stories}


def test_gives_frames_of_the_size_and_format_asked(told: dict[str, dict[str, Any]]) -> None:
    result = told["frames"]["result"]
    assert result["device"] == "/dev/video0"  # asked for as index 0
    assert result["shapes"] == [[360, 640], [180, 320]]
    assert result["spread"] > 20
    assert result["moves"]
    assert result["monotonic"]
    assert result["camera"] == "table"


@pytest.mark.parametrize(
    ("story", "says"),
    [
        ("missing", r"/dev/video9 does not exist; .*\(found: /dev/video0\)"),
        ("no_camera", r"/dev/null is no video device; `v4l2-ctl --list-devices` lists the cameras"),
        ("wrong_size", r"width = 650 but gives \d+, height = 490 but gives \d+; `v4l2-ctl .*` lists what it can"),
        ("wrong_format", r"pixel_format = MJPG but gives \w+"),
        ("busy", r"/dev/video0 is busy: another program streams from it; `fuser -v /dev/video0` says which"),
        ("frozen", r"/dev/video0 is frozen: plugged in, but no picture for 2 s; plug it in anew"),
        ("unplugged", r"/dev/video0 was unplugged; plug it in again, and check its cable"),
    ],
)
def test_says_what_is_wrong(told: dict[str, dict[str, Any]], story: str, says: str) -> None:
    assert re.search(says, told[story].get("error", str(told[story])))


def test_a_frozen_camera_is_noticed_within_the_read_timeout(told: dict[str, dict[str, Any]]) -> None:
    assert told["frozen"]["seconds"] < usb_guest.READ_TIMEOUT_S + 3  # emulated, so everything takes longer


@pytest.mark.parametrize(
    ("story", "says"),
    [
        ("busy_and_back", ["is busy", "frame"]),
        ("frozen_and_back", ["frame", "is frozen", "frame"]),
        ("unplugged_and_back", ["frame", "unplugged", "frame", "unplugged", "frame"]),
    ],
)
def test_is_watched_again_by_itself(told: dict[str, dict[str, Any]], story: str, says: list[str]) -> None:
    result = told[story].get("result", {})
    assert len(result.get("told", ())) == len(says), told[story]
    assert all(word in heard for word, heard in zip(says, result["told"], strict=True)), told[story]
    assert result["abandoned"] == 0
