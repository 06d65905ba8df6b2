"""What an archive holds: its videos, their wells and their truth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from spillwatch.errors import ConfigError
from spillwatch.footage import archive
from spillwatch.wells import wellmap
from tests.support.simulated import wells

if TYPE_CHECKING:
    from pathlib import Path


def put(*videos: Path) -> None:
    for video in videos:
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(b"video")


def truth_beside(video: Path, *, places: int = 1) -> None:
    true_wells = [{"id": f"T{i}", "x": 30, "y": 30, "w": 40, "h": 30} for i in range(places)]
    video.with_suffix(".json").write_text(json.dumps({"spills": [], "wells": true_wells}))


def test_videos_are_found_in_folders_within_and_named_from_the_archive_on(tmp_path: Path) -> None:
    put(tmp_path / "2026/b/2.mp4", tmp_path / "2026/a/1.MKV", tmp_path / "2026/a/notes.txt")
    clips = archive.find([tmp_path / "2026", tmp_path / "2026"], None)
    assert [clip.name for clip in clips] == ["2026/a/1.MKV", "2026/b/2.mp4"]


def test_wells_come_from_the_file_given_else_the_truth_else_the_nearest_wells_file(tmp_path: Path) -> None:
    cam1, cam2, cam3 = (tmp_path / f"all/{name}/day/v.mp4" for name in ("cam1", "cam2", "cam3"))
    put(cam1, cam2, cam3)
    truth_beside(cam1)
    wellmap.save(wells(2), tmp_path / "all/cam1/wells.toml")
    wellmap.save(wells(3), tmp_path / "all/cam2/wells.toml")
    wellmap.save(wells(9), tmp_path / "wells.toml")  # above the archive: not part of it
    found = {clip.camera: clip for clip in archive.find([tmp_path / "all"], None)}
    assert {name: len(clip.wells or ()) for name, clip in found.items()} == {"all/cam1/day/v": 1, "all/cam2": 3, "": 0}
    assert "its wells are not known; put a wells.toml beside it" in (found[""].fault or "")
    given = archive.find([tmp_path / "all"], tmp_path / "wells.toml")
    assert {(clip.camera, len(clip.wells or ())) for clip in given} == {("wells", 9)}
    assert given[0].truth is not None


def test_a_reference_picture_is_named_for_whoever_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "v.mp4")
    (tmp_path / "wells.toml").write_text(
        'reference = "r.png"\n[[wells]]\nid = "1"\nx = 20.0\ny = 20.0\nwidth = 20.0\nheight = 10.0\n'
    )
    monkeypatch.chdir(tmp_path)
    (clip,) = archive.find([tmp_path], None)
    assert clip.wells is not None
    assert clip.wells.reference == (tmp_path / "r.png").resolve()
    assert np.array_equal(clip.wells.centres, [[20.0, 20.0]])


def test_a_missing_video_is_a_fault_of_its_own(tmp_path: Path) -> None:
    put(tmp_path / "a/v.mp4")
    clips = archive.find([tmp_path / "a", tmp_path / "gone.mp4"], None)
    assert [clip.name for clip in clips] == ["a/v.mp4", "gone.mp4"]
    assert clips[1].fault == f"{tmp_path / 'gone.mp4'} does not exist; check the path"


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "x/day/v.mp4", tmp_path / "y/day/v.mp4")
    with pytest.raises(ConfigError, match=r"two videos would be called day/v\.mp4") as caught:
        archive.find([tmp_path / "x/day", tmp_path / "y/day"], None)
    assert "\n" not in str(caught.value)


def test_an_archive_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no video in"):
        archive.find([tmp_path], None)
