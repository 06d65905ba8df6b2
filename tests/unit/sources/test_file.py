"""FileSource: every frame, on the video's own clock, and plain words about what is wrong with a file."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from spillwatch.errors import SourceError
from spillwatch.pictures import to_bgr
from spillwatch.sources.file import FileSource
from tests.support.clips import moving_square, write_clip

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import Frame

FAST_START = {"movflags": "+faststart"}
EVEN = {"x264-params": "keyint=5"}  # so that half a file is about half the pictures


def read(path: Path) -> list[Frame]:
    with FileSource(path) as source:
        return list(source)


def read_until_error(path: Path) -> tuple[list[Frame], str]:
    frames: list[Frame] = []
    with FileSource(path) as source, pytest.raises(SourceError) as caught:
        frames.extend(source)
    return frames, str(caught.value)


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    short = path.with_stem(path.stem + "-cut")
    short.write_bytes(content[: int(len(content) * share)])
    return short


def test_says_what_the_file_holds(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", moving_square(25), fps=12.5)
    with FileSource(clip) as source:
        assert (source.width, source.height, source.fps, source.frames) == (320, 240, 12.5, 25)
        assert source.duration_s == pytest.approx(2.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "mov"])
def test_gives_every_frame_of_every_container(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg4" if suffix == "avi" else "libx264"
    clip = write_clip(tmp_path / f"c.{suffix}", moving_square(30), fps=10, codec=codec)
    frames = read(clip)
    assert len(frames) == 30
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(30) / 10, atol=1e-3)


def test_irregular_time_stamps_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.25, 0.5, 1.5, 2.0]
    clip = write_clip(tmp_path / "c.mkv", moving_square(5), fps=4, times_s=times)
    np.testing.assert_allclose([frame.time_s for frame in read(clip)], times, atol=1e-3)


def test_time_starts_at_the_first_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mkv", moving_square(4), fps=10, times_s=[5.0, 5.1, 5.2, 5.3])
    np.testing.assert_allclose([frame.time_s for frame in read(clip)], [0, 0.1, 0.2, 0.3], atol=1e-3)


def test_a_raw_stream_without_time_stamps_counts_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.h264", moving_square(10), fps=25)
    with FileSource(clip) as source:
        times = [frame.time_s for frame in source]
    np.testing.assert_allclose(times, np.arange(10) / source.fps)


def test_wall_clock_is_the_recording_time_or_1970(tmp_path: Path) -> None:
    dated = {"creation_time": "2026-11-24T10:00:00.000000Z"}
    with_time = read(write_clip(tmp_path / "a.mp4", moving_square(3), fps=10, metadata=dated))
    without = read(write_clip(tmp_path / "b.mp4", moving_square(3), fps=10))
    assert with_time[2].at == datetime(2026, 11, 24, 10, 0, 0, 200_000, UTC)
    assert without[0].at == datetime(1970, 1, 1, tzinfo=UTC)
    assert without[2].at - without[0].at == timedelta(seconds=0.2)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "full_range"),
    [
        ("libx264", "yuv420p", False),
        ("libx264", "yuv422p", False),
        ("libx264", "yuv420p10le", False),
        ("mjpeg", "yuvj420p", True),
        ("mjpeg", "yuvj422p", True),
        ("ffv1", "bgr0", False),
        ("rawvideo", "nv12", False),
    ],
)
def test_every_pixel_format_shows_the_same_picture(tmp_path: Path, codec: str, pix_fmt: str, full_range: bool) -> None:
    original = next(iter(moving_square(1)))
    clip = write_clip(tmp_path / "c.mkv", [original] * 2, codec=codec, pix_fmt=pix_fmt)
    planes = read(clip)[1].planes
    assert planes.full_range is full_range
    assert np.abs(to_bgr(planes).astype(int) - original[:, :, ::-1]).mean() < 8  # JPEG is coarse


def test_odd_sizes_keep_their_last_row_and_column(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mkv", moving_square(2, width=101, height=75), codec="ffv1", pix_fmt="yuv420p")
    planes = read(clip)[0].planes
    assert planes.y.shape == (75, 101)
    assert planes.u.shape == planes.v.shape == (38, 51)


def test_planes_are_read_only_views(tmp_path: Path) -> None:
    planes = read(write_clip(tmp_path / "c.mp4", moving_square(2)))[0].planes
    with pytest.raises(ValueError, match="read-only"):
        planes.y[0, 0] = 1


def test_two_replays_agree(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", moving_square(10))
    for one, other in zip(read(clip), read(clip), strict=True):
        assert (one.at, one.time_s) == (other.at, other.time_s)
        np.testing.assert_array_equal(one.planes.y, other.planes.y)


def test_a_title_in_another_encoding_is_no_fault(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mkv", moving_square(3), metadata={"title": "table"})
    clip.write_bytes(clip.read_bytes().replace(b"table", "литье".encode("cp1251")))
    assert len(read(clip)) == 3


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.mp4 does not exist"), FileSource(tmp_path / "none.mp4"):
        pass


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a directory"), FileSource(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.mp4", b"", "is empty"),
        ("a.mp4", bytes(np.random.default_rng(1).integers(0, 256, 50_000, np.uint8)), "is not a video"),
        ("a.mp4", b"<html>404</html>" * 100, "is not a video"),
        ("notes.txt", b"07:10 all wells fine\n" * 100, "holds no video"),
    ],
)
def test_not_a_video(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=says) as caught, FileSource(path):
        pass
    assert str(path) in str(caught.value)
    assert "; " in str(caught.value)


def test_sound_without_pictures(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(SourceError, match="holds no video"), FileSource(path):
        pass


def test_a_recording_that_was_never_finished(tmp_path: Path) -> None:
    """Its index stands at the end of the file, which is missing."""
    clip = cut(write_clip(tmp_path / "c.mp4", moving_square(50)), 0.5)
    with pytest.raises(SourceError, match="was cut short while it was written"), FileSource(clip):
        pass


@pytest.mark.parametrize(("suffix", "options"), [("mp4", FAST_START), ("mkv", None)])
def test_a_cut_copy_gives_what_is_there_and_says_what_is_missing(
    tmp_path: Path, suffix: str, options: dict[str, str] | None
) -> None:
    whole = write_clip(tmp_path / f"c.{suffix}", moving_square(100), fps=25, options=EVEN, container_options=options)
    frames, said = read_until_error(cut(whole, 0.6))
    assert 30 < len(frames) < 90
    assert f"is cut short: {len(frames)} of 100 frames" in said
    assert "of 4.0 s" in said


def test_a_cut_transport_stream_simply_ends(tmp_path: Path) -> None:
    """It promises no length."""
    whole = write_clip(tmp_path / "c.ts", moving_square(100), fps=25, options=EVEN)
    assert 30 < len(read(cut(whole, 0.6))) < 90


def test_a_file_without_one_good_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", moving_square(10), container_options=FAST_START)
    content = bytearray(clip.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    clip.write_bytes(content)
    frames, said = read_until_error(clip)
    assert not frames
    assert "no frame that can be decoded" in said


def test_damage_in_the_midst_does_not_stop_it(tmp_path: Path, log: list[Any]) -> None:
    clip = write_clip(tmp_path / "c.mp4", moving_square(100), options=EVEN, container_options=FAST_START)
    content = bytearray(clip.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    content[middle : middle + 600] = np.random.default_rng(3).integers(0, 256, 600, np.uint8).tobytes()
    clip.write_bytes(content)
    assert len(read(clip)) > 90
    assert [entry["event"] for entry in log] == ["source.damaged"]


def test_a_few_frames_fewer_than_promised_are_no_fault(tmp_path: Path) -> None:
    """Cutting tools leave the last ones out."""
    clip = write_clip(tmp_path / "c.mkv", moving_square(100), fps=25, times_s=(i / 25 for i in range(100)))
    content = clip.read_bytes().replace(b"00:00:04.0", b"00:00:04.1")  # the length that the container states
    clip.write_bytes(content)
    assert len(read(clip)) == 100


def test_reading_outside_the_with_block_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="with block"):
        next(iter(FileSource(tmp_path / "a.mp4")))


def test_time_never_steps_back_where_time_stamps_do(tmp_path: Path) -> None:
    """A transport stream that was recorded over a restart of its camera: the second half starts at zero again."""
    part = write_clip(tmp_path / "part.ts", moving_square(20), fps=10).read_bytes()
    clip = tmp_path / "c.ts"
    clip.write_bytes(part + part)
    times = [frame.time_s for frame in read(clip)]
    assert len(times) == 40
    assert all(late > early for early, late in itertools.pairwise(times))
    assert math.isclose(times[-1], 3.9, abs_tol=0.2)
