"""The process that has the device. No GPU was at hand where these were written: torch's CPU device stands in."""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import torch

from spillwatch.model import bundle as bundles
from spillwatch.model import device_worker
from spillwatch.model.device import DeviceProcess, Order, RefusedError
from spillwatch.model.guard import GuardedEngine
from spillwatch.model.patches import PatchEngine
from tools.rig import wait_until

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle

PIXELS = np.random.default_rng(1).integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)
START_S = 90.0


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundles.load(bundles.default_path())


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As build.one_core_each does for the daemon and its processes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def end(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.logs_error("scoring.device_lost")
def test_killed_and_frozen_it_costs_no_batch_and_comes_back(bundle: Bundle) -> None:
    cpu = PatchEngine(bundle.state)
    expected = cpu.score(PIXELS)
    devices: list[DeviceProcess] = []

    def start(plain: bool) -> DeviceProcess:
        devices.append(DeviceProcess(bundle, "cpu", plain=plain, most=128))  # 150 wells go in two parts
        return devices[-1]

    engine = GuardedEngine(cpu, start, patient=True, answer_s=5.0, pause_s=lambda _failures: 0.1)

    def score() -> bool:
        assert engine.score(PIXELS) == pytest.approx(expected, rel=1e-4)
        return engine.on_device

    try:
        assert score()
        os.kill(devices[0].pid, signal.SIGKILL)
        assert not score()
        assert engine.trouble is not None
        assert engine.trouble.startswith("its process ended")
        wait_until(score, within_s=START_S, what="back after a kill")
        engine._answer_s = 0.2
        os.kill(devices[1].pid, signal.SIGSTOP)
        assert not score()
        assert engine.trouble == "it has not answered for 0.2 s"
        engine._answer_s = 5.0
        wait_until(score, within_s=START_S, what="back after it hung")
        assert (engine.trouble, engine.losses) == (None, 2)
    finally:
        engine.close()
    assert all(end(device.pid) for device in devices)


def test_a_machine_without_a_gpu_is_told_apart_from_a_gpu_that_fails(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    device = DeviceProcess(bundle, "cuda")
    with pytest.raises(RefusedError, match="torch finds no CUDA GPU"):
        device.settle(START_S)
    device.kill()
    assert device.gone(10)


def test_it_ends_with_the_process_that_started_it() -> None:
    code = """
import os
from spillwatch.model import bundle
from spillwatch.model.device import DeviceProcess
device = DeviceProcess(bundle.load(bundle.default_path()), "cpu", most=64)
print(device.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    wait_until(lambda: end(int(done.stdout)), within_s=START_S, what="it ends too")


class Sick:
    """An engine whose device is lost in the second batch, as torch tells it."""

    facts: dict[str, object] = {"notes": []}  # noqa: RUF012

    runs = 0

    def run(self, _wells: int) -> None:
        self.runs += 1
        if self.runs > 1:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile with `TORCH_USE_CUDA_DSA`")


def test_what_the_device_says_of_its_end_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_worker, "_engine", lambda *_: Sick())
    order = Order(device="cpu", plain=False, architecture={}, most=64, channel=-1, memory=-1, weights=-1)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=device_worker.serve, args=(order, theirs, mmap.mmap(-1, 64), b""))
    thread.start()
    heard: list[Any] = [json.loads(ours.recv(1000))]
    for _ in range(2):
        ours.send(b"5")
        heard.append(json.loads(ours.recv(1000)))
    thread.join(5)
    assert heard == [
        {"ready": {"notes": []}},
        5,
        {"failed": "AcceleratorError: CUDA error: unspecified launch failure"},
    ]
    for end_ in (ours, theirs):
        with suppress(OSError):
            end_.close()
