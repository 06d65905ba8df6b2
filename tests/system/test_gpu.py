"""The daemon whose GPU is lost in mid-run. No GPU was at hand: torch's CPU device, in the same process of its own,
stands in for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.site import Scene, Site
from tools.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STAND_IN = """
from spillwatch.model import guard, scoring
from spillwatch.model.device import DeviceProcess

def on_cpu(bundle, cpu, *, optional, patient):
    start = lambda plain: DeviceProcess(bundle, "cpu", plain=plain)
    return guard.GuardedEngine(cpu, start, optional=optional, patient=patient, answer_s=5.0,
                               pause_s=lambda failures: 6.0)  # longer than the status line stays as it is

scoring._has_driver = lambda: True
guard.on_cuda = on_cpu
from spillwatch.cli import main
main()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, Scene(tmp_path)) as running:
        yield running


def worker(daemon: int) -> psutil.Process | None:
    """The process that has the device."""
    children = psutil.Process(daemon).children()
    return next((child for child in children if "spillwatch.model.device_worker" in child.cmdline()), None)


def test_a_gpu_that_is_lost_blinds_nobody_is_told_and_comes_back(site: Site) -> None:
    site.configure(cameras=("table", "other"))
    daemon = site.daemon()
    daemon._command = [sys.executable, "-c", _STAND_IN, "run", "--config", str(site.config)]

    def degraded() -> list[str]:
        told = site.said("status")
        return told[-1]["degraded"] if told else []

    with daemon:
        site.wait(lambda: "scoring.device_ready" in daemon.log(), daemon, within_s=90)
        site.wait(lambda: len(site.events(condition="spill", active=True)) == 2, daemon)
        first = worker(daemon.process.pid)
        assert first is not None
        assert degraded() == []
        first.kill()
        site.wait(lambda: degraded() == ["gpu"], daemon)
        site.wait(lambda: any("scores come from the CPU: its process ended" in s for s in daemon.notified), daemon)
        site.wait(lambda: degraded() == [], daemon, within_s=90)
        second = worker(daemon.process.pid)
        assert second is not None
        assert second.pid != first.pid
        assert "scoring.device_back" in daemon.log()
        for camera in ("table", "other"):
            states = [status["state"] for status in site.said(f"{camera}/status")]
            assert "blind" not in states[states.index("watching") :]
        assert daemon.terminate() < 3
    wait_until(lambda: not second.is_running(), within_s=5, what="no process is left")
    assert daemon.log().count("scoring.device_lost") == 1
    told = [event["condition"] for event in site.events()]
    assert told.count("spill") == 2
    assert set(told) <= {"spill", "overload"}  # two networks at once may be too much for the machine of a test
