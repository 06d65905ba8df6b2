"""What happens when: spills, a passer-by and camera faults, and the truth file that tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from line.layout import Layout
    from line.moving import Person

SPILL_S = (5.0, 8.0)
RAMP_S = 0.2
DARK_S = 3.0  # how long a dark period and a freeze last; the lighting step and the knock stay
FREEZE_S = 3.0
KINDS = ("pour", "drained", "pour")
NEVER = -1.0


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

    def dark(self, at_s: float) -> bool:
        """The light is off."""
        return self.dark_s >= 0 and self.dark_s <= at_s < self.dark_s + DARK_S

    def frozen(self, at_s: float) -> bool:
        """The camera repeats its last picture."""
        return self.freeze_s >= 0 and self.freeze_s <= at_s < self.freeze_s + FREEZE_S

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
        }


def draw_plan(
    rng: np.random.Generator,
    layout: Layout,
    person: Person,
    *,
    seed: int,
    fps: float,
    seconds: float,
    spills: int,
    faults: bool,
) -> Plan:
    """Faults at fixed shares of the clip, one passer-by, and spills on wells that nobody hides at their onset."""
    frames = round(seconds * fps)
    troubles = Faults(*(round(share * seconds, 2) for share in (0.15, 0.3, 0.65, 0.8))) if faults else Faults()
    person_first = int(rng.uniform(0.1, 0.75) * max(1, frames - person.frames))
    occluded = person.occluded(layout, first=person_first, frames=frames)
    drawn = _draw_spills(rng, occluded, troubles, wells=len(layout.wells), frames=frames, fps=fps, count=spills)
    return Plan(fps, frames, seed, drawn, person_first, occluded, troubles)


def _draw_spills(  # noqa: PLR0913 -- all of them are plain facts of one clip
    rng: np.random.Generator,
    occluded: tuple[tuple[int, int, int], ...],
    faults: Faults,
    *,
    wells: int,
    frames: int,
    fps: float,
    count: int,
) -> tuple[Spill, ...]:
    """One spill per equal slot of the clip, its onset away from blindness and passers-by."""
    kinds = [KINDS[index % len(KINDS)] for index in range(count)]
    rng.shuffle(kinds)
    free = list(rng.permutation(wells))
    lead = round(0.15 * frames)  # a watcher needs some normal pictures first
    slot = (frames - lead) / max(1, count)
    found = []
    for index, kind in enumerate(kinds):
        length = max(2, round(min(rng.uniform(*SPILL_S) * fps, slot * 0.9)))
        starts = [int(lead + index * slot + rng.uniform(0, max(0.0, slot - length - 1))) for _ in range(50)]
        first = next((start for start in starts if _seen(start / fps, faults)), starts[0])
        clear = (well for well in free if not _hidden(well, first, fps=fps, occluded=occluded))
        well = int(next(clear, free[0]))
        free.remove(well)
        found.append(Spill(well, first, min(frames, first + length), kind))
    return tuple(found)


def _seen(onset_s: float, faults: Faults) -> bool:
    """Nothing blinds the camera from just before an onset until an alarm may be due."""
    moments = np.arange(onset_s - 0.5, onset_s + 3, 0.25)
    knock = faults.shift_s >= 0 and abs(onset_s - faults.shift_s) < 2
    return not knock and not any(faults.dark(at_s) or faults.frozen(at_s) for at_s in moments)


def _hidden(well: int, first: int, *, fps: float, occluded: tuple[tuple[int, int, int], ...]) -> bool:
    """Whether somebody hides the well near a spill's onset."""
    return any(run[0] == well and run[1] - fps < first + 2 * fps and run[2] + fps > first for run in occluded)
