"""Frames that come faster than they can be looked at."""

from __future__ import annotations

EVERY_S = 1.0
"""Frames are counted in pieces of at least this long: at 5 frames per second one dropped frame is a fifth of them."""
ON_SHARE, OFF_SHARE = 0.1, 0.02
"""Shares of dropped frames at which an overload begins and ends. A busy second or a burst of the network drops a frame
or two of 25; a tenth dropped for good means that cameras, frame rates and processor do not fit."""
ON_DELAY_S, OFF_DELAY_S = 5.0, 10.0
"""... once the share has stayed there for so long."""


class Overload:
    """Whether a camera's frames are dropped persistently, judged by its running counts."""

    def __init__(self) -> None:
        self.active = False
        self._counts: tuple[int, int] | None = None
        self._counted_s = 0.0
        self._against_s = 0.0  # how long the share has spoken against the present state

    def resume(self) -> None:
        """It was active before a restart, and is until the counts say otherwise for long enough."""
        self.active = True

    def step(self, time_s: float, *, frames: int, dropped: int) -> bool:
        """Frames that came and those of them that were dropped, since the start, to whether it is an overload."""
        if self._counts is None:
            self._counts, self._counted_s = (frames, dropped), time_s
        elapsed_s = time_s - self._counted_s
        if elapsed_s < EVERY_S:
            return self.active
        came, lost = frames - self._counts[0], dropped - self._counts[1]
        self._counts, self._counted_s = (frames, dropped), time_s
        share = lost / came if came else 0.0
        against = share <= OFF_SHARE if self.active else share >= ON_SHARE
        self._against_s = self._against_s + elapsed_s if against else 0.0
        if self._against_s >= (OFF_DELAY_S if self.active else ON_DELAY_S):
            self.active, self._against_s = not self.active, 0.0
        return self.active
