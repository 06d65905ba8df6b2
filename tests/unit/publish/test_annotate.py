"""The annotated video: every frame, at its time, with what people must see."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from spillwatch.errors import PublishError
from spillwatch.pictures import from_bgr
from spillwatch.publish.annotate import AnnotatedVideo, clock, snapshot
from spillwatch.records import U8, Frame, Planes, View, Wells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WELLS = Wells(
    ids=("1U1", "1U2", "1L1", "1L2"),
    centres=np.array([[80.0, 120.0], [180.0, 120.0], [80.0, 180.0], [180.0, 180.0]]),
    sizes=np.full((4, 2), [48.0, 28.0]),
    in_service=np.array([True, True, True, False]),
)


def planes(width: int = 320, height: int = 240, *, grey: int = 100) -> Planes:
    half = ((height + 1) // 2, (width + 1) // 2)
    return Planes(np.full((height, width), grey, np.uint8), np.full(half, 128, np.uint8), np.full(half, 128, np.uint8))


def frame(time_s: float, picture: Planes | None = None) -> Frame:
    return Frame("c", datetime(2026, 1, 1, tzinfo=UTC), time_s, picture or planes())


def view(*, active: int | None = None, evidence: float = 0.0, score: float = np.nan) -> View:
    """``evidence`` and ``score`` are those of the first well."""
    scores, gathered = np.full(4, np.nan, np.float32), np.zeros(4, np.float32)
    scores[0], gathered[0] = score, evidence
    return View(0.0, scores, gathered, np.arange(4) == (-1 if active is None else active))


def decoded(path: Path) -> list[tuple[float, U8]]:
    with av.open(str(path)) as container:
        return [(float(f.time or 0), f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]


def drawn(path: Path, seen: View, alarms: tuple[str, ...] = (), picture: Planes | None = None) -> U8:
    """One frame, as a player shows it."""
    with AnnotatedVideo(path, WELLS, fps=25, on_s=0.8) as video:
        video.write(frame(0.0, picture), seen, alarms)
    return decoded(path)[0][1]


def around(picture: U8, well: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(pixels, 3) B, G, R of a well's oval and its box."""
    (x, y), (width, height) = WELLS.centres[well].astype(int), WELLS.sizes[well].astype(int)
    return picture[y - height // 2 - 8 : y + height // 2 + 8, x - width // 2 - 8 : x + width // 2].reshape(-1, 3) + 0


def reddish(picture: U8, well: int) -> int:
    b, g, r = around(picture, well).astype(int).T
    return int(((r > 150) & (g < 100) & (b < 100)).sum())


def amber(picture: U8, well: int) -> int:
    b, g, r = around(picture, well).astype(int).T
    return int(((r > 180) & (g > 110) & (b < 110)).sum())


def test_as_many_frames_as_written_at_their_times(tmp_path: Path) -> None:
    times_s = [5.0, 5.04, 5.08, 5.2, 5.9, 5.94]
    with AnnotatedVideo(tmp_path / "a.mp4", WELLS, fps=25, on_s=0.8) as video:
        for time_s in times_s:
            video.write(frame(time_s), view(), [])
    shown_s = [time_s for time_s, _ in decoded(tmp_path / "a.mp4")]
    assert shown_s == pytest.approx([time_s - 5.0 for time_s in times_s], abs=1e-4)


def test_time_that_stands_still_loses_no_frame(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "a.mp4", WELLS, fps=25, on_s=0.8) as video:
        for time_s in (0.0, 0.04, 0.04, 0.08):
            video.write(frame(time_s), view(), [])
    assert len(decoded(tmp_path / "a.mp4")) == 4


def test_h264_that_any_player_takes_and_that_streams(tmp_path: Path) -> None:
    drawn(tmp_path / "a.mp4", view())
    with av.open(str(tmp_path / "a.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_active_well_is_red_and_boxed(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.mp4", view(active=1), ("spill 1U2",))
    assert reddish(picture, 1) > 300
    assert reddish(picture, 0) == 0
    left = round(WELLS.centres[1, 0] - WELLS.sizes[1, 0] / 2 - 5)
    assert picture[110:130, left - 1 : left + 2].max(axis=(1, 2)).min() > 200


def test_an_alarm_shows_even_on_a_well_out_of_service(tmp_path: Path) -> None:
    assert reddish(drawn(tmp_path / "a.mp4", view(active=3)), 3) > 300


def test_well_turns_amber_while_evidence_gathers(tmp_path: Path) -> None:
    assert amber(drawn(tmp_path / "a.mp4", view(evidence=0.4)), 0) > 100
    assert amber(drawn(tmp_path / "b.mp4", view(evidence=0.05)), 0) == 0


def test_score_is_written_only_where_there_is_one(tmp_path: Path) -> None:
    label = np.s_[120:136, 108:145]
    without = drawn(tmp_path / "a.mp4", view())[label].max()
    assert drawn(tmp_path / "b.mp4", view(score=0.0034))[label].max() > without + 80


def test_panel_names_the_alarms(tmp_path: Path) -> None:
    quiet, alarmed = drawn(tmp_path / "a.mp4", view()), drawn(tmp_path / "b.mp4", view(), ("spill 1U2", "obstructed"))
    assert np.abs(quiet[:60].astype(int) - alarmed[:60]).max() > 80
    many = drawn(tmp_path / "c.mp4", view(), tuple(f"spill {number}" for number in range(84)))
    assert many.shape == quiet.shape


def test_odd_sizes_lose_their_last_row_and_column(tmp_path: Path) -> None:
    assert drawn(tmp_path / "a.mp4", view(active=1), picture=planes(321, 241)).shape == (240, 320, 3)


def test_wells_at_and_beyond_the_edge_are_drawn_as_far_as_they_are_seen(tmp_path: Path) -> None:
    assert drawn(tmp_path / "a.mp4", view(active=1), picture=planes(180, 122)).shape == (122, 180, 3)


def test_full_range_stays_full_range(tmp_path: Path) -> None:
    white = planes(grey=255)
    picture = drawn(tmp_path / "a.mp4", view(), picture=Planes(white.y, white.u, white.v, full_range=True))
    assert picture[220:].min() > 250
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.color_range == 2


def test_the_source_picture_is_left_alone(tmp_path: Path) -> None:
    picture = planes()
    drawn(tmp_path / "a.mp4", view(active=1), picture=picture)
    assert (picture.y == 100).all()


def test_a_change_of_size_is_an_error(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "a.mp4", WELLS, fps=25, on_s=0.8) as video:
        video.write(frame(0.0), view(), [])
        with pytest.raises(PublishError, match=r"320×240.*one of 160×120"):
            video.write(frame(0.1, planes(160, 120)), view(), [])


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "a.mp4", WELLS, fps=25, on_s=0.8):
        pass
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("name", ["missing/a.mp4", "."])
def test_unwritable_path_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(PublishError, match=r"^The annotated video .* cannot be written \(.+\); name a file in"):
        AnnotatedVideo(tmp_path / name, WELLS, fps=25, on_s=0.8).__enter__()


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may grow beyond 20 kB: a full disk, to a writer. No fixture, since pytest itself writes between."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("frames", [4, 60])
def test_full_disk_is_one_sentence_whether_met_on_the_way_or_at_the_end(tmp_path: Path, frames: int) -> None:
    noise = from_bgr(np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8))

    def write() -> None:
        with AnnotatedVideo(tmp_path / "a.mp4", WELLS, fps=25, on_s=0.8) as video:
            for number in range(frames):
                video.write(frame(number / 25, noise), view(), [])

    said = r"a\.mp4 cannot be written \(File too large\); name a file in a folder"
    with small_disk(), pytest.raises(PublishError, match=said):
        write()


def test_snapshot_shows_the_well_in_its_oval() -> None:
    picture = snapshot(planes(640, 480), WELLS, 1)
    assert picture.dtype == np.uint8
    assert 600 <= picture.shape[1] <= 700
    assert picture.max() > 240
    assert np.ptp(picture[:20]) < 10


def test_snapshot_at_the_edge_of_an_odd_picture() -> None:
    corner = Wells(("a",), np.array([[318.0, 238.0]]), np.array([[48.0, 28.0]]), np.array([True]))
    assert snapshot(planes(321, 241), corner, 0).shape[2] == 3


@pytest.mark.parametrize(
    ("time_s", "text"), [(0.0, "00:00.00"), (59.999, "01:00.00"), (83.25, "01:23.25"), (3723.5, "1:02:03.50")]
)
def test_clock(time_s: float, text: str) -> None:
    assert clock(time_s) == text
