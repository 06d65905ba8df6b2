"""What a device says of itself; a real camera is asked in tests/system/test_usb.py."""

from __future__ import annotations

from pathlib import Path

from spillwatch.sources.v4l2 import Presence, presence


def test_what_is_not_there_is_gone(tmp_path: Path) -> None:
    assert presence(tmp_path / "video9") == Presence.GONE


def test_what_is_no_video_device_says_so() -> None:
    assert presence(Path("/dev/null")) == Presence.OTHER
