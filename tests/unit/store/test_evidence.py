"""Evidence on the disk: what is written, how it is bounded, and that nothing of it can hurt."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs

from spillwatch.config import EvidenceSettings
from spillwatch.records import evidence_path
from spillwatch.store.evidence import MOST_WAITING, Evidence
from spillwatch.store.exhibit import Exhibit
from tests.support.publishers import alarm_event
from tests.support.sources import grey_frame
from tools.rig import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spillwatch.records import EncodedClip

NOW = datetime.now(UTC)


def exhibit(
    at: datetime = NOW, *, well: str = "3L4", x: float = 150.0, clip: Callable[[], EncodedClip | None] | None = None
) -> Exhibit:
    event = alarm_event(1, well=well, at=at, score=0.04, threshold=0.02)
    random = np.random.default_rng(3)
    crop = random.integers(0, 255, (3, 32, 32), np.uint8)
    return Exhibit(
        path=evidence_path(f"cam1/{well}/spill/{at:%Y%m%dT%H%M%S.%f}Z"),
        event=event,
        frame=grey_frame(100.0),
        centre=(x, 120.0),
        size=(48.0, 28.0),
        crop=crop,
        box=crop.transpose(1, 2, 0).copy(),
        errors=random.random((32, 32), np.float32),
        strip=[(before_s / 4, crop) for before_s in range(40, -1, -1)],
        clip=clip,
        due_s=0.0,
    )


def kept(folder: Path, *exhibits: Exhibit, floor_bytes: int = 0, **settings: Any) -> Evidence:
    """Have them written, however long a busy machine takes for it."""
    evidence = Evidence(EvidenceSettings(enabled=True, **settings), folder, floor_bytes=floor_bytes)
    with evidence:
        thread = evidence._thread
        for each in exhibits:
            evidence.keep(each)
    assert thread is not None
    thread.join(30)
    return evidence


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("evidence/*/*"))


@pytest.mark.parametrize("x", [150.0, 2.0, 318.0])
def test_an_alarm_gets_a_snapshot_and_a_strip(tmp_path: Path, x: float) -> None:
    one = exhibit(x=x)
    assert kept(tmp_path, one).counters.kept == 1
    assert {file.name for file in (tmp_path / one.path).iterdir()} == {"snapshot.png", "strip.png", "crop-00.png"}
    snapshot, strip = (cv2.imread(str(tmp_path / one.path / name)) for name in ("snapshot.png", "strip.png"))
    assert snapshot is not None
    assert strip is not None
    assert snapshot.shape[0] == 508
    assert strip.shape[:2] == (5 * 124, 960)


def test_the_oldest_goes_when_there_is_too_much(tmp_path: Path) -> None:
    old = [exhibit(NOW - timedelta(hours=hours)) for hours in range(30, 0, -6)]  # over midnight
    kept(tmp_path, *old)
    for each in old:
        (tmp_path / each.path / "clip.mp4").write_bytes(bytes(3_000_000))
    new = exhibit()
    kept(tmp_path, new, max_bytes=11_000_000)
    left = [path for path in tmp_path.glob("evidence/*/*/*") if path.is_file()]
    assert 7_000_000 < sum(path.stat().st_size for path in left) <= 11_000_000
    assert names(tmp_path) == [each.path.rpartition("/")[2] for each in [*old[-2:], new]]


def test_what_is_too_old_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    old, new = exhibit(NOW - timedelta(days=40)), exhibit()
    kept(tmp_path, old, max_days=60)
    foreign = tmp_path / "evidence/2020-01-01/notes"
    foreign.mkdir(parents=True)
    kept(tmp_path, new, max_days=30)
    assert names(tmp_path) == [new.path.rpartition("/")[2], "notes"]
    assert not (tmp_path / old.path).parent.exists()


def test_a_disk_with_little_room_gets_nothing(tmp_path: Path) -> None:
    with capture_logs() as logs:
        evidence = kept(tmp_path, exhibit(), floor_bytes=1 << 60)
    assert names(tmp_path) == []
    assert (evidence.counters.kept, evidence.counters.dropped) == (0, 1)
    assert [log["log_level"] for log in logs if log["event"] == "evidence.dropped"] == ["warning"]


def test_a_folder_that_cannot_be_written_costs_the_evidence_alone(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("in the way")
    assert kept(tmp_path, exhibit()).counters.dropped == 1


def test_more_alarms_than_can_be_written_are_dropped_and_counted(tmp_path: Path) -> None:
    evidence = Evidence(EvidenceSettings(enabled=True), tmp_path, floor_bytes=0)  # its thread does not run
    for minutes in range(MOST_WAITING + 3):
        evidence.keep(exhibit(NOW - timedelta(minutes=minutes)))
    assert evidence.counters.dropped == 3


def test_a_camera_that_sent_nothing_costs_the_clip_alone(tmp_path: Path) -> None:
    one = exhibit(clip=lambda: None)
    evidence = kept(tmp_path, one)
    assert (evidence.counters.kept, evidence.counters.dropped) == (1, 1)
    assert not (tmp_path / one.path / "clip.mp4").exists()


def test_a_clip_waits_for_its_end_without_the_picture(tmp_path: Path) -> None:
    one = replace(exhibit(clip=lambda: None), due_s=time.monotonic() + 60)
    picture, folder = weakref.ref(one.frame.planes.y), tmp_path / one.path
    with Evidence(EvidenceSettings(enabled=True), tmp_path, floor_bytes=0) as evidence:
        evidence.keep(one)
        del one
        wait_until(lambda: folder.exists() and picture() is None, within_s=10, what="the picture is let go")
        assert not evidence.counters.dropped  # it still waits


@pytest.mark.logs_error("evidence.crashed")
def test_whatever_fails_the_next_alarm_is_tried(tmp_path: Path) -> None:
    def broken() -> EncodedClip:
        raise RuntimeError("a library fell over")

    first, second = exhibit(well="1L1", clip=broken), exhibit(well="1L2")
    assert kept(tmp_path, first, second).counters.kept == 2


def test_what_a_killed_run_began_is_swept_away(tmp_path: Path) -> None:
    one = exhibit()
    kept(tmp_path, one)
    (tmp_path / "evidence/.begun").mkdir()
    (tmp_path / one.path / ".clip.mp4").write_bytes(b"half")
    kept(tmp_path)
    assert not list((tmp_path / "evidence").rglob(".*"))


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "a/../..", "/", "cam/\0/\n/20261124", "ä ö/ß;rm -rf $HOME"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / evidence_path(name)
    assert path.resolve().parent.parent == (tmp_path / "evidence").resolve()


def test_the_path_of_an_alarm_follows_from_its_name() -> None:
    name = "cam1/3L4/spill/20261124T100001.125000Z"
    assert evidence_path(name) == "evidence/2026-11-24/cam1~3L4~spill~20261124T100001.125000Z"
