"""What the networks are made of, without torch: scoring on the CPU does without it, and starts the sooner."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

SIDE = 32  # pixels of a well
PATCH = 4  # pixels of a patch
PATCHES = (SIDE // PATCH) ** 2
VALUES = PATCH * PATCH * 3  # numbers in a patch
LEVELS = 4  # a patch, 2x2 patches, 4x4 patches, the well
LINEAR = (LEVELS, 2 * LEVELS + 1)  # the pyramid's layers without ReLU: into the latent, into pixels
# A pixel's row and column are (quarter, block, patch, pixel) each; the nested order keeps what is joined side by side.
SPLIT = (2, 2, 2, PATCH, 2, 2, 2, PATCH * 3)
NESTED = (0, 1, 5, 2, 6, 3, 7, 4, 8)


@dataclass(frozen=True)
class Architecture:
    """What a bundle must say to rebuild its network; ``widths`` are the pyramid's, from a patch to the whole well."""

    kind: Literal["seed", "pyramid"]
    latent: int = 32
    widths: tuple[int, ...] = (24, 64, 96, 96)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON has lists only
        if len(self.widths) != LEVELS:
            raise ValueError(f"{len(self.widths)} widths instead of {LEVELS}")
        if self.kind not in ("seed", "pyramid"):
            raise ValueError(f"kind {self.kind!r} is unknown")
        if not all(isinstance(width, int) and width > 0 for width in (self.latent, *self.widths)):
            raise ValueError("widths and latent must be whole numbers above 0")


def layer_sizes(architecture: Architecture) -> list[tuple[int, int]]:
    """Inputs and outputs of the pyramid's layers, from pixels up to the latent and down to pixels again."""
    patch, *_, well = widths = architecture.widths
    joins = [(4 * small, large) for small, large in pairwise(widths)]
    up = [(VALUES, patch), *joins, (well, architecture.latent)]
    return [*up, *((outward, inward) for inward, outward in reversed(up))]


def shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network, without making one."""
    if architecture.kind == "seed":
        from spillwatch.model.network import seed_shapes

        return seed_shapes(architecture)
    named: dict[str, tuple[int, ...]] = {}
    for index, (inputs, outputs) in enumerate(layer_sizes(architecture)):
        named |= {f"layers.{index}.weight": (outputs, inputs), f"layers.{index}.bias": (outputs,)}
    return named
