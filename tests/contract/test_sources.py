"""What every source of frames promises, whatever it reads."""

from __future__ import annotations

import itertools
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np
import pytest

from spillwatch.config import CameraSettings
from spillwatch.errors import SourceError
from spillwatch.sources.file import FileSource
from spillwatch.sources.rtsp import RtspSource
from tests.support.clips import ZERO_LATENCY, moving_square, write_clip
from tests.support.sources import ScriptedSource, grey_frame
from tools.rig.rtsp import RtspServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spillwatch.sources.base import Source

WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    clip = tmp_path_factory.mktemp("rtsp") / "cam.h264"
    write_clip(clip, moving_square(48), fps=25, options=ZERO_LATENCY)
    with RtspServer(clip) as server:
        yield server


@pytest.fixture(params=["file", "rtsp", "scripted"])
def make_source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Source]:
    if request.param == "file":
        clip = write_clip(tmp_path / "clip.mp4", moving_square(12))
        return lambda: FileSource(clip, camera="table")
    if request.param == "rtsp":
        url = request.getfixturevalue("camera").url()
        settings = CameraSettings(id="table", kind="rtsp", wells=tmp_path / "w.toml", url=url)
        return lambda: RtspSource(settings)
    return lambda: ScriptedSource([grey_frame(index * 0.08) for index in range(12)])


@pytest.fixture(params=["file", "rtsp", "scripted"])
def make_absent(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Source]:
    """A source that is not there."""
    if request.param == "file":
        return lambda: FileSource(tmp_path / "none.mp4")
    if request.param == "rtsp":
        settings = CameraSettings(id="table", kind="rtsp", wells=tmp_path / "w.toml", url="rtsp://127.0.0.1:1/cam")
        return lambda: RtspSource(settings)
    return lambda: ScriptedSource(fails=SourceError("the camera is off; switch it on"))


def test_gives_frames_of_its_camera_in_time_order(make_source: Callable[[], Source]) -> None:
    with make_source() as source:
        frames = list(itertools.islice(source, 10))
    times = [frame.time_s for frame in frames]
    assert len(frames) == 10
    assert times == sorted(times)
    assert times[-1] > times[0]
    assert [frame.at for frame in frames] == sorted(frame.at for frame in frames)
    assert {frame.camera for frame in frames} == {"table"}
    assert all(frame.at.tzinfo is UTC for frame in frames)


def test_planes_are_whole_and_outlive_the_source(make_source: Callable[[], Source]) -> None:
    with make_source() as source:
        frames = list(itertools.islice(source, 10))
        copies = [frame.planes.y.copy() for frame in frames]
    for frame, copy in zip(frames, copies, strict=True):
        planes = frame.planes
        assert planes.y.shape == (HEIGHT, WIDTH)
        assert planes.u.shape == planes.v.shape == (HEIGHT // 2, WIDTH // 2)
        assert planes.y.dtype == planes.u.dtype == planes.v.dtype == np.uint8
        np.testing.assert_array_equal(planes.y, copy)


def test_constructing_opens_nothing(make_absent: Callable[[], Source]) -> None:
    make_absent()


def test_entering_an_absent_source_says_what_to_do(make_absent: Callable[[], Source]) -> None:
    with pytest.raises(SourceError, match=r"; (check|switch)"), make_absent():
        pass


def test_can_be_left_unread_and_made_again(make_source: Callable[[], Source]) -> None:
    for _ in range(3):
        with make_source():
            pass
    with make_source() as source:
        assert next(iter(source)).planes.width == WIDTH


def test_leaving_does_not_swallow_exceptions(make_source: Callable[[], Source]) -> None:
    with pytest.raises(ZeroDivisionError), make_source():
        _ = 1 / 0
