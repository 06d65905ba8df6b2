"""What systemd is told, when it does not listen."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from spillwatch.service import Service

if TYPE_CHECKING:
    from pathlib import Path


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
