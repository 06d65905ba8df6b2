"""What watching needs to know of pictures, as Protocols; other rooms fulfil them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from spillwatch.records import F32, U8, Alignment, Frame, Sight

Shift = tuple[float, float]


class Look(Protocol):
    """Measures a picture as a whole."""

    def __call__(self, frame: Frame) -> Sight: ...


class Align(Protocol):
    """Finds how far the picture has moved from the one that the wells were located on."""

    def __call__(self, frame: Frame) -> Alignment: ...


class Crop(Protocol):
    """Cuts the wells out of a frame."""

    def __call__(self, frame: Frame, shift: Shift) -> U8:
        """(wells, 3, size, size) uint8 RGB, of wells moved by ``shift`` pixels (x, y)."""
        ...


class Surround(Protocol):
    """Samples the plate around each well."""

    def __call__(self, frame: Frame, shift: Shift) -> F32:
        """(3, wells, samples) float32 luma, Cb, Cr."""
        ...


class Scorer(Protocol):
    """Judges crops."""

    def score(self, crops: U8) -> F32:
        """(wells, 3, size, size) uint8 RGB to (wells,) float32 above 0; higher is more like a spill."""
        ...


class Paint(Protocol):
    """Paints a spill, for self-tests."""

    def __call__(self, frame: Frame, well: int, shift: Shift) -> Frame:
        """A copy of a frame with a spill in the well of this row, wells being moved by ``shift`` pixels (x, y)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """What other rooms know of pictures, handed in by build.py."""

    look: Look
    align: Align
    crop: Crop
    surround: Surround
    scorer: Scorer
    paint: Paint
