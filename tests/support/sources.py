"""A source without a camera, and frames for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import numpy as np

from spillwatch.records import Frame, Planes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def grey_frame(time_s: float, *, level: int = 128, width: int = 320, height: int = 240, camera: str = "table") -> Frame:
    """An even picture of one brightness."""
    half = (-(-height // 2), -(-width // 2))
    planes = Planes(
        y=np.full((height, width), level, np.uint8), u=np.full(half, 128, np.uint8), v=np.full(half, 128, np.uint8)
    )
    return Frame(camera=camera, at=EPOCH + timedelta(seconds=time_s), time_s=time_s, planes=planes)


class ScriptedSource:
    """Plays a script: a Frame is given, a number waits that many seconds, an exception is raised.

    ``fails`` is raised on entering. ``opened`` and ``closed`` count.
    """

    def __init__(
        self,
        script: Iterable[Frame | float | Exception] = (),
        *,
        fails: Exception | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.script = script
        self.fails = fails
        self.sleep = sleep
        self.damaged = 0
        self.opened = 0
        self.closed = 0

    def __enter__(self) -> Self:
        if self.fails is not None:
            raise self.fails
        self.opened += 1
        return self

    def __exit__(self, *exc: object) -> None:
        self.closed += 1

    def __iter__(self) -> Iterator[Frame]:
        for item in self.script:
            if isinstance(item, Frame):
                yield item
            elif isinstance(item, Exception):
                raise item
            else:
                self.sleep(item)
