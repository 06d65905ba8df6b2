"""Stories of frames that come faster than they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spillwatch.records import CameraState, Condition
from spillwatch.watch.overload import OFF_DELAY_S, ON_DELAY_S
from tests.support.simulated import NORMAL, SimulatedLine
from tests.support.sources import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.records import AlarmEvent

TICK_S = 0.2


class Counts:
    """What a camera's thread counts, and a driver that tells it five times a second."""

    def __init__(self, fps: float) -> None:
        self.line = SimulatedLine(3, fps=fps)
        self.fps = fps
        self.time_s = self.frames = self.dropped = 0.0

    def run(self, seconds: float, *, share: float) -> list[AlarmEvent]:
        return list(self._events(seconds, share))

    def _events(self, seconds: float, share: float) -> Iterator[AlarmEvent]:
        for _ in range(round(seconds / TICK_S)):
            self.time_s += TICK_S
            self.frames += self.fps * TICK_S
            self.dropped += self.fps * TICK_S * share
            counts = {"frames": int(self.frames), "dropped": int(self.dropped)}
            yield from self.line.pipeline.tally(EPOCH, self.time_s, **counts)


@pytest.mark.parametrize("fps", [5.0, 12.5, 25.0])
def test_frames_dropped_for_good_are_announced_and_the_end_of_it_too(fps: float) -> None:
    counts = Counts(fps)
    assert counts.run(10, share=0.0) == []
    (event,) = counts.run(ON_DELAY_S + 3, share=0.5)
    assert (event.condition, event.active, event.well) == (Condition.OVERLOAD, True, None)
    counts.line.run(1, lambda _: (NORMAL,) * 3)
    assert counts.line.pipeline.camera_state == CameraState.DEGRADED
    assert "overload" in str(counts.line.pipeline.reason)
    assert counts.run(OFF_DELAY_S - 2, share=0.0) == []
    (event,) = counts.run(4, share=0.0)
    assert (event.condition, event.active) == (Condition.OVERLOAD, False)


def test_a_busy_moment_is_no_overload() -> None:
    counts = Counts(25)
    for _ in range(5):
        assert counts.run(3, share=0.6) == []
        assert counts.run(3, share=0.0) == []


def test_a_share_between_the_levels_changes_nothing() -> None:
    counts = Counts(25)
    assert counts.run(60, share=0.06) == []
    assert len(counts.run(10, share=0.5)) == 1
    assert counts.run(60, share=0.06) == []


def test_a_camera_that_is_silent_ends_its_overload() -> None:
    counts = Counts(25)
    assert len(counts.run(10, share=0.5)) == 1
    counts.fps = 0.0
    (event,) = counts.run(OFF_DELAY_S + 2, share=0.0)
    assert not event.active
