"""Whether a camera can see at all, judged by what its pictures hold."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

from spillwatch.records import Condition, Sight

FEWEST = 4
"""Pictures by which a frozen one is judged; where they come too seldom, the window is as long as these take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """On and off levels of each condition, apart so that a picture near one does not flicker, and delays in seconds.

    A condition is named after it has held for its ``delay``, in time to be published within 2 s, and ends when none
    has held for ``clear_s``. docs/reliability.md shows them as a table.
    """

    # Lit tables have 116 and more (clips, simulated lines), normal crops 110; sensor black and its noise 16..30. At 50,
    # a third of the light, the model sees a spill in one picture of seven; at 75, six tenths of it, in nine of ten.
    dark_on: float = 50.0
    dark_off: float = 65.0
    dim_on: float = 75.0
    dim_off: float = 85.0
    saturated_on: float = 0.5  # share of clipped samples: half the picture says nothing
    saturated_off: float = 0.3
    # Median over the window of the share of samples that changed by more than one grey level. An encoder repaints a
    # frozen picture now and then, by up to one level mostly: 0.0002 at most. Live pictures have 0.003 and more at
    # 300 kbit/s, and 0.0008 where the encoder is starved (H.264, crf 38).
    frozen_on: float = 0.0004
    frozen_off: float = 0.001
    frozen_window_s: float = 1.5
    # Share of the table that shows too little detail. On a real clip (tools/bench_veil.py): 0 as it is, in a third of
    # the light, in noise and at 300 kbit/s; 0.1 at crf 45; 0.5 under a blur that hides most spills, 1 under fog.
    blurred_on: float = 0.5
    blurred_off: float = 0.3
    hazy_on: float = 0.3
    hazy_off: float = 0.2
    late_on_s: float = 2.0  # sources/lag.py reopens a stream that stays so late for 3 s
    late_off_s: float = 1.0
    delay_s: float = 0.5
    blurred_delay_s: float = 1.0  # a puff of steam
    late_delay_s: float = 1.0  # what a break of the network held up comes at once
    weak_delay_s: float = 1.0
    clear_s: float = 0.5
    weak_clear_s: float = 2.0
    late_clear_s: float = 5.0  # a stream opened anew begins without a lag, and shows in seconds whether it stays so


class Health:
    """Dark, saturated, frozen, blurred and shifted, each with hysteresis, and the first of them alone: a dark picture
    hardly changes either, nor shows it detail, nor can it be aligned, and has one name. ``late``, ``dim`` and ``hazy``
    stand beside them: wells are watched, but late, or not as well as they should be.

    A frame goes through ``see`` and, after alignment was tried on what is ``usable``, through ``judge``. A condition is
    named once it has lasted; until then nothing is scored either. Moments in which the picture is good, and turns from
    one condition to another, do not put that off for ever: bad time counts up, good time down.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._late = _Lasting(limits.late_delay_s, limits.late_clear_s)
        self._dim = _Lasting(limits.weak_delay_s, limits.weak_clear_s)
        self._hazy = _Lasting(limits.weak_delay_s, limits.weak_clear_s)
        self._seen: Condition | None = None
        self._veiled = 0.0
        self._wanted: Condition | None = None
        self._since_s = -math.inf
        self._judged_s = -math.inf
        self._bad_for_s = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._condition: Condition | None = None

    @property
    def late(self) -> bool:
        """Pictures come late."""
        return self._late.holds

    @property
    def dim(self) -> bool:
        """So little light that some spills are missed."""
        return self._dim.holds

    @property
    def hazy(self) -> bool:
        """A part of the table shows so little detail that spills there may be missed."""
        return self._hazy.holds

    @property
    def usable(self) -> bool:
        """The picture last seen shows something."""
        return self._seen is None

    def forget(self) -> None:
        """Pictures broke off: what the last of them showed no longer holds."""
        self._seen = self._wanted = self._condition = None
        self._bad_for_s = 0.0
        self._recent.clear()

    def see(self, time_s: float, sight: Sight, *, lag_s: float = 0.0) -> None:
        """Look at a picture as a whole, which came so late."""
        limits = self._limits
        self._recent.append((time_s, sight.changed))
        while len(self._recent) > FEWEST and self._recent[0][0] < time_s - limits.frozen_window_s - 1e-6:
            self._recent.popleft()
        self._veiled = sight.veiled
        self._seen = self._first_seen(sight)
        self._late.step(time_s, lag_s > (limits.late_off_s if self.late else limits.late_on_s))
        self._dim.step(time_s, sight.level < (limits.dim_off if self.dim else limits.dim_on))
        self._hazy.step(time_s, sight.veiled > (limits.hazy_off if self.hazy else limits.hazy_on))

    def _first_seen(self, sight: Sight) -> Condition | None:
        limits, before = self._limits, self._seen
        if sight.level < (limits.dark_off if before == Condition.CAMERA_DARK else limits.dark_on):
            return Condition.CAMERA_DARK
        clipped_at = limits.saturated_off if before == Condition.CAMERA_SATURATED else limits.saturated_on
        if sight.clipped > clipped_at:
            return Condition.CAMERA_SATURATED
        if self._is_frozen():
            return Condition.CAMERA_FROZEN
        if sight.veiled > (limits.blurred_off if before == Condition.CAMERA_BLURRED else limits.blurred_on):
            return Condition.CAMERA_BLURRED
        return None

    def judge(self, time_s: float, *, aligned: bool) -> Condition | None:
        """The condition that blinds the camera now, or None."""
        limits = self._limits
        wanted = self._seen
        if wanted is None and not aligned:  # what cannot be aligned under half a veil is veiled, not shifted
            veiled = self._veiled > limits.blurred_off
            wanted = Condition.CAMERA_BLURRED if veiled else Condition.CAMERA_SHIFTED
        self._count_bad(time_s, wanted)
        if wanted != self._wanted:
            self._wanted, self._since_s = wanted, time_s
        unnamed = self._condition is None and wanted is not None
        lasted_s = max(time_s - self._since_s, self._bad_for_s if unnamed else 0.0)
        if lasted_s >= self._delay_s(wanted):
            self._condition = wanted
        return self._condition

    def _count_bad(self, time_s: float, wanted: Condition | None) -> None:
        """Time between two bad pictures counts up, before a good one down."""
        elapsed_s = time_s - self._judged_s
        self._judged_s = time_s
        if wanted is None:
            self._bad_for_s = max(0.0, self._bad_for_s - elapsed_s)
        elif self._wanted is not None:
            self._bad_for_s = min(self._bad_for_s + elapsed_s, self._limits.blurred_delay_s)

    def _delay_s(self, wanted: Condition | None) -> float:
        limits = self._limits
        if wanted is None:
            return limits.clear_s
        if wanted == Condition.CAMERA_FROZEN:  # it has been so for a whole window already
            return 0.0
        return limits.blurred_delay_s if wanted == Condition.CAMERA_BLURRED else limits.delay_s

    def _is_frozen(self) -> bool:
        limits = self._limits
        spans = self._recent[-1][0] - self._recent[0][0] >= 0.75 * limits.frozen_window_s
        level = limits.frozen_off if self._seen == Condition.CAMERA_FROZEN else limits.frozen_on
        return spans and len(self._recent) >= FEWEST and median(changed for _, changed in self._recent) < level


class _Lasting:
    """Holds what has lasted for ``on_s``, until it has been otherwise for ``off_s``."""

    def __init__(self, on_s: float, off_s: float) -> None:
        self.holds = False
        self._delay_s = (off_s, on_s)
        self._since_s = -math.inf  # when it last was as ``holds`` says

    def step(self, time_s: float, now: bool) -> None:
        if now == self.holds:
            self._since_s = time_s
        elif time_s - self._since_s >= self._delay_s[now]:
            self.holds = now
