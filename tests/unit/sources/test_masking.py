"""Camera URLs as people may see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillwatch.sources.rtsp import masked_url


@pytest.mark.parametrize(
    ("url", "username", "shown"),
    [
        ("rtsp://10.0.0.5/cam", None, "rtsp://10.0.0.5/cam"),
        ("rtsp://10.0.0.5:554/cam?channel=1", None, "rtsp://10.0.0.5:554/cam?channel=1"),
        ("rtsp://eva:geheim@10.0.0.5/cam", None, "rtsp://eva:***@10.0.0.5/cam"),
        ("rtsp://eva@10.0.0.5/cam", None, "rtsp://eva@10.0.0.5/cam"),
        ("rtsp://10.0.0.5/cam", "eva", "rtsp://eva:***@10.0.0.5/cam"),
        ("rtsp://eva:geheim@10.0.0.5/cam", "adam", "rtsp://adam:***@10.0.0.5/cam"),
        ("rtsp://eva:ge@he/im@10.0.0.5/cam", None, "rtsp://eva:***@10.0.0.5/cam"),
        ("rtsp://eva:ge[heim@10.0.0.5/cam", None, "rtsp://eva:***@10.0.0.5/cam"),
        ("rtsp://10.0.0.5/cam?user=eva&password=geheim&ch=1", None, "rtsp://10.0.0.5/cam?user=eva&password=***&ch=1"),
        ("rtsp://10.0.0.5/user=eva_password=geheim_channel=1", None, "rtsp://10.0.0.5/user=eva_password=***"),
        ("rtsps://eva:geheim@[fe80::1]:322/cam", None, "rtsps://eva:***@[fe80::1]:322/cam"),
    ],
)
def test_masks_the_password_and_nothing_else(url: str, username: str | None, shown: str) -> None:
    assert masked_url(url, username) == shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_no_password_is_ever_shown(secret: str) -> None:
    assert masked_url(f"rtsp://eva:{secret}@10.0.0.5/cam") == "rtsp://eva:***@10.0.0.5/cam"
