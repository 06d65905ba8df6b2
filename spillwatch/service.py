"""What systemd is told (sd_notify, Type=notify), what it asks for by signals, and memory given back to the system."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cysystemd._daemon import sd_notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_M_ARENA_MAX = -8  # of malloc.h

STATUS_EVERY_S = 5.0
"""The status line is refreshed this often."""


class Service:
    """Says nothing where no systemd listens. ``ready`` tells whether it was told that we are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.ready = False
        self._clock = clock
        self._told_s = -STATUS_EVERY_S

    def tell_ready(self, status: str) -> None:
        """Started, or reloaded."""
        self.ready = True
        _notify("READY=1")
        self.tell_status(status)

    def tell_status(self, status: str) -> None:
        """At once; one line."""
        self._told_s = self._clock()
        _notify(f"STATUS={' '.join(status.split())}")

    @property
    def status_due(self) -> bool:
        """The status line is old."""
        return self._clock() - self._told_s >= STATUS_EVERY_S

    def feed_watchdog(self) -> None:
        """To be called for completed work alone: whoever does none is no service, and is started afresh."""
        _notify("WATCHDOG=1")

    def tell_reloading(self) -> None:
        """``tell_ready`` follows."""
        _notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def tell_stopping(self) -> None:
        _notify("STOPPING=1")


def _notify(state: str) -> None:
    if "NOTIFY_SOCKET" in os.environ:
        with suppress(RuntimeError, ValueError, OSError):  # nobody listens: no reason to stop watching
            sd_notify(state, False)


def keep_memory_together() -> None:
    """Before threads start: let all of them take memory from one place.

    glibc gives each thread a place of its own, and what a camera's decoder leaves in its thread's when a connection is
    lost is of no use to the others. One lock for all costs no CPU that shows. Other C libraries do as they do.
    """
    if change := getattr(ctypes.CDLL(None), "mallopt", None):
        change(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Let the system have the memory that is free, which glibc keeps where it lies below what is in use."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@contextmanager
def on_signals(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT end the loop instead of the process, SIGHUP reloads."""
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, lambda *_, do=handler: do()) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
