"""Several cameras stepped in one round: who is scored with whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from spillwatch.config import CameraSettings
from spillwatch.errors import WellsError
from spillwatch.lineup import Unit
from spillwatch.records import CameraState, Frame, Gap
from spillwatch.rounds import Step, steps
from spillwatch.watch.status import StatusBoard
from spillwatch.watch.trends import Minute
from tests.support.simulated import NORMAL, SimulatedLine, frame, gap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spillwatch.records import F32, U8


class ListCamera:
    """Gives what is in its list, and then nothing."""

    def __init__(self, *items: Frame | Gap) -> None:
        self.items = list(items)

    def take(self) -> Frame | Gap | None:
        return self.items.pop(0) if self.items else None


class CountingScorer:
    """Every well's score is its number in the batch."""

    def __init__(self, *, together: bool) -> None:
        self.together = together
        self.asked: list[list[int | None]] = []

    def score_each(self, batches: Sequence[U8 | None]) -> list[F32 | None]:
        self.asked.append([None if crops is None else len(crops) for crops in batches])
        scores = iter(NORMAL * (1 + np.arange(sum(len(crops) for crops in batches if crops is not None))))
        return [None if crops is None else np.array([next(scores) for _ in crops], np.float32) for crops in batches]


def unit(name: str, wells: int, *items: Frame | Gap, line: SimulatedLine | None = None) -> Unit:
    pipeline = (line or SimulatedLine(wells)).pipeline
    return Unit(
        settings=CameraSettings(id=name, kind="rtsp", url="rtsp://127.0.0.1/x", wells="x.toml"),
        camera=ListCamera(*items),  # type: ignore[arg-type]
        pipeline=pipeline,
        board=StatusBoard(pipeline),
        minute=Minute(name, pipeline.wells.ids),
        made_from="",
    )


def run(units: list[Unit], scorer: CountingScorer) -> list[Step]:
    return list(steps(units, scorer))  # type: ignore[arg-type]


def test_a_core_scores_one_camera_after_the_other() -> None:
    scorer = CountingScorer(together=False)
    run([unit("a", 2, frame(0)), unit("b", 3, frame(0))], scorer)
    assert scorer.asked == [[2], [3]]


def test_on_a_device_all_cameras_that_have_a_frame_are_one_batch() -> None:
    scorer = CountingScorer(together=True)
    units = [unit("a", 2, frame(0)), unit("late", 5), unit("b", 3, frame(0)), unit("blind", 4, gap(0))]
    done = run(units, scorer)
    assert scorer.asked == [[2, 3, None]]
    assert [step.unit.settings.id for step in done] == ["a", "b", "blind"]
    views = [step.unit.pipeline.view for step in done]
    assert views[0] is not None
    assert views[0].scores == pytest.approx([NORMAL, 2 * NORMAL])
    assert views[1] is not None
    assert views[1].scores == pytest.approx([3 * NORMAL, 4 * NORMAL, 5 * NORMAL])
    assert views[2] is None


@pytest.mark.parametrize("together", [False, True])
def test_a_picture_that_cannot_be_used_blinds_its_own_camera_alone(together: bool) -> None:
    line = SimulatedLine(3)

    def fail(_frame: Frame) -> None:
        raise WellsError("the picture has another size")

    object.__setattr__(line.pipeline._senses, "look", fail)
    units = [unit("bad", 3, frame(0), line=line), unit("good", 3, frame(0))]
    done = run(units, CountingScorer(together=together))
    assert [type(step.item) for step in done] == [Gap, Frame]
    assert [u.pipeline.camera_state for u in units] == [CameraState.BLIND, CameraState.WATCHING]
    assert units[0].pipeline.reason == "the picture has another size"


@pytest.mark.parametrize("together", [False, True])
def test_a_round_without_frames_asks_for_no_scores_of_wells(together: bool) -> None:
    scorer = CountingScorer(together=together)
    assert run([unit("a", 2), unit("b", 2)], scorer) == []
    assert not any(count for asked in scorer.asked for count in asked)


@pytest.mark.logs_error("camera.crashed")
def test_scoring_that_breaks_blinds_who_was_scored_and_the_next_round_goes_on() -> None:
    class Breaking(CountingScorer):
        def score_each(self, batches: Sequence[U8 | None]) -> list[F32 | None]:
            if not self.asked:
                self.asked.append([])
                raise MemoryError
            return super().score_each(batches)

    units = [unit("a", 2, frame(0), frame(1)), unit("b", 3, frame(0), frame(1))]
    scorer = Breaking(together=True)
    run(units, scorer)
    assert [u.pipeline.camera_state for u in units] == [CameraState.BLIND] * 2
    run(units, scorer)
    assert [u.pipeline.camera_state for u in units] == [CameraState.WATCHING] * 2
