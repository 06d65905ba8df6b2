"""Files that are there whole or not at all, and whose place is looked at before long work is done for them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spillwatch.errors import ConfigError, PublishError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path


def check_outputs(written: Iterable[Path | None], *, read: Iterable[Path | None]) -> None:
    """Raise ConfigError where a file could not be made, is named twice, or would take the place of what is read."""
    taken = {path.resolve() for path in read if path}
    for path in written:
        if path is None:
            continue
        if not path.parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.parent}; create it")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ConfigError(f"{path} cannot be written: this user may not; choose another place")
        if path.resolve() in taken:
            raise ConfigError(f"{path} would be overwritten, yet it is named twice; choose another file to write")
        if is_plain(path):  # /dev/null and a terminal may be named twice
            taken.add(path.resolve())


def is_plain(path: Path) -> bool:
    """Whether it is a file, or will be one: no device and no pipe."""
    return path.is_file() or not path.exists()


def scratch_for(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def backup_of(path: Path, at: datetime) -> Path:
    """Where what people may have worked on is kept when it is replaced: NAME.bak-DATE."""
    return path.with_name(f"{path.name}.bak-{at:%Y%m%dT%H%M%S}")


def write_whole(path: Path, content: bytes, *, mode: int | None = None, synced: bool = False) -> None:
    """Written beside it and renamed, so that nobody ever reads half of it. Raises OSError, and leaves nothing then.

    ``mode`` are its permissions where those of every new file are not meant. ``synced`` waits for the disk before the
    renaming, so that a power failure leaves a whole file too. A link stays one; a device, such as /dev/null, and a pipe
    are written to as they are.
    """
    if not is_plain(path):
        path.write_bytes(content)
        return
    path = path.resolve()
    scratch = scratch_for(path)
    try:
        with open(scratch, "wb") as file:
            file.write(content)
            file.flush()
            if synced:
                os.fsync(file.fileno())
        if mode is not None:
            scratch.chmod(mode)
        scratch.replace(path)
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, what: str) -> None:
    """A report, or figures; whole, like all else. Raises PublishError."""
    try:
        write_whole(path, text.encode())
    except OSError as exc:
        raise PublishError(f"{what} {path} cannot be written: {exc.strerror}; choose another place") from exc
