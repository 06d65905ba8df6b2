"""Commands on their way in: few enough that nobody can drown the pipeline in them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.publish.base import Request

PER_SECOND = 20.0
"""Commands that are taken, on average and at once."""

MAX_WAITING = 100


class Inbox:
    """``put`` is for the network's thread, ``take`` for the pipeline's, which ``wake`` wakes."""

    def __init__(self, wake: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self._allowed = PER_SECOND
        self._counted_s = clock()

    def put(self, request: Request) -> str | None:
        """Why it is refused, or None."""
        with self._lock:
            now_s = self._clock()
            self._allowed = min(PER_SECOND, self._allowed + (now_s - self._counted_s) * PER_SECOND)
            self._counted_s = now_s
            if self._allowed < 1 or len(self._waiting) >= MAX_WAITING:
                return f"too many commands; {PER_SECOND:g} a second are the most"
            self._allowed -= 1
            self._waiting.append(request)
        self._wake()
        return None

    def take(self) -> list[Request]:
        """All that wait, in the order in which they came."""
        with self._lock:
            requests = list(self._waiting)
            self._waiting.clear()
        return requests
