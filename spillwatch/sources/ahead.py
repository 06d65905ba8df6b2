"""Decoding while the last frame is still being looked at."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from spillwatch.records import Frame

_LOOK_S = 0.1  # how often the reading thread looks whether its consumer has left


def read_ahead(source: Iterable[Frame], depth: int = 4) -> Generator[Frame]:
    """The source's frames, read by one thread up to ``depth`` ahead; its exception is raised here.

    Close the generator (or end its loop) before the source is left: closing joins the thread.
    """
    frames: queue.Queue[Frame | BaseException | None] = queue.Queue(maxsize=depth)
    left = threading.Event()

    def put(item: Frame | BaseException | None) -> bool:
        while not left.is_set():
            try:
                frames.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        end: BaseException | None = None
        try:
            for frame in source:
                if not put(frame):
                    return
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it belongs to the consumer
            end = exc
        put(end)

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := frames.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
        thread.join()
