"""Whether a camera can see at all, judged by what its pictures hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from spillwatch.records import Condition, Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """On and off levels of each condition, apart so that a picture near one does not flicker, and delays in seconds."""

    dark_on: float = 40.0  # a lit casting table has its plate at 100 and more; sensor black and its noise are at 16..30
    dark_off: float = 55.0
    saturated_on: float = 0.5  # share of clipped samples: half the picture says nothing
    saturated_off: float = 0.3
    # Median over the window of the share of samples that changed by more than one grey level. An encoder repaints a
    # frozen picture now and then, by up to one level mostly: 0.0002 at most. Live pictures have 0.003 and more at
    # 300 kbit/s, and 0.0008 where the encoder is starved (H.264, crf 38).
    frozen_on: float = 0.0004
    frozen_off: float = 0.001
    delay_s: float = 0.5
    frozen_window_s: float = 1.5


class Health:
    """Dark, saturated, frozen and shifted, each with hysteresis, and the worst of them alone: a dark picture hardly
    changes either, and has one name.

    A frame goes through ``see`` and, after alignment was tried on what is ``usable``, through ``judge``. A condition is
    named once it has lasted; until then nothing is scored either.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._seen: Condition | None = None
        self._wanted: Condition | None = None
        self._since_s = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._condition: Condition | None = None

    @property
    def usable(self) -> bool:
        """The picture last seen shows something."""
        return self._seen is None

    def see(self, time_s: float, sight: Sight) -> None:
        """Look at a picture as a whole."""
        limits = self._limits
        self._recent.append((time_s, sight.changed))
        while self._recent[0][0] < time_s - limits.frozen_window_s - 1e-6:
            self._recent.popleft()
        was_dark, was_saturated = (self._seen == c for c in (Condition.CAMERA_DARK, Condition.CAMERA_SATURATED))
        if sight.level < (limits.dark_off if was_dark else limits.dark_on):
            self._seen = Condition.CAMERA_DARK
        elif sight.clipped > (limits.saturated_off if was_saturated else limits.saturated_on):
            self._seen = Condition.CAMERA_SATURATED
        else:
            self._seen = Condition.CAMERA_FROZEN if self._is_frozen() else None

    def judge(self, time_s: float, *, aligned: bool) -> Condition | None:
        """The condition that blinds the camera now, or None."""
        wanted = self._seen if self._seen or aligned else Condition.CAMERA_SHIFTED
        if wanted != self._wanted:
            self._wanted, self._since_s = wanted, time_s
        # What is frozen has been so for a whole window already.
        lasted = wanted == Condition.CAMERA_FROZEN or time_s - self._since_s >= self._limits.delay_s
        if wanted is None or lasted:
            self._condition = wanted
        return self._condition

    def _is_frozen(self) -> bool:
        limits = self._limits
        spans = self._recent[-1][0] - self._recent[0][0] >= 0.75 * limits.frozen_window_s
        level = limits.frozen_off if self._seen == Condition.CAMERA_FROZEN else limits.frozen_on
        return spans and len(self._recent) >= 4 and median(changed for _, changed in self._recent) < level
