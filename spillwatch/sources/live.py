"""A camera that is watched for good: the newest frame, or the fact that there is none."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import structlog

from spillwatch.errors import RefusedError, SourceError
from spillwatch.patience import pause_s
from spillwatch.records import CaptureCounters, Gap
from spillwatch.sources.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.records import Frame
    from spillwatch.sources.base import Source

_LOG = structlog.get_logger()

STUCK_AFTER_S = 20.0
"""A thread that has not come out of a library for this long is given up: longer than any time-out of a source, and
than its wait for a key frame."""
MAX_ABANDONED = 4
"""Threads of one camera that may hang at the same time, each with its decoder's memory and a connection."""

_JOIN_S = 1.0
_SETTLED_S = 5.0  # frames for this long, and the next failure is a first one again
# Uniform in 0.1..1 s, 0.1..2 s, ... An absent camera is back within 5 s of its return: 2.5 s of pause, then connecting
# and the first key frame. One that refuses its account is asked ever more rarely, since cameras lock accounts.
_ABSENT_S, _REFUSED_S = 2.5, 30.0


class LiveCamera:
    """Reads a source in a thread and reopens it for as long as it takes; ``take`` never waits.

    The thread keeps only the newest frame and calls ``wake`` for each, and for each failure. Blindness is judged by
    the clock in ``take``, so that a thread which hangs in a library is noticed like a camera which is off; the caller
    looks at least as often as it wants to know. A thread that hangs for ``stuck_after_s`` is abandoned: another opens
    the camera anew, and should the first ever come back, it closes its own source and ends. When ``MAX_ABANDONED``
    hang, no more are started until one of them ends.
    """

    def __init__(
        self,
        camera_id: str,
        make_source: Callable[[], Source],
        *,
        lost_after_s: float,
        wake: Callable[[], None],
        stuck_after_s: float = STUCK_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.camera_id = camera_id
        self._make_source = make_source
        self._lost_after_s = lost_after_s
        self._stuck_after_s = stuck_after_s
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()  # guards all that follows
        self._journal = Journal(camera_id)
        self._counters = CaptureCounters()
        self._reader: _Reader | None = None
        self._abandoned: list[_Reader] = []
        self._newest: Frame | None = None
        self._seen_s = 0.0
        self._blind = False
        self._gap_s = -math.inf
        self._reason: str | None = None  # why the source failed since the last frame
        self._told: str | None = None  # the reason in the last Gap

    @property
    def counters(self) -> CaptureCounters:
        """What has happened so far."""
        with self._lock:
            return self._counters

    def __enter__(self) -> Self:
        with self._lock:
            self._seen_s = self._clock()
            self._start_reader()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop.set()
            reader.thread.join(_JOIN_S)
            if reader.thread.is_alive():  # in a library call that no one can interrupt; it ends with the process
                _LOG.warning("source.stuck", camera=self.camera_id, waited_s=_JOIN_S)

    def take(self) -> Frame | Gap | None:
        """The newest frame if it is new; a Gap when none came for ``lost_after_s``, and when its reason changes; else
        None."""
        with self._lock:
            now_s = self._clock()
            self._supervise(now_s)
            self._journal.catch_up(now_s)
            frame, self._newest = self._newest, None
            if frame is not None and frame.time_s >= self._gap_s:  # one in flight when the Gap was given comes too late
                self._blind = False
                return frame
            silent_s = now_s - self._seen_s
            if silent_s < self._lost_after_s or (self._blind and self._told == self._reason):
                return None
            if not self._blind:
                self._count(stalls=1)
            self._blind, self._gap_s, self._told = True, now_s, self._reason
            reason = self._reason or f"no frame for {silent_s:.1f} s"
        return Gap(camera=self.camera_id, at=datetime.now(UTC), time_s=now_s, reason=reason)

    def _supervise(self, now_s: float) -> None:
        """Give up a thread that hangs, unless too many hang already."""
        for ended in [reader for reader in self._abandoned if not reader.thread.is_alive()]:
            self._abandoned.remove(ended)
            _LOG.info("source.thread_ended", camera=self.camera_id, thread=ended.thread.name)
        reader = self._reader
        if reader is None or now_s - reader.called_s < self._stuck_after_s:
            return
        hang_s = round(now_s - reader.called_s, 1)
        if len(self._abandoned) < MAX_ABANDONED:
            reader.stop.set()
            self._abandoned.append(reader)
            self._count(abandoned=1)
            self._reason = f"the library that reads it has not answered for {self._stuck_after_s:g} s; opened anew"
            _LOG.warning("source.thread_abandoned", camera=self.camera_id, thread=reader.thread.name, hang_s=hang_s)
            self._start_reader()
        elif not reader.told_stuck:
            reader.told_stuck = True
            self._reason = (
                f"{MAX_ABANDONED + 1} threads hang in the library that reads it; restart the service if it stays so"
            )
            _LOG.error("source.threads_exhausted", camera=self.camera_id, hanging=MAX_ABANDONED + 1)

    def _start_reader(self) -> None:
        number = self._counters.abandoned + 1
        name = f"camera-{self.camera_id}" + (f"-{number}" if number > 1 else "")
        self._reader = _Reader(self._run, name, self._clock())
        self._reader.thread.start()

    def _count(self, *, lag_s: float | None = None, **more: int) -> None:
        counted = {name: getattr(self._counters, name) + by for name, by in more.items()}
        lag_s = self._counters.lag_s if lag_s is None else lag_s
        self._counters = replace(self._counters, lag_s=lag_s, **counted)

    # What follows runs in the readers' threads.

    def _run(self, reader: _Reader) -> None:
        failures = 0
        while not reader.stop.is_set():
            opened_s = reader.called_s = self._clock()
            end = self._watch(reader)
            failures = 1 if reader.framed_s - opened_s >= _SETTLED_S else failures + 1
            if not self._lose(reader, end):
                return
            refused = isinstance(end, RefusedError)
            del end  # its traceback holds the decoder and its pictures
            reader.called_s = math.inf  # it waits, and hangs in nothing
            reader.stop.wait(_pause_s(failures, refused=refused))

    def _watch(self, reader: _Reader) -> Exception:
        """Take frames until the source fails or nobody wants them; why it ended."""
        try:
            with self._make_source() as source:
                reader.damaged = 0
                try:
                    for frame in source:
                        if not self._put(reader, frame, source.damaged):
                            break
                finally:
                    self._count_damaged(reader, source.damaged)
        except Exception as exc:  # noqa: BLE001 - whatever a library throws, the other cameras go on, and this one too
            return exc
        return SourceError("the source ended")

    def _put(self, reader: _Reader, frame: Frame, damaged: int) -> bool:
        """A new frame; False when nobody wants this reader's frames any more."""
        self._count_damaged(reader, damaged)
        with self._lock:
            if reader is not self._reader:
                return False
            now_s = reader.called_s = reader.framed_s = self._clock()
            if self._reason is not None:
                self._journal.tell(now_s, "info", "source.found")
                self._count(reconnects=int(self._counters.frames > 0))
            self._count(frames=1, dropped=int(self._newest is not None), lag_s=frame.lag_s)
            self._newest, self._seen_s, self._reason = frame, now_s, None
        self._wake()
        return True

    def _count_damaged(self, reader: _Reader, damaged: int) -> None:
        if damaged > reader.damaged:
            with self._lock:
                self._count(damaged=damaged - reader.damaged)
            reader.damaged = damaged

    def _lose(self, reader: _Reader, end: Exception) -> bool:
        """The source failed; False when that is of no interest any more."""
        foreign = not isinstance(end, SourceError)
        reason = f"reading failed with {type(end).__name__}; the log has its traceback" if foreign else str(end)
        with self._lock:
            if reader is not self._reader:
                return False
            if reason != self._reason and foreign:
                self._journal.tell(self._clock(), "error", "source.crashed", exc_info=end)
            elif reason != self._reason:
                self._journal.tell(self._clock(), "warning", "source.lost", reason=reason)
            self._reason = reason
        self._wake()
        return True


class _Reader:
    """One thread of a camera. ``called_s`` is when it last went into a library, inf while it is in none."""

    def __init__(self, run: Callable[[_Reader], None], name: str, now_s: float) -> None:
        self.stop = threading.Event()
        self.called_s = now_s
        self.framed_s = -math.inf
        self.damaged = 0
        self.told_stuck = False
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)


def _pause_s(failures: int, *, refused: bool) -> float:
    """How long to wait after the n-th failure in a row."""
    return pause_s(failures, first_s=1.0, least_s=0.1, most_s=_REFUSED_S if refused else _ABSENT_S)
