"""Evidence over HTTP: what an alarm has, and nothing else of the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.page import Served

NAME = "table~3L4~spill~20261124T100001.125000Z"
LINK = "table~1L1~spill~20261124T100001.125000Z"
PLACE = f"evidence/2026-11-24/{NAME}"


@pytest.fixture
def exhibit(tmp_path: Path) -> Path:
    folder = tmp_path / PLACE
    folder.mkdir(parents=True)
    for name in ("snapshot.png", "strip.png", "clip.mp4", "secret.txt"):
        (folder / name).write_bytes(name.encode())
    return folder


def test_an_alarm_s_pictures_and_clip_are_shown(served: Served, exhibit: Path) -> None:
    reply, page = served.ask("GET", f"/{PLACE}")
    assert reply.status == 200
    for name, kind in {"snapshot.png": "image/png", "strip.png": "image/png", "clip.mp4": "video/mp4"}.items():
        assert f'src="{NAME}/{name}"'.encode() in page
        reply, body = served.ask("GET", f"/{PLACE}/{name}")
        assert (reply.status, reply.headers["Content-Type"], body) == (200, kind, name.encode())
    reply, body = served.ask("GET", f"/{PLACE}/clip.mp4", Range="bytes=0-3")
    assert (reply.status, body) == (206, b"clip")  # a player jumps


def test_a_clip_that_is_not_there_yet_is_said(served: Served, exhibit: Path) -> None:
    (exhibit / "clip.mp4").unlink()
    _, page = served.ask("GET", f"/{PLACE}")
    assert b"<video" not in page
    assert "The clip is not there" in page.decode()


def test_a_stranger_gets_nothing(served: Served, exhibit: Path) -> None:
    for path in (PLACE, f"{PLACE}/clip.mp4"):
        assert served.ask("GET", f"/{path}", Cookie="")[0].status == 401


@pytest.mark.parametrize(
    "path",
    [
        f"{PLACE}/secret.txt",
        f"{PLACE}/..%2f..%2f..%2ftoken",
        "evidence/../token",
        "evidence/2026-11-24/..",
        "evidence/2026-11-24/../../token",
        "evidence/%2e%2e/token/snapshot.png",
        "evidence/..%2f..%2fetc/passwd/snapshot.png",
        "evidence/2026-11-24/..~..~..~../snapshot.png",
        f"evidence/2026-11-24/{NAME}%00/snapshot.png",
        f"evidence/2026-11-24/{LINK}/snapshot.png",
    ],
)
def test_no_address_leads_to_another_file(served: Served, exhibit: Path, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "snapshot.png").write_bytes(b"secret")
    (exhibit.parent / LINK).symlink_to(outside)
    reply, body = served.ask("GET", f"/{path}")
    assert reply.status == 404
    assert b"secret" not in body
    assert b"0123456789abcdef" not in body
