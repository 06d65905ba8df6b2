"""What the crew teaches: crops of alarms that somebody judged, in ``learning/normal`` and ``learning/spill``.

A folder for people: crops may be looked at and deleted. A crop is called ``ALARM~00.png``, ALARM the last part of its
evidence's path, so that training can keep the crops of one alarm together.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from spillwatch.errors import StoreError
from spillwatch.outputs import write_whole
from spillwatch.records import CROPS, LESSONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_CROPS = 8000
"""Of each kind: 500 alarms ..."""

MOST_BYTES = 64 * 1024 * 1024
"""... and no more than so many bytes of it: the oldest alarms go first, and false ones never in favour of true ones."""

_KINDS = {True: "spill", False: "normal"}


class Lessons:
    """The folder ``learning`` below ``state``; methods raise StoreError and OSError, and may be tried again."""

    def __init__(
        self, state: Path, *, floor_bytes: int, most_crops: int = MOST_CROPS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._root = state / LESSONS
        self._floor_bytes = floor_bytes
        self._most_crops, self._most_bytes = most_crops, most_bytes

    def judge(self, evidence: Path, verdict: bool | None) -> None:
        """The crops in an alarm's evidence are spills, normal wells, or (None) nobody's word any longer.

        Crops that were taken in before are moved, though their evidence may have been deleted since.
        """
        name, kind = evidence.name, None if verdict is None else _KINDS[verdict]
        crops = {f"{name}~{path.stem[-2:]}.png": path for path in sorted(evidence.glob(CROPS))} if kind else {}
        for other in _KINDS.values():
            if other != kind:
                self._move(name, other, kind)
        if kind is None or not crops:
            return
        folder = self._make_room(kind, sum(path.stat().st_size for path in crops.values()), name)
        for to, path in crops.items():
            write_whole(folder / to, path.read_bytes())

    def _move(self, name: str, kind: str, to: str | None) -> None:
        for path in sorted((self._root / kind).glob(f"{name}~??.png")):
            if to is None:
                path.unlink()
            else:
                (self._root / to).mkdir(mode=0o750, parents=True, exist_ok=True)
                path.replace(self._root / to / path.name)

    def _make_room(self, kind: str, size: int, name: str) -> Path:
        """The folder of a kind, with room for so many bytes of this alarm; the oldest alarms go for it."""
        folder = self._root / kind
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free - size < self._floor_bytes:
            raise StoreError(f"the disk has {free} bytes free, and {self._floor_bytes} are left to alarms")
        kept = sorted((path for path in folder.glob("*~??.png") if _alarm(path) != name), key=_stamp)
        sizes = [path.stat().st_size for path in kept]
        while kept and (len(kept) > self._most_crops - _EACH or sum(sizes) + size > self._most_bytes):
            gone = self._oldest(kept)
            for path in gone:
                path.unlink()
            kept, sizes = kept[len(gone) :], sizes[len(gone) :]
        return folder

    @staticmethod
    def _oldest(kept: Sequence[Path]) -> list[Path]:
        return [path for path in kept if _stamp(path) == _stamp(kept[0])]


_EACH = 16  # crops of an alarm at most


def _alarm(path: Path) -> str:
    return path.stem.rpartition("~")[0]


def _stamp(path: Path) -> str:
    return _alarm(path).rpartition("~")[2] + _alarm(path)
