"""A process of its own that scores on a device; what passes between is numbers, JSON and shared memory."""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from spillwatch.model.architecture import SIDE

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle
    from spillwatch.records import F32, U8

MOST = 2048
"""Wells at once, 24 cameras of 84; more go in parts."""


class DeviceError(Exception):
    """The device, or the process that has it, does not do what it should; stays inside this room."""


class RefusedError(DeviceError):
    """There is no such device here: no use in trying again."""


def first_line(exc: BaseException) -> str:
    """What it says: CUDA's errors go on with advice to programmers."""
    return f"{type(exc).__name__}: {str(exc).partition(chr(10))[0]}"[:500]


@dataclass(frozen=True, slots=True)
class Layout:
    """Shared memory for so many wells: their pixels, then their scores."""

    most: int

    @property
    def bytes(self) -> int:
        return self.most * (SIDE * SIDE * 3 + 4)

    def views(self, memory: mmap.mmap) -> tuple[U8, F32]:
        """(most, 32, 32, 3) uint8 and (most,) float32."""
        shape = (self.most, SIDE, SIDE, 3)
        pixels = np.frombuffer(memory, np.uint8, math.prod(shape)).reshape(shape)
        return pixels, np.frombuffer(memory, np.float32, self.most, pixels.nbytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is started for; the last three are open files that it inherits."""

    device: str
    plain: bool
    architecture: dict[str, Any]
    most: int
    channel: int
    memory: int
    weights: int


class DeviceProcess:
    """Constructing starts the process, ``settle`` waits for it, ``score`` asks it; ``kill`` ends it in any case.

    Every fault is a DeviceError; after one the process must not be asked again.
    """

    def __init__(self, bundle: Bundle, device: str, *, plain: bool = False, most: int = MOST) -> None:
        layout = Layout(most)
        try:
            with ExitStack() as ours:
                self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.callback(theirs.close)
                memory, weights = (os.memfd_create(f"spillwatch-{name}") for name in ("wells", "model"))
                ours.callback(os.close, memory)
                ours.callback(os.close, weights)
                os.ftruncate(memory, layout.bytes)
                self._memory = mmap.mmap(memory, layout.bytes)
                os.pwrite(weights, save(bundle.state), 0)
                files = {"channel": theirs.fileno(), "memory": memory, "weights": weights}
                order = Order(device=device, plain=plain, architecture=asdict(bundle.architecture), most=most, **files)
                # -P: what lies in the folder where we were started is not taken for us.
                self._process = subprocess.Popen(  # noqa: S603 (ourselves)
                    [sys.executable, "-P", "-m", "spillwatch.model.device_worker", json.dumps(asdict(order))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
                    pass_fds=files.values(),
                )
        except (OSError, ValueError) as exc:
            raise DeviceError(f"its process cannot be started: {exc}") from exc
        self._pixels, self._scores = layout.views(self._memory)

    @property
    def pid(self) -> int:
        return self._process.pid

    def settle(self, within_s: float) -> dict[str, Any]:
        """Wait until it is ready; what it says of itself."""
        said = json.loads(self._hear(within_s))
        if "refused" in said:
            raise RefusedError(said["refused"])
        if "failed" in said:
            raise DeviceError(said["failed"])
        return dict(said["ready"])

    def score(self, pixels: U8, within_s: float) -> F32:
        """(wells, 32, 32, 3) uint8 RGB → (wells,) float32 mean squared errors."""
        scores = np.empty(len(pixels), np.float32)
        for low in range(0, len(pixels), len(self._pixels)):
            part = pixels[low : low + len(self._pixels)]
            self._pixels[: len(part)] = part
            self._say(str(len(part)).encode())
            answer = self._hear(within_s)
            if answer != str(len(part)).encode():
                raise DeviceError(json.loads(answer)["failed"])
            scores[low : low + len(part)] = self._scores[: len(part)]
        if not np.isfinite(scores).all():
            raise DeviceError("it gave scores that are no numbers")
        return scores

    def kill(self) -> None:
        """Does not wait: a process that hangs in a driver may be long in ending. For any thread."""
        self._process.kill()
        with suppress(OSError):  # it may be closed already
            self._channel.shutdown(socket.SHUT_RDWR)

    def gone(self, within_s: float) -> bool:
        """Whether it has ended, after ``kill``."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
            self._channel.close()
        return self._process.returncode is not None

    def _say(self, words: bytes) -> None:
        try:
            self._channel.send(words)
        except OSError as exc:
            raise DeviceError(self._end()) from exc

    def _hear(self, within_s: float) -> bytes:
        self._channel.settimeout(within_s)
        try:
            heard = self._channel.recv(65536)
        except TimeoutError as exc:
            raise DeviceError(f"it has not answered for {within_s:g} s") from exc
        except OSError as exc:
            raise DeviceError(self._end()) from exc
        if not heard:
            raise DeviceError(self._end())
        return heard

    def _end(self) -> str:
        code = self._process.poll()
        return "its process ended" + (f" with code {code}" if code is not None else "")
