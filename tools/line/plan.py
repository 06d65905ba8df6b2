"""What happens when: spills, a passer-by and camera faults, and the truth file that tells of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from line.layout import Layout
    from line.moving import Person

SPILL_S = (5.0, 8.0)
RAMP_S = 0.2
BLIND_S = 3.0  # how long what blinds the camera lasts at most; the lighting step and the knock stay
KINDS = ("pour", "drained", "pour")
NEVER = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for; ``size`` is width and height in pixels."""

    seed: int = 0
    seconds: float = 40.0
    fps: float = 12.5
    size: tuple[int, int] = (1280, 800)
    spills: int = 3
    spill_s: float | None = None  # at most this long; None: SPILL_S
    faults: bool = False
    lens: bool = False

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return round(self.seconds * self.fps)


@dataclass(frozen=True, slots=True)
class Spill:
    """One spill in frames: visible from ``first``, gone at ``last``."""

    well: int
    first: int
    last: int
    kind: str

    def strength(self, frame: int, *, fps: float) -> float:
        """0..1; the first visible frame already shows a share of it."""
        ramp = max(1, int(RAMP_S * fps))
        return float(np.clip(min(frame - self.first + 1, self.last - frame) / ramp, 0, 1))


@dataclass(frozen=True, slots=True)
class Faults:
    """When the camera or its light misbehaves, in seconds; -1 is never."""

    flash_s: float = NEVER
    dark_s: float = NEVER
    freeze_s: float = NEVER
    shift_s: float = NEVER
    blind_s: float = BLIND_S
    grease_s: float = NEVER
    cover_s: float = NEVER

    def dark(self, at_s: float) -> bool:
        """The light is off."""
        return self._during(self.dark_s, at_s)

    def frozen(self, at_s: float) -> bool:
        """The camera repeats its last picture."""
        return self._during(self.freeze_s, at_s)

    def greased(self, at_s: float) -> bool:
        """The lens is out of focus."""
        return self._during(self.grease_s, at_s)

    def covered(self, at_s: float) -> bool:
        """A cloth hangs over the lens."""
        return self._during(self.cover_s, at_s)

    def blind(self, at_s: float) -> bool:
        """Nobody could see a spill."""
        return self.dark(at_s) or self.frozen(at_s) or self.greased(at_s) or self.covered(at_s)

    def _during(self, begin_s: float, at_s: float) -> bool:
        return begin_s >= 0 and begin_s <= at_s < begin_s + self.blind_s

    def stepped(self, at_s: float) -> bool:
        """The light is brighter than it was."""
        return 0 <= self.flash_s <= at_s

    def shifted(self, at_s: float) -> bool:
        """The camera has been knocked."""
        return 0 <= self.shift_s <= at_s


@dataclass(frozen=True, slots=True)
class Plan:
    """A clip's whole story."""

    fps: float
    frames: int
    seed: int
    spills: tuple[Spill, ...]
    person_first: int
    occluded: tuple[tuple[int, int, int], ...]  # well, first frame, first frame after
    faults: Faults

    def truth(self, layout: Layout) -> dict[str, Any]:
        """The truth file's content."""
        names = [well.id for well in layout.wells]

        def span(well: int, first: int, last: int) -> dict[str, Any]:
            return {"well": names[well], "start_s": round(first / self.fps, 3), "end_s": round(last / self.fps, 3)}

        return {
            "fps": self.fps,
            "width": layout.width,
            "height": layout.height,
            "frames": self.frames,
            "wells": [{"id": well.id, "x": well.x, "y": well.y, "w": well.w, "h": well.h} for well in layout.wells],
            "seed": self.seed,
            "spills": [span(spill.well, spill.first, spill.last) | {"kind": spill.kind} for spill in self.spills],
            "occluded": [span(*run) for run in self.occluded],
            "shift_s": self.faults.shift_s,
            "freeze_s": self.faults.freeze_s,
            "dark_s": self.faults.dark_s,
            "flash_s": self.faults.flash_s,
            "grease_s": self.faults.grease_s,
            "cover_s": self.faults.cover_s,
        }


def draw_plan(rng: np.random.Generator, layout: Layout, person: Person, wish: Wish) -> Plan:
    """Faults at fixed shares of the clip, one passer-by, and spills on wells that nobody hides at their onset."""
    flash_s, dark_s, freeze_s, shift_s = (round(share * wish.seconds, 2) for share in (0.15, 0.3, 0.65, 0.8))
    blind_s = min(BLIND_S, 0.1 * wish.seconds)
    faults = Faults(flash_s, dark_s, freeze_s, shift_s, blind_s) if wish.faults else Faults(blind_s=blind_s)
    if wish.lens:
        faults = replace(faults, grease_s=round(0.45 * wish.seconds, 2), cover_s=round(0.875 * wish.seconds, 2))
    person_first = int(rng.uniform(0.1, 0.75) * max(1, wish.frames - person.frames))
    occluded = person.occluded(layout, first=person_first, frames=wish.frames)
    spills = _draw_spills(rng, wish, occluded, faults=faults, wells=len(layout.wells))
    return Plan(wish.fps, wish.frames, wish.seed, spills, person_first, occluded, faults)


def _draw_spills(
    rng: np.random.Generator, wish: Wish, occluded: tuple[tuple[int, int, int], ...], *, faults: Faults, wells: int
) -> tuple[Spill, ...]:
    """One spill per equal slot of the clip, its onset away from blindness and passers-by."""
    kinds = [KINDS[index % len(KINDS)] for index in range(wish.spills)]
    rng.shuffle(kinds)
    free = list(rng.permutation(wells))
    lead = round(0.15 * wish.frames)  # a watcher needs some normal pictures first
    slot = (wish.frames - lead) / max(1, wish.spills)
    found = []
    for index, kind in enumerate(kinds):
        length_s = rng.uniform(*SPILL_S)
        length = max(2, round(min((wish.spill_s or length_s) * wish.fps, slot * 0.9)))
        starts = [int(lead + index * slot + rng.uniform(0, max(0.0, slot - length - 1))) for _ in range(50)]
        first = next((start for start in starts if _seen(start / wish.fps, faults)), starts[0])
        clear = (well for well in free if not _hidden(well, first, fps=wish.fps, occluded=occluded))
        well = int(next(clear, free[0]))
        free.remove(well)
        found.append(Spill(well, first, min(wish.frames, first + length), kind))
    return tuple(found)


def _seen(onset_s: float, faults: Faults) -> bool:
    """Nothing blinds the camera from just before an onset until an alarm may be due, nor does the view jump then."""
    moments = np.arange(onset_s - 0.5, onset_s + 3, 0.25)
    jump = any(at_s >= 0 and abs(onset_s - at_s) < 2 for at_s in (faults.shift_s, faults.flash_s))
    return not jump and not any(faults.blind(at_s) for at_s in moments)


def _hidden(well: int, first: int, *, fps: float, occluded: tuple[tuple[int, int, int], ...]) -> bool:
    """Whether somebody hides the well near a spill's onset."""
    return any(run[0] == well and run[1] - fps < first + 2 * fps and run[2] + fps > first for run in occluded)
