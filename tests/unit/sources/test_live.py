"""LiveCamera: newest frame wins, blindness is told once, a camera is reopened for ever."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.errors import SourceError
from spillwatch.records import Frame, Gap
from spillwatch.sources import live
from spillwatch.sources.live import LiveCamera
from tests.support.sources import ScriptedSource, grey_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOST_AFTER_S = 2.0


class Clock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Camera:
    """A source that gives what the test hands over, step by step, over as many reconnections as it takes."""

    def __init__(self) -> None:
        self.steps: list[Frame | Exception | None] = []
        self.given = threading.Semaphore(0)
        self.woken = threading.Semaphore(0)
        self.opened = 0
        self.damaged = 0

    def give(self, *steps: Frame | Exception | None) -> None:
        """Hand steps over and wait until the camera's thread has told of each; None ends the stream."""
        for step in steps:
            self.steps.append(step)
            self.given.release()
            assert self.woken.acquire(timeout=5)

    def __enter__(self) -> Camera:
        self.opened += 1
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        while True:
            self.given.acquire()
            step = self.steps.pop(0)
            if step is None:
                return
            if isinstance(step, Exception):
                raise step
            yield step


def pausing(pause_s: float, _failures: int, *, refused: bool) -> float:
    return pause_s


def thread_of(watching: LiveCamera) -> threading.Thread:
    reader = watching._reader
    assert reader is not None
    return reader.thread


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
def watched(camera: Camera, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveCamera]:
    monkeypatch.setattr(live, "_pause_s", partial(pausing, 0.0))
    watching = LiveCamera("table", lambda: camera, lost_after_s=LOST_AFTER_S, wake=camera.woken.release, clock=clock)
    with watching:
        yield watching
        assert watching._reader is not None
        watching._reader.stop.set()
        for _ in range(1 + watching.counters.abandoned):
            camera.steps.append(None)
            camera.given.release()


def at(clock: Clock) -> Frame:
    return grey_frame(clock())


def test_each_frame_is_given_once(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    frame = at(clock)
    camera.give(frame)
    assert watched.take() is frame
    assert watched.take() is None


def test_the_newest_frame_wins_and_the_others_are_counted(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    frames = [at(clock) for _ in range(4)]
    camera.give(*frames)
    assert watched.take() is frames[-1]
    assert (watched.counters.frames, watched.counters.dropped) == (4, 3)


def test_a_camera_that_falls_silent_is_a_gap_once(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    camera.give(at(clock))
    watched.take()
    clock.now_s += 1.9
    assert watched.take() is None
    clock.now_s += 0.3
    gap = watched.take()
    assert isinstance(gap, Gap)
    assert (gap.camera, gap.time_s, gap.reason) == ("table", clock(), "no frame for 2.2 s")
    clock.now_s += 10
    assert watched.take() is None


def test_a_camera_that_never_came_is_a_gap(watched: LiveCamera, clock: Clock) -> None:
    assert watched.take() is None
    clock.now_s += LOST_AFTER_S
    assert isinstance(watched.take(), Gap)


def test_a_gap_tells_the_last_error(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    camera.give(at(clock))
    watched.take()
    camera.give(SourceError("camera 3 refuses this account; check it"))
    clock.now_s += LOST_AFTER_S
    gap = watched.take()
    assert isinstance(gap, Gap)
    assert gap.reason == "camera 3 refuses this account; check it"


def test_frames_end_a_gap_and_the_next_loss_is_a_new_one(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    kinds = []
    for _ in range(3):
        camera.give(at(clock))
        kinds.append(type(watched.take()))
        camera.give(SourceError("gone; check it"))
        clock.now_s += 3
        kinds.append(type(watched.take()))
        kinds.append(type(watched.take()))
    assert kinds == [Frame, Gap, type(None)] * 3
    assert (watched.counters.reconnects, watched.counters.stalls) == (2, 3)


def test_a_short_break_is_no_gap(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    camera.give(at(clock))
    watched.take()
    camera.give(None)
    clock.now_s += 1
    assert watched.take() is None
    camera.give(at(clock))
    assert isinstance(watched.take(), Frame)
    assert (watched.counters.reconnects, watched.counters.stalls, camera.opened) == (1, 0, 2)


def test_a_frame_older_than_the_gap_is_left_out(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    """It was taken before the gap was told and handed over after; time must not step back."""
    early = at(clock)
    clock.now_s += 3
    assert isinstance(watched.take(), Gap)
    camera.give(early)
    assert watched.take() is None
    camera.give(at(clock))
    assert isinstance(watched.take(), Frame)


def test_a_loss_is_logged_once_per_reason(
    watched: LiveCamera, camera: Camera, clock: Clock, log: list[dict[str, Any]]
) -> None:
    camera.give(
        at(clock), *[SourceError("refused; check it")] * 3, *[SourceError("no answer; check it")] * 3, at(clock)
    )
    told = [(entry["event"], entry.get("reason")) for entry in log]
    assert told == [
        ("source.lost", "refused; check it"),
        ("source.lost", "no answer; check it"),
        ("source.found", None),
    ]


def test_a_gap_is_told_again_when_its_reason_changes(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    clock.now_s += LOST_AFTER_S
    gaps = [watched.take()]
    for reason in ("refused; check it", "refused; check it", "no answer; check it"):
        camera.give(SourceError(reason))
        gaps.append(watched.take())
    assert [gap and gap.reason for gap in gaps if not isinstance(gap, Frame)] == [
        "no frame for 2.0 s",
        "refused; check it",
        None,
        "no answer; check it",
    ]
    assert watched.counters.stalls == 1


@pytest.mark.logs_error("source.crashed")
def test_what_a_library_throws_is_logged_once_and_survived(
    watched: LiveCamera, camera: Camera, clock: Clock, log: list[dict[str, Any]]
) -> None:
    fault = ZeroDivisionError("a mistake of theirs")
    camera.give(fault, fault, at(clock))
    assert isinstance(watched.take(), Frame)
    assert [(entry["event"], entry.get("exc_info")) for entry in log] == [
        ("source.crashed", fault),
        ("source.found", None),
    ]


def test_a_camera_that_comes_and_goes_does_not_flood_the_log(
    watched: LiveCamera, camera: Camera, clock: Clock, log: list[dict[str, Any]]
) -> None:
    for number in range(50):
        camera.give(at(clock), SourceError(f"fault {number}; check it"))
    watched.take()
    assert len(log) == 6
    clock.now_s += 61
    watched.take()
    told = [entry for entry in log if entry["event"] in {"source.found", "source.lost"}]
    assert (len(told), told[-1]["reason"], told[-1]["left_out"]) == (7, "fault 49; check it", 92)


def test_damaged_pictures_and_lag_are_counted(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    camera.damaged = 3
    camera.give(replace(at(clock), lag_s=0.25))
    camera.damaged = 5
    camera.give(None)
    assert (watched.counters.damaged, watched.counters.lag_s) == (5, 0.25)


class Hanging:
    """A source that blocks in the library, once open, until it is freed; then it gives a frame, as libraries do."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.damaged = 0
        self.inside = threading.Event()
        self.freed = threading.Event()
        self.closed = threading.Event()

    def __enter__(self) -> Hanging:
        return self

    def __exit__(self, *exc: object) -> None:
        self.closed.set()

    def __iter__(self) -> Iterator[Frame]:
        self.inside.set()
        assert self.freed.wait(20)
        yield self.frame


class HangingCamera:
    """One whose source hangs each time that it is opened, until ``works`` is set."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sources: list[Hanging] = []
        self.works = False

    def __call__(self) -> Hanging:
        source = Hanging(at(self.clock))
        if self.works:
            source.freed.set()
        self.sources.append(source)
        return source

    def hang(self, watching: LiveCamera, times: int) -> None:
        """Let its thread hang until it is given up, so many times."""
        for _ in range(times):
            count = len(self.sources)
            assert wait_for(self.sources[-1].inside.is_set)
            self.clock.now_s += live.STUCK_AFTER_S
            watching.take()
            if not wait_for(lambda count=count: len(self.sources) > count, within_s=0.3):  # type: ignore[misc]
                return


def wait_for(done: Callable[[], bool], within_s: float = 5.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not (success := done()) and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return success


def test_a_thread_that_hangs_is_given_up_and_another_opens_the_camera(clock: Clock, log: list[dict[str, Any]]) -> None:
    camera = HangingCamera(clock)
    woken = threading.Event()
    with LiveCamera("table", camera, lost_after_s=2, wake=woken.set, clock=clock) as watching:
        assert wait_for(lambda: bool(camera.sources))
        camera.works = True
        camera.hang(watching, 1)
        assert woken.wait(5)
        assert isinstance(watching.take(), Frame)
        first, second = camera.sources[:2]
        assert (watching.counters.abandoned, watching.counters.frames) == (1, 1)
        assert not first.closed.is_set()  # nobody touches what a library may be using
        first.freed.set()  # it comes back late, closes its own source, and gives nothing
        assert first.closed.wait(5)
        assert second.closed.wait(5)
        assert wait_for(lambda: "camera-table" not in [thread.name for thread in threading.enumerate()])
        watching.take()
    told = [(entry["event"], entry.get("thread")) for entry in log if "thread" in entry]
    assert told == [("source.thread_abandoned", "camera-table"), ("source.thread_ended", "camera-table")]


@pytest.mark.logs_error("source.threads_exhausted")
def test_only_so_many_threads_may_hang_and_the_camera_goes_on_when_one_ends(
    clock: Clock, log: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_JOIN_S", 0.05)
    camera = HangingCamera(clock)
    with LiveCamera("table", camera, lost_after_s=2, wake=lambda: None, clock=clock) as watching:
        assert wait_for(lambda: bool(camera.sources))
        camera.hang(watching, 9)
        assert len(camera.sources) == live.MAX_ABANDONED + 1
        gap = watching.take()
        assert gap is None or isinstance(gap, Gap)
        assert [entry["event"] for entry in log].count("source.threads_exhausted") == 1
        assert "5 threads hang" in (watching._told or "")
        camera.works = True
        camera.sources[0].freed.set()
        assert camera.sources[0].closed.wait(5)
        assert wait_for(lambda: isinstance(watching.take(), Frame))
        for source in camera.sources:
            source.freed.set()
    assert wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("camera-table")])


def test_a_source_that_cannot_be_opened_is_tried_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_pause_s", partial(pausing, 0.01))
    woken = threading.Semaphore(0)
    sources = iter([ScriptedSource(fails=SourceError("off; switch it on"))] * 3 + [ScriptedSource([grey_frame(200)])])
    last = ScriptedSource(fails=SourceError("off again; switch it on"))
    with LiveCamera("table", lambda: next(sources, last), lost_after_s=2, wake=woken.release, clock=clock) as watching:
        for _ in range(4):
            assert woken.acquire(timeout=5)
        assert isinstance(watching.take(), Frame)


def test_leaving_waits_for_a_reconnection_no_longer_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_pause_s", partial(pausing, 30.0))
    woken = threading.Event()
    source = ScriptedSource(fails=SourceError("off; switch it on"))
    watching = LiveCamera("table", lambda: source, lost_after_s=2, wake=woken.set)
    with watching:
        assert woken.wait(5)
    assert "camera-table" not in [thread.name for thread in threading.enumerate()]


def test_a_hanging_library_is_a_gap_and_is_left_behind(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, log: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(live, "_JOIN_S", 0.05)
    freed = threading.Event()
    hanging = ScriptedSource([5.0], sleep=freed.wait)
    with LiveCamera("table", lambda: hanging, lost_after_s=2, wake=lambda: None, clock=clock) as watching:
        thread = thread_of(watching)
        clock.now_s += 2
        assert isinstance(watching.take(), Gap)
    assert [entry["event"] for entry in log] == ["source.stuck"]
    freed.set()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("failures", "refused", "longest_s"),
    [
        *[(1, False, 1), (2, False, 2), (3, False, 2.5), (5000, False, 2.5)],
        *[(1, True, 1), (3, True, 4), (6, True, 30), (5000, True, 30)],
    ],
)
def test_an_absent_camera_is_tried_steadily_and_one_that_refuses_ever_more_rarely(
    failures: int, refused: bool, longest_s: float
) -> None:
    pauses = [live._pause_s(failures, refused=refused) for _ in range(200)]
    assert min(pauses) >= 0.1
    assert max(pauses) <= longest_s
    assert max(pauses) > longest_s / 2
    assert len(set(pauses)) > 100


def test_constructing_starts_nothing() -> None:
    def make() -> ScriptedSource:
        raise AssertionError("opened")

    make_source: Callable[[], ScriptedSource] = make
    LiveCamera("table", make_source, lost_after_s=2, wake=lambda: None)
