"""What covers a well covers the plate around it too: a ring of samples around each well tells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F32, F64, U8, Bools

ON_SHARE = 0.4
"""A well is covered when this share of its ring looks unlike itself: a splash of its own metal reaches less far."""
OFF_SHARE = 0.25
DIFFERENT = 0.22
"""A sample differs when its brightness is this far from what it was, as a share of the plate's; noise, flicker and a
shadow stay below."""
DIFFERENT_COLOUR = 12.0
"""... or its colour (Cb, Cr) by this many levels: clothes and helmets may be as bright as the plate."""
FIRST_LOOK_S = 1.0
"""At the start the rings are learnt for so long, by their median, before anything is judged."""
MEMORY_S = 30.0
"""Time constant with which a clear ring is followed: dross and light change in minutes, people in seconds."""
COVERED_MEMORY_S = 600.0
"""A ring that stays covered becomes its new look, else a tool that stood there at the start would, once taken away,
be missed for ever."""


STATE_AFTER_S = 1.0
"""Who merely passes changes no well's state; a well is clear again once its ring was clear for as long."""


class ObstructionDetector:
    """Arrays over wells; a common change of light is divided out, for it is nobody's obstruction.

    ``covered`` is what the last picture showed, ``obstructed`` the wells that have been covered for a while, and
    ``alarming`` those that have been so for ``alarm_after_s``, of the wells ``in_service``.
    """

    def __init__(self, apart: Bools, in_service: Bools, *, alarm_after_s: float) -> None:
        """``apart`` (wells, samples) marks the samples that are plate; the others never count."""
        self._in_service = in_service
        self._alarm_after_s = alarm_after_s
        self._covered_for_s: F64 = np.zeros(len(apart))
        self._clear_for_s: F64 = np.zeros(len(apart))
        self.obstructed: Bools = np.zeros(len(apart), np.bool_)
        self.alarming: Bools = np.zeros(len(apart), np.bool_)
        self._apart = apart
        self._count = np.maximum(apart.sum(axis=1), 1)
        self._usual: F32 | None = None
        self._first: list[F32] = []
        self._began_s: float | None = None
        self._last_s = math.inf  # of the picture before
        self.covered: Bools = np.zeros(len(apart), np.bool_)

    def resume(self, alarming: Bools) -> None:
        """(wells,) that were alarming before a restart: they stay so, unless their rings are clear for a moment."""
        self._covered_for_s = np.where(alarming, self._alarm_after_s, 0.0)
        self.obstructed, self.alarming = alarming.copy(), alarming.copy()

    @property
    def plates(self) -> U8 | None:
        """(3, wells, samples): the rings with nothing before them; None while they are being learnt."""
        return None if self._usual is None else np.clip(np.rint(self._usual), 0, 255).astype(np.uint8)

    def recall(self, plates: U8) -> None:
        """What ``plates`` gave before a restart: who stands there since is known at once."""
        if plates.shape[1:] == self._apart.shape:
            self._usual = plates.astype(np.float32)

    def step(self, time_s: float, rings: F32) -> Bools:
        """(3, wells, samples) float32 luma, Cb and Cr (0..255) to (wells,) covered."""
        if self._began_s is None:
            self._began_s = time_s
        elapsed_s = min(max(time_s - self._last_s, 0.0), 1.0)
        self._last_s = time_s
        if self._usual is None:
            self._first.append(rings)
            if time_s - self._began_s >= FIRST_LOOK_S:
                self._usual = np.median(np.stack(self._first), axis=0)
                self._first = []
            return self.covered
        plate, seen = _middle(self._usual), _middle(rings)
        gain = float(seen[0, 0, 0] / max(plate[0, 0, 0], 1.0))  # the light on the plate as a whole
        now = rings - seen
        now /= max(gain, 0.1)
        now += plate
        limit = np.where(self.covered, OFF_SHARE, ON_SHARE)
        unlike = self._share_away(now, self._usual, plate) > limit
        # Whoever stood there when the ring was learnt has left when it looks like the plate of the other wells.
        bare = unlike & (self._share_away(now, plate, plate) <= limit) if unlike.any() else unlike
        self.covered = self._in_service & unlike & ~bare
        self._count_time(elapsed_s)
        memory_s = np.where(self.covered, COVERED_MEMORY_S, np.where(bare, FIRST_LOOK_S, MEMORY_S))
        self._usual += (now - self._usual) * (-np.expm1(-elapsed_s / memory_s)).astype(np.float32)[:, None]
        return self.covered

    def _share_away(self, now: F32, look: F32, plate: F32) -> F64:
        """(wells,) share of the samples of each ring that differ from a look."""
        away = np.abs(now - look)
        different = (away[0] > DIFFERENT * plate[0]) | (np.maximum(away[1], away[2]) > DIFFERENT_COLOUR)
        return np.asarray((different & self._apart).sum(axis=1) / self._count, np.float64)

    def _count_time(self, elapsed_s: float) -> None:
        """A gap in the cover that is shorter than ``STATE_AFTER_S`` does not end it: arms let light through."""
        self._clear_for_s = np.where(self.covered, 0.0, self._clear_for_s + elapsed_s)
        lasting = (self._covered_for_s > 0) & (self._clear_for_s < STATE_AFTER_S)
        self._covered_for_s = np.where(self.covered | lasting, self._covered_for_s + elapsed_s, 0.0)
        self.obstructed = self._covered_for_s >= STATE_AFTER_S
        self.alarming = self._covered_for_s >= self._alarm_after_s


def _middle(look: F32) -> F32:
    """(3, 1, 1) median of rings; numpy's own costs twice as much."""
    every = look.reshape(3, -1)
    middle = every.shape[1] // 2
    return np.asarray(np.partition(every, middle, axis=1)[:, middle, None, None], np.float32)
