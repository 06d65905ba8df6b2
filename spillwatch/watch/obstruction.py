"""What covers a well covers the plate around it too: a ring of samples around each well tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F32, Bools

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


class ObstructionDetector:
    """Arrays over wells; a common change of light is divided out, for it is nobody's obstruction."""

    def __init__(self, apart: Bools) -> None:
        """``apart`` (wells, samples) marks the samples that are plate; the others never count."""
        self._apart = apart
        self._count = np.maximum(apart.sum(axis=1), 1)
        self._usual: F32 | None = None
        self._first: list[F32] = []
        self._began_s: float | None = None
        self._last_s = 0.0
        self.covered: Bools = np.zeros(len(apart), np.bool_)

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
        plate = float(np.median(self._usual[0]))
        gain = float(np.median(rings[0])) / max(plate, 1.0)  # the light on the plate as a whole
        now = rings.copy()
        now[0] /= max(gain, 0.1)
        away = np.abs(now - self._usual)
        different = (away[0] > DIFFERENT * plate) | (np.maximum(away[1], away[2]) > DIFFERENT_COLOUR)
        share = (different & self._apart).sum(axis=1) / self._count
        self.covered = share > np.where(self.covered, OFF_SHARE, ON_SHARE)
        memory_s = np.where(self.covered, COVERED_MEMORY_S, MEMORY_S)
        self._usual += (now - self._usual) * (-np.expm1(-elapsed_s / memory_s)).astype(np.float32)[:, None]
        return self.covered
