"""What the crew teaches: which crops are taken in, moved and let go, and how much of them is kept."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs

from spillwatch.config import EvidenceSettings
from spillwatch.errors import StoreError
from spillwatch.records import Planes, evidence_path
from spillwatch.store.evidence import Evidence
from spillwatch.store.exhibit import boxed
from spillwatch.store.lessons import Lessons
from tests.unit.store.test_evidence import exhibit
from tools.rig import wait_until

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
BOX = np.random.default_rng(1).integers(0, 255, (28, 48, 3), np.uint8)


def alarm(minutes: float = 0, well: str = "3L4") -> str:
    return f"cam1/{well}/spill/{NOW - timedelta(minutes=minutes):%Y%m%dT%H%M%S.%f}Z"


def evidence(folder: Path, name: str, crops: int = 3) -> Path:
    """An alarm's evidence as it lies on the disk."""
    path = folder / evidence_path(name)
    path.mkdir(parents=True, exist_ok=True)
    for number in range(crops):
        cv2.imwrite(str(path / f"crop-{number:02}.png"), BOX)
    return path


def lessons(folder: Path, floor_bytes: int = 0, **bounds: int) -> Lessons:
    return Lessons(folder, floor_bytes=floor_bytes, **bounds)


def kept(folder: Path) -> dict[str, int]:
    return {kind: len(list((folder / "learning" / kind).glob("*"))) for kind in ("normal", "spill")}


def test_a_judgement_moves_with_the_word_of_the_crew_and_goes_with_it(tmp_path: Path) -> None:
    path, subject = evidence(tmp_path, alarm()), lessons(tmp_path)
    subject.judge(path, False)
    assert kept(tmp_path) == {"normal": 3, "spill": 0}
    first = tmp_path / "learning/normal" / f"{path.name}~00.png"
    assert (cv2.imread(str(first)) == BOX).all()
    subject.judge(path, True)
    assert kept(tmp_path) == {"normal": 0, "spill": 3}
    subject.judge(path, True)
    assert kept(tmp_path) == {"normal": 0, "spill": 3}
    subject.judge(path, None)
    assert kept(tmp_path) == {"normal": 0, "spill": 0}


def test_what_was_taken_in_outlives_its_evidence(tmp_path: Path) -> None:
    path, subject = evidence(tmp_path, alarm()), lessons(tmp_path)
    subject.judge(path, False)
    for file in path.iterdir():
        file.unlink()
    subject.judge(path, True)
    assert kept(tmp_path) == {"normal": 0, "spill": 3}


def test_the_oldest_false_alarms_go_and_never_a_spill(tmp_path: Path) -> None:
    subject = lessons(tmp_path, most_crops=16 + 8)
    spill, *false = [evidence(tmp_path, alarm(minutes)) for minutes in (90, 50, 40, 30, 20)]
    subject.judge(spill, True)
    for path in false:
        subject.judge(path, False)
    names = {file.name.rpartition("~")[0] for file in (tmp_path / "learning/normal").iterdir()}
    assert names == {path.name for path in false[1:]}, "what was judged last has always room"
    assert kept(tmp_path)["spill"] == 3


def test_a_disk_with_little_room_is_left_to_alarms(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="left to alarms"):
        lessons(tmp_path, floor_bytes=1 << 60).judge(evidence(tmp_path, alarm()), False)
    assert kept(tmp_path) == {"normal": 0, "spill": 0}


def test_the_thread_keeps_what_it_is_given_and_tries_again_what_the_disk_refused(tmp_path: Path) -> None:
    clock = iter(np.arange(0, 1e6, 400.0))
    one = exhibit()
    subject = Evidence(EvidenceSettings(enabled=True), tmp_path, floor_bytes=0, clock=lambda: float(next(clock)))
    (tmp_path / "learning").write_text("in the way")
    with subject:
        subject.keep(one)
        subject.add(one.path, 1, BOX)
        with capture_logs() as logs:
            subject.judge("cam1/3L4/spill/" + one.path.rpartition("~")[2], False)
            subject.judge("no alarm", False)
            wait_until(lambda: logs)
        (tmp_path / "learning").unlink()
        while not list(tmp_path.glob("learning/normal/*~01.png")):
            subject.judge("no alarm", None)  # time passes when the thread looks at its clock
            time.sleep(0.01)
    assert {log["event"] for log in logs} == {"evidence.dropped"}
    assert kept(tmp_path) == {"normal": 2, "spill": 0}


def test_a_box_is_cut_as_extract_cuts_it_and_ends_where_the_picture_does() -> None:
    y = np.arange(200 * 320, dtype=np.uint32).reshape(200, 320).astype(np.uint8)
    planes = Planes(y=y, u=np.full((100, 160), 128, np.uint8), v=np.full((100, 160), 128, np.uint8), full_range=True)
    box = boxed(planes, (101.3, 61.0), (45.0, 28.0))
    left, top = round(101.3 - 22.5), round(61.0 - 14)
    assert (box[..., 0] == y[top : top + 28, left : round(101.3 + 22.5)]).all()
    assert boxed(planes, (2.0, 199.0), (40.0, 28.0)).shape == (15, 22, 3)
