"""Scores from a device as long as it gives them, from the CPU the rest of the time, and back as soon as it can be."""

from __future__ import annotations

import math
import queue
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import structlog

from spillwatch import patience
from spillwatch.errors import ModelError
from spillwatch.model.device import DeviceError, DeviceProcess, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.model.bundle import Bundle
    from spillwatch.records import F32, U8

_LOG = structlog.get_logger()

ANSWER_S = 0.5
"""A batch takes milliseconds; who has not answered by then hangs. Cameras wait for it once, then the CPU scores."""
READY_S = 120.0
"""Loading torch, opening the device, capturing graphs; on a busy machine too."""
SETTLED_S = 60.0
"""Having served for so long, the next loss is a first one again."""
CHECK_EVERY_S, CHECK_WELLS = 60.0, 84
"""So often, and of the first batch, so many wells are scored by the CPU too: 1 or 2 ms a minute."""
AS_GOOD, NOTHING = 0.01, 1e-6
"""How far the two may be apart, as a share of the score; what is below NOTHING is black."""

# After the first loss 0.5 to 2 s, then up to 4, 8 ... 300 s, at random: many boxes may share a GPU or a power supply.
_PAUSE_S = partial(patience.pause_s, first_s=2.0, least_s=0.5, most_s=300.0)

_END_S = 1.0


class Cpu(Protocol):
    """What always works."""

    def score(self, pixels: U8) -> F32: ...
    def paint(self, pixels: U8) -> F32: ...


class Device(Protocol):
    """As ``DeviceProcess``, which see."""

    def settle(self, within_s: float) -> dict[str, Any]: ...
    def score(self, pixels: U8, within_s: float) -> F32: ...
    def kill(self) -> None: ...
    def gone(self, within_s: float) -> bool: ...


class GuardedEngine:
    """Never fails for want of a device: the batch in which it is lost is scored by the CPU at once.

    ``start`` starts a device, plain (True) or with all its arts. Nothing starts before the first batch. Then, and after
    a loss, one thread of ours waits until the device is ready and tries again as often as it takes; of its processes
    there is never more than one, even where one hangs and cannot be ended. Meanwhile the CPU scores. With ``patient``
    the first batch waits for the first attempt, and where there is no device, that is a ModelError. With ``optional``
    no device is no fault, and nothing is tried again.
    """

    def __init__(
        self,
        cpu: Cpu,
        start: Callable[[bool], Device],
        *,
        optional: bool = False,
        patient: bool = False,
        answer_s: float = ANSWER_S,
        check_every_s: float = CHECK_EVERY_S,
        pause_s: Callable[[int], float] = _PAUSE_S,
    ) -> None:
        self.trouble: str | None = None  # why the device is missed, for people
        self.losses = 0
        self._cpu = cpu
        self._start = start
        self._optional, self._patient = optional, patient
        self._answer_s, self._check_every_s = answer_s, check_every_s
        self._pause_s = pause_s
        self._device: Device | None = None
        self._served_s = self._checked_s = 0.0
        self._failures = 0
        self._plain = self._served = False
        self._starter: threading.Thread | None = None
        self._refused: str | None = None
        self._starting: Device | None = None
        self._ready: queue.SimpleQueue[Device] = queue.SimpleQueue()
        self._tried = threading.Event()
        self._closing = threading.Event()

    @property
    def on_device(self) -> bool:
        """Whether the last batch was scored there."""
        return self._device is not None

    def score(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) uint8 RGB → (wells,) float32 mean squared errors."""
        device = self._take_up()
        if device is None:
            return self._cpu.score(pixels)
        try:
            scores = device.score(pixels, self._answer_s)
            self._check(pixels, scores)
        except DeviceError as exc:
            self._lose(device, str(exc))
            return self._cpu.score(pixels)
        return scores

    def paint(self, pixels: U8) -> F32:
        """Pictures for people are few, and the CPU's."""
        return self._cpu.paint(pixels)

    def close(self) -> None:
        """Let the device go; the CPU still scores."""
        self._closing.set()
        for device in (self._device, self._starting):
            if device is not None:
                device.kill()
                device.gone(_END_S)
        self._device = None
        if self._starter is not None:
            self._starter.join(_END_S)

    def _take_up(self) -> Device | None:
        if self._starter is None:
            self._begin(None)
        if self._patient:
            self._tried.wait()
            if self._refused and not self._served:
                raise ModelError(f"device is 'cuda', but {self._refused}; set model.device to 'cpu' or 'auto'")
        with suppress(queue.Empty):
            self._device = self._ready.get_nowait()
            if self.trouble:
                _LOG.info("scoring.device_back")
            self._served, self.trouble = True, None
            self._served_s, self._checked_s = time.monotonic(), -math.inf
        return self._device

    def _check(self, pixels: U8, scores: F32) -> None:
        """A device that scores wrongly misses spills: better none."""
        if time.monotonic() - self._checked_s < self._check_every_s:
            return
        self._checked_s = time.monotonic()
        expected = self._cpu.score(pixels[:CHECK_WELLS])
        off = float((np.abs(scores[:CHECK_WELLS] - expected) / np.maximum(expected, NOTHING)).max())
        if off > AS_GOOD:
            self._plain = True
            raise DeviceError(f"its scores are {100 * off:.2g} % off the CPU's")

    def _lose(self, device: Device, reason: str) -> None:
        _LOG.error("scoring.device_lost", reason=reason, now="cpu")
        self._device, self.trouble = None, reason
        self.losses += 1
        self._failures = 1 if time.monotonic() - self._served_s >= SETTLED_S else self._failures + 1
        self._begin(device)

    def _begin(self, lost: Device | None) -> None:
        self._starter = threading.Thread(target=self._run, args=(lost,), name="device-starter", daemon=True)
        self._starter.start()

    # What follows runs in the starter's thread.

    def _run(self, lost: Device | None) -> None:
        if lost is not None:
            self._bury(lost)
        while not self._closing.wait(self._pause_s(self._failures) if self._failures else 0):
            done = self._try()
            self._tried.set()
            if done:
                return
            self._failures += 1
        self._tried.set()

    def _try(self) -> bool:
        """Start a device; whether there is no more to be done."""
        device = None
        try:
            device = self._starting = self._start(self._plain)
            facts = device.settle(READY_S)
        except Exception as exc:  # noqa: BLE001 - whatever it is, wells are scored, and it is told
            if isinstance(exc, RefusedError) and self._optional and not self._served:
                _LOG.info("scoring.no_device", reason=str(exc))
                self._bury(device)
                return True
            self._refused = str(exc) if isinstance(exc, RefusedError) else None
            self._miss(str(exc) if isinstance(exc, DeviceError) else repr(exc))
            self._bury(device)
            return False
        log = _LOG.warning if facts.get("notes") else _LOG.info
        log("scoring.device_ready", plain=self._plain, **facts)
        self._starting = None
        self._ready.put(device)
        return True

    def _miss(self, reason: str) -> None:
        if reason != self.trouble and not self._closing.is_set():
            _LOG.error("scoring.device_missed", reason=reason, now="cpu")
            self.trouble = reason

    def _bury(self, device: Device | None) -> None:
        """End a process, and wait for that: a driver that hangs may keep it, and a second one would hang as well."""
        if device is None:
            return
        device.kill()
        while not device.gone(_END_S) and not self._closing.is_set():
            self._miss("its process hangs in the driver and cannot be ended; restart the machine if it stays so")


def on_cuda(bundle: Bundle, cpu: Cpu, *, optional: bool, patient: bool) -> GuardedEngine:
    """A bundle's network on the GPU, in a process of its own."""

    def start(plain: bool) -> DeviceProcess:
        return DeviceProcess(bundle, "cuda", plain=plain)

    return GuardedEngine(cpu, start, optional=optional, patient=patient)
