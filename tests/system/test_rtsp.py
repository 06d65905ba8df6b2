"""A real RTSP server: what a camera does in a plant, from a wrong password to a pulled plug."""

from __future__ import annotations

import gc
import itertools
import socket
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from av.container import InputContainer

from spillwatch.config import CameraSettings
from spillwatch.errors import SourceError
from spillwatch.records import Frame, Gap
from spillwatch.sources import rtsp
from spillwatch.sources.lag import LATE_S
from spillwatch.sources.live import LiveCamera
from spillwatch.sources.rtsp import RtspSource
from tests.support.clips import ZERO_LATENCY, moving_square, write_clip
from tools.rig.broker import Relay
from tools.rig.rtsp import RtspServer

if TYPE_CHECKING:
    from collections.abc import Iterator

FPS = 25.0
LOST_AFTER_S = 1.0
PASSWORD = "p@ss/w:rd%41#"  # noqa: S105 - what people choose; each of these has a meaning in a URL


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("rtsp") / "cam.h264", moving_square(48), fps=FPS, options=ZERO_LATENCY)


@pytest.fixture(scope="module")
def server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer(clip, fps=FPS) as running:
        yield running


@pytest.fixture(scope="module")
def locked_server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer(clip, fps=FPS, account=f"eva:{PASSWORD}") as running:
        yield running


@pytest.fixture
def own_server(clip: Path) -> Iterator[RtspServer]:
    """One that the test may kill or freeze."""
    with RtspServer(clip, fps=FPS) as running:
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def settings(url: str, **more: object) -> CameraSettings:
    return CameraSettings.model_validate(
        {"id": "table", "kind": "rtsp", "wells": "w.toml", "url": url, "open_timeout_s": 3, "read_timeout_s": 1, **more}
    )


def refusal(camera: CameraSettings) -> str:
    """Everything that a log could show of a failure to open."""
    with pytest.raises(SourceError) as caught, RtspSource(camera):
        pass
    return "".join(traceback.format_exception(caught.value))


def test_frames_arrive_in_real_time(server: RtspServer) -> None:
    began_s = time.monotonic()
    with RtspSource(settings(server.url())) as source:
        frames = list(itertools.islice(source, 50))
    assert frames[0].time_s - began_s < 1.0
    steps = np.diff([frame.time_s for frame in frames])
    assert np.median(steps) == pytest.approx(1 / FPS, rel=0.25)
    assert abs((frames[-1].at - datetime.now(UTC)).total_seconds()) < 1
    assert any((frames[0].planes.y != frame.planes.y).any() for frame in frames[1:])


def test_a_second_viewer_waits_for_a_whole_picture(server: RtspServer) -> None:
    """It joins between two key frames; half a picture would look like a fault in the wells."""
    with RtspSource(settings(server.url())) as first:
        watching = iter(first)
        sharp = next(watching).planes.y.astype(int)
        next(watching)
        with RtspSource(settings(server.url())) as second:
            joined = next(iter(second)).planes.y.astype(int)
    still = np.s_[130:, :]  # below the moving square
    assert np.abs(joined[still] - sharp[still]).mean() < 3


def test_a_stream_that_cannot_be_decoded_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key frames are so rare that a viewer who joins has nothing to begin with."""
    monkeypatch.setattr(rtsp, "_KEY_FRAME_WAIT_S", 0.3)
    options = {**ZERO_LATENCY, "x264-params": "aud=1:keyint=48:scenecut=0"}
    clip = write_clip(tmp_path / "rare.h264", moving_square(48), fps=FPS, options=options)
    with RtspServer(clip, fps=FPS) as server, RtspSource(settings(server.url())) as first:
        next(iter(first))
        with (
            RtspSource(settings(server.url())) as second,
            pytest.raises(SourceError, match="h264 that cannot be decoded; set the camera to"),
        ):
            next(iter(second))


def test_account_from_a_password_file(locked_server: RtspServer, secret: Path) -> None:
    with RtspSource(settings(locked_server.url(), username="eva", password_file=secret)) as source:
        assert next(iter(source)).camera == "table"


def test_account_from_the_url(locked_server: RtspServer) -> None:
    with RtspSource(settings(locked_server.url("eva:p%40ss%2Fw%3Ard%2541%23"))) as source:
        assert next(iter(source)).planes.width == 320


def test_wrong_password_is_told_but_not_shown(locked_server: RtspServer) -> None:
    said = refusal(settings(locked_server.url("eva:geheim")))
    assert f"rtsp://eva:***@127.0.0.1:{locked_server.port}/cam refuses this account (401); check username" in said
    assert "geheim" not in said


def test_no_password_at_all(locked_server: RtspServer) -> None:
    assert "refuses this account (401)" in refusal(settings(locked_server.url()))


def test_wrong_path(server: RtspServer) -> None:
    assert "/nothing has no stream of this name (404)" in refusal(settings(server.url(path="nothing")))


def test_nobody_listens() -> None:
    said = refusal(settings("rtsp://eva:geheim@127.0.0.1:1/cam"))
    assert "refuses the connection; check that the camera is on" in said
    assert "geheim" not in said


def test_unknown_host() -> None:
    said = refusal(settings("rtsp://eva:geheim@no-such-camera.invalid/cam"))
    assert "rtsp://eva:***@no-such-camera.invalid/cam cannot be opened" in said
    assert "geheim" not in said


def test_a_url_that_is_none() -> None:
    said = refusal(settings("rtsp://eva:ge[heim@10.0.0.5/cam"))
    assert "percent-encode" in said
    assert "ge[heim" not in said


def test_a_host_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        said = refusal(settings(f"rtsp://eva:geheim@127.0.0.1:{silent.getsockname()[1]}/cam", open_timeout_s=1))
    assert "does not answer within" in said
    assert "geheim" not in said
    assert time.monotonic() - began_s < 2.5


def test_a_killed_server_ends_the_stream(own_server: RtspServer) -> None:
    with RtspSource(settings(own_server.url())) as source:
        frames = iter(source)
        next(frames)
        own_server.kill()
        with pytest.raises(SourceError, match=r"the stream ended|broke off"):
            list(frames)


def test_a_frozen_server_is_noticed(own_server: RtspServer) -> None:
    with RtspSource(settings(own_server.url("eva:geheim"))) as source:
        frames = iter(source)
        next(frames)
        own_server.freeze()
        with pytest.raises(SourceError, match="is silent for 1 s") as caught:
            list(frames)
    assert "geheim" not in "".join(traceback.format_exception(caught.value))


class Watch:
    """The daemon's main loop in small: waits to be woken, takes what there is."""

    def __init__(self, camera: CameraSettings) -> None:
        self.woken = threading.Event()
        self.lags_s: list[float] = []
        self.live = LiveCamera(camera.id, lambda: RtspSource(camera), lost_after_s=LOST_AFTER_S, wake=self.woken.set)

    def until(self, kind: type[Frame] | type[Gap], within_s: float) -> Frame | Gap:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            taken = self.live.take()
            if isinstance(taken, kind):
                return taken
            self.woken.wait(0.05)
            self.woken.clear()
        pytest.fail(f"no {kind.__name__} within {within_s} s")

    def until_counted(self, name: str, count: int, *, within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        while getattr(self.live.counters, name) < count:
            assert time.monotonic() < deadline_s, f"{self.live.counters} after {within_s} s"
            taken = self.live.take()
            self.lags_s += [taken.lag_s] if isinstance(taken, Frame) else []
            self.woken.wait(0.05)
            self.woken.clear()


def test_a_killed_camera_is_a_gap_and_comes_back(own_server: RtspServer) -> None:
    watch = Watch(settings(own_server.url()))
    with watch.live:
        watch.until(Frame, 5)
        own_server.kill()
        gap = watch.until(Gap, LOST_AFTER_S + 1)
        assert isinstance(gap, Gap)
        assert "refuses the connection" in gap.reason or "ended" in gap.reason or "broke off" in gap.reason
        own_server.start()
        watch.until(Frame, 30)  # the longest pause between two tries
        assert watch.live.counters.reconnects == 1


def test_a_frozen_camera_is_a_gap_and_comes_back(own_server: RtspServer) -> None:
    watch = Watch(settings(own_server.url()))
    with watch.live:
        last = watch.until(Frame, 5)
        own_server.freeze()
        gap = watch.until(Gap, LOST_AFTER_S + 1)
        assert last.time_s < gap.time_s
        time.sleep(LOST_AFTER_S)
        assert not isinstance(watch.live.take(), Frame)  # no leftover of before the silence
        own_server.thaw()
        assert watch.until(Frame, 30).time_s > gap.time_s


def test_a_slow_reader_gets_the_newest_frame(server: RtspServer) -> None:
    watch = Watch(settings(server.url()))
    with watch.live:
        watch.until(Frame, 5)
        time.sleep(1.0)
        frame = watch.live.take()
        assert isinstance(frame, Frame)
        assert time.monotonic() - frame.time_s < 3 / FPS
        assert watch.live.counters.dropped >= 15


def test_leaving_takes_less_than_a_second(server: RtspServer) -> None:
    watch = Watch(settings(server.url()))
    with watch.live:
        watch.until(Frame, 5)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1
    assert "camera-table" not in [thread.name for thread in threading.enumerate()]


def holdings() -> tuple[int, int]:
    """Threads and open descriptors of this process."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def test_no_thread_or_descriptor_is_leaked_by_cameras_that_die_and_hang(own_server: RtspServer) -> None:
    watch = Watch(settings(own_server.url()))
    with watch.live:
        watch.until(Frame, 5)
        before = holdings()
        for fault in ("kill", "freeze") * 3:
            getattr(own_server, fault)()
            watch.until(Gap, LOST_AFTER_S + 1)
            (own_server.start if fault == "kill" else own_server.thaw)()
            back_s = time.monotonic()
            watch.until(Frame, 10)
            assert time.monotonic() - back_s < 5
        time.sleep(0.5)
        assert holdings() == before
        counters = watch.live.counters
        assert (counters.stalls, counters.reconnects, counters.abandoned) == (6, 6, 0)


def test_a_lost_connection_leaves_no_decoder_behind(own_server: RtspServer) -> None:
    """Nor its pictures: 11 MB at 1920x1200, which an exception's traceback would hold on to."""
    watch = Watch(settings(own_server.url()))
    gc.collect()
    gc.disable()  # a cycle may wait for the collector for hours
    try:
        with watch.live:
            for _ in range(3):
                watch.until(Frame, 10)
                own_server.freeze()
                watch.until(Gap, LOST_AFTER_S + 1)
                own_server.thaw()
            watch.until(Frame, 10)
            held = [thing for thing in gc.get_objects() if issubclass(type(thing), InputContainer)]
            assert len(held) == 1
    finally:
        gc.enable()


def test_a_damaged_stream_gives_whole_pictures_only(own_server: RtspServer) -> None:
    still = np.s_[128:240, :]  # below the moving square
    with RtspSource(settings(own_server.url())) as source:
        pictures = iter(source)
        sharp = next(pictures).planes.y[still].astype(int)
        own_server.corrupt(share=0.15, seed=1)
        given = [frame.planes.y[still] for frame in itertools.islice(pictures, 60)]
        assert own_server.corrupt(share=0.0, seed=0) > 3
        assert source.damaged > 3
        worst = max(_worst_block(np.abs(picture - sharp)) for picture in given)
        assert worst < 6
        clean = list(itertools.islice(pictures, 30))  # it recovers by itself
    assert np.median(np.diff([frame.time_s for frame in clean])) == pytest.approx(1 / FPS, rel=0.25)


def _worst_block(difference: npt.NDArray[np.int64]) -> float:
    """Mean of the macroblock that differs most."""
    rows, columns = (side // 16 for side in difference.shape)
    return float(difference.reshape(rows, 16, columns, 16).mean(axis=(1, 3)).max())


def test_a_camera_that_changes_its_resolution_gives_pictures_of_the_new_size(clip: Path, tmp_path: Path) -> None:
    """Whether its wells are where they were is the registration's to say."""
    small = write_clip(tmp_path / "small.h264", moving_square(48, width=160, height=120), fps=FPS, options=ZERO_LATENCY)
    both = tmp_path / "both.h264"
    both.write_bytes(clip.read_bytes() + small.read_bytes())
    with RtspServer(both, fps=FPS) as server, RtspSource(settings(server.url())) as source:
        sizes = [frame.planes.width for frame in itertools.islice(source, 130)]
    assert [width for width, _ in itertools.groupby(sizes)][:3] == [320, 160, 320]
    assert source.damaged == 0


def test_a_camera_that_changes_its_codec_is_opened_anew(own_server: RtspServer, tmp_path: Path) -> None:
    h264, h265 = own_server.clip, tmp_path / "cam.h265"
    options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "aud=1:keyint=12:log-level=none"}
    write_clip(h265, moving_square(48), fps=FPS, codec="libx265", options=options)
    watch = Watch(settings(own_server.url()))
    with watch.live:
        watch.until(Frame, 5)
        for number, clip in enumerate((h265, h264), start=1):
            own_server.kill()
            own_server.clip = clip
            own_server.start()
            watch.until_counted("reconnects", number, within_s=10)


def test_a_stream_that_lags_is_opened_anew(server: RtspServer) -> None:
    with Relay(server.port) as relay:
        watch = Watch(settings(f"rtsp://127.0.0.1:{relay.port}/cam", read_timeout_s=3))
        with watch.live:
            watch.until(Frame, 5)
            time.sleep(1)
            relay.slow(50_000)  # half of what the stream takes
            watch.until_counted("reconnects", 1, within_s=20)
        assert max(watch.lags_s) > LATE_S
