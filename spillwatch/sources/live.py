"""A camera that is watched for good: the newest frame, or the fact that there is none."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import structlog
import tenacity

from spillwatch.errors import SourceError
from spillwatch.records import Gap

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.records import Frame
    from spillwatch.sources.base import Source

_LOG = structlog.get_logger()
_JOIN_S = 1.0
_BACKOFF = tenacity.wait_random_exponential(multiplier=1, min=0.1, max=30)  # 0.1..1 s, 0.1..2 s, ... 0.1..30 s


class LiveCamera:
    """Reads a source in one thread and reopens it for as long as it takes; ``take`` never waits.

    The thread keeps only the newest frame and calls ``wake`` for each, and for each failure. Blindness is judged by
    the clock in ``take``, so that a thread which hangs in a library is noticed like a camera which is off; the caller
    looks at least as often as it wants to know. ``frames`` counts what came, ``dropped`` what nobody took before the
    next one came, ``reconnects`` how often pictures came back.
    """

    def __init__(
        self,
        camera_id: str,
        make_source: Callable[[], Source],
        *,
        lost_after_s: float,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.camera_id = camera_id
        self.frames = 0
        self.dropped = 0
        self.reconnects = 0
        self._make_source = make_source
        self._lost_after_s = lost_after_s
        self._wake = wake
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera_id}", daemon=True)
        self._lock = threading.Lock()  # guards all that follows
        self._newest: Frame | None = None
        self._seen_s = 0.0
        self._blind = False
        self._gap_s = -math.inf
        self._reason: str | None = None  # why the source failed since the last frame
        self._fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._seen_s = self._clock()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():  # in a library call that no one can interrupt; it ends with the process
            _LOG.warning("source.stuck", camera=self.camera_id, waited_s=_JOIN_S)

    def take(self) -> Frame | Gap | None:
        """The newest frame if it is new; one Gap when none came for ``lost_after_s``; else None.

        What the thread died of, if it was no SourceError, is raised here.
        """
        with self._lock:
            if self._fault is not None:
                raise self._fault
            frame, self._newest = self._newest, None
            if frame is not None and frame.time_s >= self._gap_s:  # one in flight when the Gap was given comes too late
                self._blind = False
                return frame
            now_s = self._clock()
            silent_s = now_s - self._seen_s
            if self._blind or silent_s < self._lost_after_s:
                return None
            self._blind, self._gap_s = True, now_s
            reason = self._reason or f"no frame for {silent_s:.1f} s"
        return Gap(camera=self.camera_id, at=datetime.now(UTC), time_s=now_s, reason=reason)

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stop.is_set():
                before = self.frames
                reason = self._watch()
                if self._stop.is_set():
                    return
                failures = 1 if self.frames > before else failures + 1
                self._lose(reason)
                self._stop.wait(_pause_s(failures))
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it belongs to the owner
            with self._lock:
                self._fault = exc
            self._wake()

    def _watch(self) -> str:
        """Take frames until the source fails or the owner leaves; why it ended."""
        try:
            with self._make_source() as source:
                for frame in source:
                    self._put(frame)
                    if self._stop.is_set():
                        break
        except SourceError as exc:
            return str(exc)
        return "the source ended"

    def _put(self, frame: Frame) -> None:
        with self._lock:
            again = self._reason is not None
            self.dropped += self._newest is not None
            self.frames += 1
            self._newest, self._seen_s, self._reason = frame, self._clock(), None
            self.reconnects += again and self.frames > 1
        if again:
            _LOG.info("source.found", camera=self.camera_id)
        self._wake()

    def _lose(self, reason: str) -> None:
        with self._lock:
            news = reason != self._reason
            self._reason = reason
        if news:
            _LOG.warning("source.lost", camera=self.camera_id, reason=reason)
        self._wake()


def _pause_s(failures: int) -> float:
    """How long to wait after the n-th failure in a row."""
    state = tenacity.RetryCallState(tenacity.Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = failures
    return _BACKOFF(state)
