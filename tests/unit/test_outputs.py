from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from spillwatch.outputs import write_whole


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


def test_what_was_there_stays_when_the_writing_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "score.json"
    write_whole(path, b"whole")

    def interrupted(_from: Path, _to: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"half")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"all of it")
    reader.join(timeout=10)
    assert heard == [b"all of it"]
    assert pipe.is_fifo()


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "w.toml").symlink_to(tmp_path / "far.toml")
    write_whole(tmp_path / "w.toml", b"new")
    assert (tmp_path / "w.toml").is_symlink()
    assert (tmp_path / "far.toml").read_bytes() == b"new"
