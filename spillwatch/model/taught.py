"""Crops of alarms that the crew judged, for training beside a folder of crops.

``learning/normal`` and ``learning/spill`` as ``store/lessons.py`` fills them; a crop's name up to its last ``~`` is its
alarm. Crops of one alarm look alike, so all of them are learnt from or all are held out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from spillwatch.errors import ModelError
from spillwatch.model.dataset import IMAGES, read_crop
from spillwatch.records import LESSONS

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8, Bools, Preprocessing

log = structlog.get_logger()

EVERY = 5
"""Every fifth alarm of each kind, in the order of time, is held out; of fewer than five, none."""

WEIGHT, SHARE = 20, 0.25
"""A crop of the crew's counts as 20 of the folder, but all of a kind together as a quarter of its crops at most."""


@dataclass(frozen=True, eq=False)
class Kind:
    """Crops of one kind: (crops, height, width, 3) uint8 RGB like ``Dataset.normal``, and the alarm of each."""

    crops: U8
    alarms: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of the alarms, in the order of time."""
        return sorted(set(self.alarms), key=lambda name: (name.rpartition("~")[2], name))

    @property
    def held(self) -> Bools:
        """(crops,) whether each is held out."""
        out = set(self.names[EVERY - 1 :: EVERY])
        return np.array([alarm in out for alarm in self.alarms], np.bool_)

    def weight(self, others: int) -> int:
        """How often each crop that is learnt from is repeated beside so many others."""
        learnt = int((~self.held).sum())
        return max(1, min(WEIGHT, round(SHARE / (1 - SHARE) * others / max(learnt, 1))))


@dataclass(frozen=True, eq=False)
class Taught:
    """What the crew has taught; ``digest`` names the pixels and whose they are."""

    normal: Kind
    spill: Kind
    digest: str

    def about(self) -> dict[str, Any]:
        """What a model says of it."""
        said: dict[str, Any] = {"digest": self.digest, "held_out": {}, "learnt": {}}
        for name, kind in (("normal", self.normal), ("spill", self.spill)):
            out = set(kind.names[EVERY - 1 :: EVERY])
            said[name] = {"crops": len(kind.crops), "alarms": len(kind.names), "held_out_crops": int(kind.held.sum())}
            said["held_out"][name] = sorted(out)
            said["learnt"][name] = sorted(set(kind.names) - out)
        return said


def load(folder: Path, p: Preprocessing) -> Taught:
    """Of a state directory, its ``learning`` folder, or any other with ``normal`` or ``spill`` in it."""
    root = folder / LESSONS if (folder / LESSONS).is_dir() else folder
    normal, spill = (_kind(root / name, p) for name in ("normal", "spill"))
    if not len(normal.crops) + len(spill.crops):
        raise ModelError(
            f"{folder} holds no judged crops; judge spill alarms true or false on the page, with evidence switched on"
        )
    digest = hashlib.sha256()
    for kind in (normal, spill):
        digest.update("\n".join(kind.alarms).encode() + np.ascontiguousarray(kind.crops).tobytes())
    log.info("taught.loaded", folder=str(root), normal=len(normal.crops), spill=len(spill.crops))
    return Taught(normal, spill, digest.hexdigest())


def _kind(folder: Path, p: Preprocessing) -> Kind:
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGES)
    rows = [(crop, _alarm(path)) for path in paths if (crop := read_crop(path, p)) is not None]
    crops = np.stack([crop for crop, _ in rows]) if rows else np.zeros((0, p.height, p.width, 3), np.uint8)
    return Kind(crops, tuple(alarm for _, alarm in rows))


def _alarm(path: Path) -> str:
    return path.stem.rpartition("~")[0] or path.stem
