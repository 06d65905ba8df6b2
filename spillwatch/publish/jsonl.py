"""Alarm events as JSON lines: the alarm log beside MQTT, and what replay writes."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from spillwatch.errors import PublishError
from spillwatch.records import AlarmEvent, Message, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO


TAIL_BYTES = 16384
"""The last event stands within so much of the end."""


class JsonlPublisher:
    """Writes each alarm event as one line, in place and at once, so that a crash costs no finished line.

    ``append`` is for the daemon: it keeps what is there, and every line is on the disk before ``publish`` returns.
    Without it (replay) the file starts empty.
    """

    def __init__(self, path: Path, *, append: bool) -> None:
        self._path = path
        self._append = append
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            # unbuffered: a line that failed (disk full) is not tried again when the file is closed
            self._file = open(self._path, "ab" if self._append else "wb", buffering=0)
            if self._append:
                self._end_torn_line()
        except OSError as exc:
            self._close()
            raise self._fault(exc) from exc
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def publish(self, message: Message) -> None:
        """Raises PublishError when the line cannot be written whole."""
        if isinstance(message, AlarmEvent):
            if self._file is None:
                raise PublishError(f"events file {self._path} is not open; publish inside its with block")
            try:
                self._write(encode(message).encode() + b"\n")
            except OSError as exc:
                raise self._fault(exc) from exc

    def catch_up(self, events_after: Callable[[int], list[str]]) -> None:
        """Append what a killed process had kept elsewhere and not written here; nothing to a file without events."""
        last = self._last_seq()
        try:
            for line in events_after(last) if last is not None else ():
                self._write(line.encode() + b"\n")
        except OSError as exc:
            raise self._fault(exc) from exc

    def _last_seq(self) -> int | None:
        """The number of the last event that is whole."""
        try:
            with open(self._path, "rb") as old:
                old.seek(max(0, old.seek(0, os.SEEK_END) - TAIL_BYTES))
                tail = old.read()
        except OSError:  # a pipe, for example
            return None
        for line in reversed(tail.splitlines()):
            with suppress(ValueError, KeyError, TypeError):
                return int(json.loads(line)["seq"])
        return None

    def _write(self, line: bytes) -> None:
        assert self._file is not None  # noqa: S101 -- for mypy; publish and __enter__ have seen to it
        while line:  # an unbuffered write may take only a part, as it does when the disk is nearly full
            line = line[self._file.write(line) :]
        if self._append:
            os.fsync(self._file.fileno())

    def _end_torn_line(self) -> None:
        """Half a line, left by a power cut or a full disk, must not swallow the next event."""
        with open(self._path, "rb") as old:
            if old.seekable() and old.seek(0, os.SEEK_END):
                old.seek(-1, os.SEEK_END)
                if old.read(1) != b"\n":
                    self._write(b"\n")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _fault(self, exc: OSError) -> PublishError:
        if isinstance(exc, FileNotFoundError):
            mend = f"create the folder {self._path.parent}"
        elif isinstance(exc, PermissionError):
            mend = "let this user write there, or choose another events file"
        else:
            mend = "make room there, or choose another events file"
        return PublishError(f"events file {self._path} cannot be written: {exc.strerror or exc}; {mend}")
