"""What systemd is told, when it does not listen."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path

import pytest

from spillwatch.service import Service, give_back_memory


@pytest.mark.parametrize("bound_before", [False, True])
def test_a_notify_socket_that_nobody_reads_does_not_end_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound_before: bool
) -> None:
    path = tmp_path / "notify"
    if bound_before:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))  # closed at once: its file stays, and refuses
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    service = Service()
    service.tell_ready("watching")
    service.feed_watchdog()
    service.tell_stopping()
    assert service.ready


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc is not installed here")
def test_memory_that_is_free_goes_back_to_the_system() -> None:
    """Below what is in use, where glibc leaves it lying."""
    pieces = [bytes([1]) * 65_000 for _ in range(1000)]
    kept = pieces[::100]
    del pieces
    before = resident()
    give_back_memory()
    assert before - resident() > 40_000_000
    assert len(kept) == 10
