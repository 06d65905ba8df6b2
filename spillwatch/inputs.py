"""Files that others wrote: regular ones of bounded size, and where it matters only what strangers cannot change."""

from __future__ import annotations

import os
import pwd
import stat
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.errors import SpillwatchError

MIB = 1024 * 1024
SHOWN = 80
"""Characters of somebody's text that an error repeats."""
MOST_TEXT = 4 * MIB
"""Bytes of a settings, wells, profile or truth file; 500 wells have a fiftieth of it."""


def read(path: Path, *, what: str, error: type[SpillwatchError], most: int = MOST_TEXT, trusted: bool = True) -> bytes:
    """The file's content; see ``check``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # not blocking: a pipe would be waited for
    try:
        check(path, what=what, error=error, most=most, trusted=trusted, about=os.fstat(descriptor))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def check(
    path: Path,
    *,
    what: str,
    error: type[SpillwatchError],
    most: int,
    trusted: bool = True,
    about: os.stat_result | None = None,
) -> None:
    """Raise ``error`` when it is no regular file, is larger than ``most`` bytes, or (``trusted``) can be changed by
    everyone or by a group that is not its owner's; and OSError when it cannot be reached."""
    about = about or path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise error(f"{what} {path} is no regular file; name one")
    if about.st_size > most:
        raise error(f"{what} {path} has {about.st_size} bytes, at most {most} are read; is it the right file?")
    if trusted and (who := _stranger(about)):
        raise error(f"{what} {path} can be changed by {who[0]}; run: chmod {who[1]} {path}")


def read_toml(path: Path, *, what: str, error: type[SpillwatchError]) -> dict[str, Any]:
    """A trusted TOML file's tables; see ``read``."""
    return parse_toml(read(path, what=what, error=error), what=f"{what} {path}", error=error)


def parse_toml(content: bytes, *, what: str, error: type[SpillwatchError]) -> dict[str, Any]:
    """Raises ``error`` when it is no TOML."""
    try:
        return tomllib.loads(text(content, what=what, error=error))
    except tomllib.TOMLDecodeError as exc:
        raise error(f"{what} is not valid TOML: {exc}") from exc
    except RecursionError:
        raise error(f"{what} is not valid TOML: brackets within brackets, hundreds deep") from None


def text(content: bytes, *, what: str, error: type[SpillwatchError]) -> str:
    """What people wrote, in UTF-8, with or without the mark that Windows puts first."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise error(
            f"{what} is not UTF-8 (byte {exc.start + 1} is {content[exc.start]:#04x}); save it as UTF-8"
        ) from exc


def shown(value: object) -> str:
    """What somebody wrote, for a sentence about it: quoted, without control characters, and not at any length."""
    return _cut(repr(value) if repr(value).isprintable() else ascii(value))


def plain(value: object) -> str:
    """The same without quotes."""
    text = str(value)
    return _cut(text if text.isprintable() else ascii(text)[1:-1])


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _stranger(about: os.stat_result) -> tuple[str, str] | None:
    """Who else may write, and the mode that mends it."""
    if about.st_mode & stat.S_IWOTH:
        return "everyone", "o-w"
    if about.st_mode & stat.S_IWGRP and about.st_gid != _own_group(about.st_uid):
        return f"the group {about.st_gid}", "g-w"
    return None


def _own_group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:  # an account of a container
        return uid
