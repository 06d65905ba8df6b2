"""Whether a camera can see at all, judged by what its pictures hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from spillwatch.records import Condition


@dataclass(frozen=True, slots=True)
class Sight:
    """What one picture looks like as a whole, from a sparse sample of its luma (0..255).

    ``level`` is the 90th percentile: what the bright parts show. ``clipped`` is the share of samples at the top of the
    range; ``changed`` the share that differs from the picture before (1 for the first).
    """

    level: float
    clipped: float
    changed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """On and off levels of each condition, apart so that a picture near one does not flicker, and delays in seconds."""

    dark_on: float = 40.0  # a lit casting table has its plate at 100 and more; sensor black and its noise are at 16..30
    dark_off: float = 55.0
    saturated_on: float = 0.5  # share of clipped samples: half the picture says nothing
    saturated_off: float = 0.3
    frozen_on: float = 0.002  # sensor noise changes 1 % of the samples and more, even through H.264
    frozen_off: float = 0.01
    frozen_share: float = 0.8  # of the last second's pictures: an encoder repaints a frozen picture at its key frames
    delay_s: float = 0.5
    frozen_window_s: float = 1.0


class Health:
    """Dark, saturated and frozen, each with hysteresis, and the worst of them alone: a dark picture hardly changes
    either, and has one name.

    ``usable`` turns false with the first bad picture, which is not worth a score; ``condition`` names it once it has
    lasted.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._wanted: Condition | None = None
        self._since_s = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self.usable = True
        self.condition: Condition | None = None

    def step(self, time_s: float, sight: Sight) -> Condition | None:
        """The condition that blinds the camera now, or None."""
        self._remember(time_s, sight.changed)
        wanted = self._judge(sight)
        if wanted != self._wanted:
            self._wanted, self._since_s = wanted, time_s
        self.usable = wanted is None
        # What is frozen has been so for a whole window already.
        lasted = wanted == Condition.CAMERA_FROZEN or time_s - self._since_s >= self._limits.delay_s
        if wanted is None or wanted == self.condition or lasted:
            self.condition = wanted
        return self.condition

    def _judge(self, sight: Sight) -> Condition | None:
        limits = self._limits
        if sight.level < (limits.dark_off if self._wanted == Condition.CAMERA_DARK else limits.dark_on):
            return Condition.CAMERA_DARK
        on = limits.saturated_off if self._wanted == Condition.CAMERA_SATURATED else limits.saturated_on
        if sight.clipped > on:
            return Condition.CAMERA_SATURATED
        return Condition.CAMERA_FROZEN if self._is_frozen() else None

    def _remember(self, time_s: float, changed: float) -> None:
        self._recent.append((time_s, changed))
        while self._recent[0][0] < time_s - self._limits.frozen_window_s - 1e-6:
            self._recent.popleft()

    def _is_frozen(self) -> bool:
        limits = self._limits
        spans = self._recent[-1][0] - self._recent[0][0] >= 0.75 * limits.frozen_window_s
        level = limits.frozen_off if self._wanted == Condition.CAMERA_FROZEN else limits.frozen_on
        still = sum(changed < level for _, changed in self._recent)
        return spans and len(self._recent) >= 4 and still >= limits.frozen_share * len(self._recent)
