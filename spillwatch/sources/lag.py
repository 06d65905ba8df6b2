"""Whether a stream falls behind the world: its own time-stamps against the clock of arrival."""

from __future__ import annotations

import math

LATE_S = 2.0
"""A stream that falls this far behind its best is late."""
PATIENCE_S = 3.0
"""One that stays late for so long is opened anew, which drops what is queued up before it. What a break of the network
has held up comes at once, and needs no help to catch up."""

_DRIFT = 0.001  # a camera's clock runs up to this much faster or slower, ten times a poor quartz: that is no lag


class Lag:
    """How late each picture of a stream is, in seconds against the promptest; the delay of that one is unknown.

    The promptest is forgotten at the rate of ``_DRIFT``, so that clocks may differ in rate. ``lasts`` tells that the
    stream has been late for too long.
    """

    def __init__(self) -> None:
        self.lasts = False
        self._best_s = math.inf
        self._last_s = math.inf
        self._late_since_s = math.inf

    def measure(self, stamp_s: float | None, now_s: float) -> float:
        """A picture with this time-stamp (None: unknown) arrives now."""
        if stamp_s is None:
            return 0.0
        offset_s = now_s - stamp_s
        self._best_s = min(offset_s, self._best_s + _DRIFT * max(now_s - self._last_s, 0.0))
        self._last_s = now_s
        lag_s = offset_s - self._best_s
        self._late_since_s = min(self._late_since_s, now_s) if lag_s >= LATE_S else math.inf
        self.lasts = now_s - self._late_since_s >= PATIENCE_S
        return lag_s
