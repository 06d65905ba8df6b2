"""Whose turn it is to be tested: each camera at its own pace, and its wells one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

FIRST_S = 10.0
"""After a start a camera is tested once it has had so long to see."""

AGAIN_S = 60.0
"""What failed, or could not be made, is tried again after so long."""


class Turns:
    """``done`` says what came of a turn; times are monotonic seconds."""

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}
        self._last: dict[str, str] = {}
        self._failed: dict[str, str] = {}

    def due(self, cameras: Iterable[str], time_s: float) -> str | None:
        """The camera that has waited the longest, of those whose turn has come."""
        waiting = [(self._due_s.setdefault(camera, time_s + FIRST_S), camera) for camera in cameras]
        first_s, camera = min(waiting, default=(time_s + 1, ""))
        return camera if first_s <= time_s else None

    def well(self, camera: str, wells: Sequence[str], watched: Collection[str]) -> str | None:
        """The one that failed, as long as it is watched, so that its alarm ends only with its own success; else the
        next of ``wells`` that is."""
        if self._failed.get(camera) in watched:
            return self._failed[camera]
        last = self._last.get(camera)
        after = wells.index(last) + 1 if last in wells else 0
        return next((well for well in (*wells[after:], *wells[:after]) if well in watched), None)

    def done(self, camera: str, well: str | None, *, ok: bool | None, time_s: float, every_s: float) -> None:
        """It passed, failed, or (None) could not be made."""
        self._due_s[camera] = time_s + (every_s if ok else min(every_s, AGAIN_S))
        if well is None or ok is None:
            return
        self._last[camera] = well
        if ok:
            self._failed.pop(camera, None)
        else:
            self._failed[camera] = well
