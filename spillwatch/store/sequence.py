"""The number of every event of a site, which goes on over restarts and never repeats."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DIGITS = 20


class Sequence:
    """Counts from 1. The last number is also marked in a small file of its own.

    That file is overwritten in place, which works on a full disk, and it outlives a broken database. Where neither it
    nor the database can be read, counting goes on from the milliseconds since 1970, which are beyond all before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.last = 0

    def resume(self, stored: int | None) -> None:
        """Go on after what was stored; None when the database was lost."""
        known = [self.last, *(number for number in (stored, self._marked()) if number is not None)]
        self.last = max(known) if len(known) > 1 else max(self.last, int(time.time() * 1000))

    def next(self) -> int:
        self.last += 1
        return self.last

    def mark(self, *, durable: bool) -> None:
        """Note the last number; ``durable`` where nothing else keeps it. Fails silently: it is the second of two."""
        with suppress(OSError):
            file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, f"{self.last:0{_DIGITS}}".encode(), 0)
                if durable:
                    os.fdatasync(file)
            finally:
                os.close(file)

    def _marked(self) -> int | None:
        try:
            text = self._path.read_bytes()
        except OSError:
            return None
        return int(text) if len(text) == _DIGITS and text.isdigit() else None
