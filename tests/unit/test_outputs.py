from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from spillwatch.outputs import write_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_takes_the_place_of_the_old_one_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in (b"old", b"new"):
        write_whole(path, content, mode=0o600, synced=True)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    with pytest.raises(OSError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "a.txt", b"new")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "a.txt", "no bytes")  # type: ignore[arg-type]
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_a_device_stays_one(tmp_path: Path) -> None:
    """As root, a renaming would put a file in place of /dev/null."""
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    write_whole(device, b"new")
    assert device.is_symlink()
