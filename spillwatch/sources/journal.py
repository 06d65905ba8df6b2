"""Log lines for changes of state that may come thick and fast."""

from __future__ import annotations

from collections import deque
from typing import Any

import structlog

_LOG = structlog.get_logger()
_LINES = 6  # a camera that fails twice and comes back twice is told in full
_IN_S = 60.0


class Journal:
    """One line per change of a camera's state, at most six a minute.

    Of more, only the last is written, once its minute has passed, and how many were left out before it. Not locked:
    its owner sees to that.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._written_s: deque[float] = deque(maxlen=_LINES)
        self._waiting: tuple[str, str, dict[str, Any]] | None = None
        self._left_out = 0

    def tell(self, time_s: float, level: str, event: str, **keys: object) -> None:
        """A change of state; ``level`` is a method of the log."""
        self._left_out += self._waiting is not None
        self._waiting = (level, event, keys)
        self.catch_up(time_s)

    def catch_up(self, time_s: float) -> None:
        """Write what waits, if its time has come; call it now and then."""
        full = len(self._written_s) == _LINES and time_s - self._written_s[0] < _IN_S
        if self._waiting is None or full:
            return
        level, event, keys = self._waiting
        if self._left_out:
            keys["left_out"] = self._left_out
        getattr(_LOG, level)(event, camera=self._camera, **keys)
        self._written_s.append(time_s)
        self._waiting, self._left_out = None, 0
