"""A device that is lost, hangs, lies or is not there at all. No GPU was at hand where these were written: devices are
small stand-ins here, and in test_device.py a real process that scores with torch's CPU device."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from spillwatch.errors import ModelError
from spillwatch.model.device import DeviceError, RefusedError
from spillwatch.model.guard import GuardedEngine
from tools.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.records import F32, U8

PIXELS = np.random.default_rng(1).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
NO_GPU = "torch finds no CUDA GPU"
SICK = "AcceleratorError: CUDA error: an illegal memory access was encountered"


class Cpu:
    """Scores are mean brightnesses; it counts wells."""

    wells = 0

    def score(self, pixels: U8) -> F32:
        self.wells += len(pixels)
        return np.asarray(pixels.mean((1, 2, 3)), np.float32)

    def paint(self, pixels: U8) -> F32:
        return np.zeros(pixels.shape, np.float32)


class Device:
    """Scores like the CPU, until it is told otherwise."""

    def __init__(self, *, start: Exception | None = None, off: float = 0.0, clings_s: float = 0.0) -> None:
        self.start, self.off, self.clings_s = start, off, clings_s
        self.fault: DeviceError | None = None
        self.batches = 0
        self.killed_s: float | None = None

    def settle(self, within_s: float) -> dict[str, Any]:  # noqa: ARG002
        if self.start:
            raise self.start
        return {"precision": "float32", "notes": []}

    def score(self, pixels: U8, within_s: float) -> F32:  # noqa: ARG002
        assert self.killed_s is None
        self.batches += 1
        if self.fault:
            raise self.fault
        return Cpu().score(pixels) * np.float32(1 + self.off)

    def kill(self) -> None:
        self.killed_s = self.killed_s or time.monotonic()

    def gone(self, within_s: float) -> bool:
        assert self.killed_s is not None
        time.sleep(min(within_s, 0.01))
        return time.monotonic() - self.killed_s >= self.clings_s


class Bench:
    """An engine whose devices are given in advance, and what became of them."""

    def __init__(self, *devices: Device, **more: Any) -> None:
        self.devices = list(devices)
        self.started: list[tuple[float, bool]] = []
        self.cpu = Cpu()
        self.engine = GuardedEngine(self.cpu, self._start, pause_s=lambda failures: 0.02 * failures, **more)

    def _start(self, plain: bool) -> Device:
        others = self.devices[: len(self.started)]
        assert all(other.killed_s is not None and other.gone(0) for other in others), "two at once"
        self.started.append((time.monotonic(), plain))
        return self.devices[len(self.started) - 1]

    def score(self) -> None:
        """However it comes about, every batch gets its scores."""
        assert self.engine.score(PIXELS) == pytest.approx(Cpu().score(PIXELS), rel=1e-6)

    def wait_for_device(self) -> None:
        def served() -> bool:
            self.score()
            return self.engine.on_device

        wait_until(served, within_s=30, what="the device is back")


@pytest.fixture
def bench() -> Iterator[list[Bench]]:
    """Those put in are closed, and no thread is left."""
    benches: list[Bench] = []
    yield benches
    for one in benches:
        one.engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "device-starter"]


def test_a_batch_goes_to_the_device_once_it_is_ready_and_to_the_cpu_until_then(bench: list[Bench]) -> None:
    bench.append(one := Bench(Device()))
    assert not one.started, "constructing is not running"
    one.wait_for_device()
    before = one.cpu.wells
    one.score()
    assert one.cpu.wells == before
    assert one.engine.trouble is None


@pytest.mark.logs_error("scoring.device_lost")
def test_the_batch_in_which_the_device_is_lost_is_scored_all_the_same_and_it_comes_back(
    bench: list[Bench], log: list[Any]
) -> None:
    bench.append(one := Bench(sick := Device(), Device()))
    one.wait_for_device()
    sick.fault = DeviceError(SICK)
    one.score()
    assert (one.engine.on_device, one.engine.trouble, one.engine.losses) == (False, SICK, 1)
    one.wait_for_device()
    assert (one.engine.trouble, one.engine.losses) == (None, 1)
    names = [entry["event"] for entry in log]
    expected = ["scoring.device_ready", "scoring.device_lost", "scoring.device_ready", "scoring.device_back"]
    assert names == expected
    assert log[1]["reason"] == SICK


@pytest.mark.logs_error("scoring.device_lost", "scoring.device_missed")
def test_a_device_that_stays_away_is_asked_ever_more_rarely_and_told_once(bench: list[Bench], log: list[Any]) -> None:
    gone = [Device(start=RefusedError(NO_GPU)) for _ in range(5)]
    bench.append(one := Bench(sick := Device(), *gone, Device(), optional=True))
    one.wait_for_device()
    sick.fault = DeviceError(SICK)
    one.wait_for_device()
    starts = [at for at, _ in one.started[1:]]
    pauses = np.diff(starts)
    assert len(one.started) == 7
    assert (pauses >= [0.04, 0.06, 0.08, 0.10, 0.12]).all()
    assert [entry["event"] for entry in log].count("scoring.device_missed") == 1


@pytest.mark.logs_error("scoring.device_lost")
def test_wrong_scores_are_no_scores(bench: list[Bench]) -> None:
    """More than 1 % off: the CPU's are taken, and the next device does without its arts."""
    bench.append(one := Bench(Device(off=0.02), Device(off=0.005)))
    wait_until(lambda: one.score() is None and one.engine.losses == 1, within_s=30, what="it is found out")
    assert one.engine.trouble == "its scores are 2 % off the CPU's"
    one_in_a_hundred = pytest.approx(Cpu().score(PIXELS), rel=0.01)
    wait_until(lambda: one.engine.score(PIXELS) == one_in_a_hundred and one.engine.on_device, within_s=30, what="back")
    assert [plain for _, plain in one.started] == [False, True]


@pytest.mark.parametrize(("check_every_s", "compared"), [(0, 3 * 84), (3600, 0)])
def test_a_part_of_a_batch_is_compared_now_and_then(bench: list[Bench], check_every_s: float, compared: int) -> None:
    bench.append(one := Bench(Device(), check_every_s=check_every_s))
    one.wait_for_device()  # with the first batch compared
    before = one.cpu.wells
    for _ in range(3):
        one.score()
    assert one.cpu.wells == before + compared


@pytest.mark.logs_error("scoring.device_lost", "scoring.device_missed")
def test_a_process_that_cannot_be_ended_is_the_only_one(bench: list[Bench]) -> None:
    bench.append(one := Bench(stuck := Device(clings_s=0.5), Device()))
    one.wait_for_device()
    stuck.fault = DeviceError("it has not answered for 0.5 s")
    one.score()
    wait_until(lambda: "restart the machine" in (one.engine.trouble or ""), within_s=30, what="told")
    assert len(one.started) == 1
    one.wait_for_device()
    assert one.started[1][0] - (stuck.killed_s or 0) >= 0.5


def test_where_the_device_is_optional_its_absence_is_no_trouble(bench: list[Bench], log: list[Any]) -> None:
    bench.append(one := Bench(Device(start=RefusedError(NO_GPU)), optional=True, patient=True))
    one.score()
    one.score()
    assert (one.engine.on_device, one.engine.trouble, len(one.started)) == (False, None, 1)
    assert [entry["event"] for entry in log] == ["scoring.no_device"]


@pytest.mark.logs_error("scoring.device_missed")
def test_who_waits_for_a_device_that_must_be_there_is_refused(bench: list[Bench]) -> None:
    bench.append(one := Bench(*(Device(start=RefusedError(NO_GPU)) for _ in range(50)), patient=True))
    with pytest.raises(ModelError, match=r"torch finds no CUDA GPU; set model\.device to 'cpu' or 'auto'$"):
        one.engine.score(PIXELS)


@pytest.mark.logs_error("scoring.device_missed")
def test_who_waits_for_a_device_that_fails_goes_on_without(bench: list[Bench]) -> None:
    bench.append(
        one := Bench(Device(start=DeviceError("OutOfMemoryError: CUDA out of memory")), Device(), patient=True)
    )
    one.score()
    assert one.engine.trouble == "OutOfMemoryError: CUDA out of memory"
    one.wait_for_device()
    assert one.engine.trouble is None


@pytest.mark.logs_error("scoring.device_missed")
def test_whatever_goes_wrong_while_a_device_starts_is_told_and_tried_again(bench: list[Bench], log: list[Any]) -> None:
    bench.append(one := Bench(Device(start=KeyError("ready")), Device()))  # it says what nobody expects
    one.wait_for_device()
    assert [entry["reason"] for entry in log if entry["event"] == "scoring.device_missed"] == ["KeyError('ready')"]


def test_closed_it_scores_on_the_cpu(bench: list[Bench]) -> None:
    bench.append(one := Bench(device := Device(), patient=True))
    one.score()
    assert one.engine.on_device
    one.engine.close()
    assert device.killed_s is not None
    one.score()
    assert not one.engine.on_device
