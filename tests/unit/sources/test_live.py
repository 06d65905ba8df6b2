"""LiveCamera: newest frame wins, blindness is told once, a camera is reopened for ever."""

from __future__ import annotations

import threading
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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
def watched(camera: Camera, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveCamera]:
    monkeypatch.setattr(live, "_pause_s", lambda _failures: 0.0)
    watching = LiveCamera("table", lambda: camera, lost_after_s=LOST_AFTER_S, wake=camera.woken.release, clock=clock)
    with watching:
        yield watching
        watching._stop.set()
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
    assert (watched.frames, watched.dropped) == (4, 3)


def test_a_camera_that_falls_silent_is_a_gap_once(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    camera.give(at(clock))
    watched.take()
    clock.now_s += 1.9
    assert watched.take() is None
    clock.now_s += 0.3
    gap = watched.take()
    assert isinstance(gap, Gap)
    assert (gap.camera, gap.time_s, gap.reason) == ("table", clock(), "no frame for 2.2 s")
    clock.now_s += 100
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
    assert watched.reconnects == 2


def test_a_short_break_is_no_gap(watched: LiveCamera, camera: Camera, clock: Clock) -> None:
    camera.give(at(clock))
    watched.take()
    camera.give(None)
    clock.now_s += 1
    assert watched.take() is None
    camera.give(at(clock))
    assert isinstance(watched.take(), Frame)
    assert (watched.reconnects, camera.opened) == (1, 2)


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


def test_an_unexpected_exception_reaches_the_owner(watched: LiveCamera, camera: Camera) -> None:
    camera.give(ZeroDivisionError("a mistake of ours"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            watched.take()
    watched._thread.join(5)


def test_a_source_that_cannot_be_opened_is_tried_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_pause_s", lambda _failures: 0.01)
    woken = threading.Semaphore(0)
    sources = iter([ScriptedSource(fails=SourceError("off; switch it on"))] * 3 + [ScriptedSource([grey_frame(200)])])
    last = ScriptedSource(fails=SourceError("off again; switch it on"))
    with LiveCamera("table", lambda: next(sources, last), lost_after_s=2, wake=woken.release, clock=clock) as watching:
        for _ in range(4):
            assert woken.acquire(timeout=5)
        assert isinstance(watching.take(), Frame)


def test_leaving_waits_for_a_reconnection_no_longer_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_pause_s", lambda _failures: 30.0)
    woken = threading.Event()
    source = ScriptedSource(fails=SourceError("off; switch it on"))
    watching = LiveCamera("table", lambda: source, lost_after_s=2, wake=woken.set)
    with watching:
        assert woken.wait(5)
    assert not watching._thread.is_alive()


def test_a_hanging_library_is_a_gap_and_is_left_behind(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, log: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(live, "_JOIN_S", 0.05)
    freed = threading.Event()
    hanging = ScriptedSource([5.0], sleep=freed.wait)
    with LiveCamera("table", lambda: hanging, lost_after_s=2, wake=lambda: None, clock=clock) as watching:
        clock.now_s += 2
        assert isinstance(watching.take(), Gap)
    assert [entry["event"] for entry in log] == ["source.stuck"]
    freed.set()
    watching._thread.join(5)
    assert not watching._thread.is_alive()


@pytest.mark.parametrize(("failures", "longest_s"), [(1, 1), (2, 2), (3, 4), (6, 30), (5000, 30)])
def test_retries_come_ever_later_but_within_half_a_minute(failures: int, longest_s: float) -> None:
    pauses = [live._pause_s(failures) for _ in range(200)]
    assert min(pauses) >= 0.1
    assert max(pauses) <= longest_s
    assert max(pauses) > longest_s / 2
    assert len(set(pauses)) > 100


def test_constructing_starts_nothing() -> None:
    def make() -> ScriptedSource:
        raise AssertionError("opened")

    make_source: Callable[[], ScriptedSource] = make
    LiveCamera("table", make_source, lost_after_s=2, wake=lambda: None)
