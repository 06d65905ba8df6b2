"""A pipeline on simulated time: real cropping and judging are replaced by a table of scores."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from spillwatch.records import Alignment, Command, Frame, Gap, Planes, Sight, Wells
from spillwatch.watch.alarms import Alarms
from spillwatch.watch.detection import ScoreScale, SpillDetector
from spillwatch.watch.health import Health
from spillwatch.watch.obstruction import ObstructionDetector
from spillwatch.watch.pipeline import Deciders, Pipeline
from spillwatch.watch.senses import Senses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spillwatch.config import AlarmSettings
    from spillwatch.records import F32, U8, AlarmEvent, Memory, Verb

START = datetime(2026, 1, 1, tzinfo=UTC)
SCALE = ScoreScale(normal=0.001, threshold=0.01, spill=0.1)
NORMAL, SPILL = 0.001, 0.1
ON_S, OFF_S, OFF_DELAY_S = 0.8, 0.2, 3.0
OBSTRUCTED_AFTER_S = 20.0
SAMPLES = 12


def wells(count: int = 3, *, out_of_service: Sequence[int] = ()) -> Wells:
    """Wells 1, 2, 3 … side by side."""
    return Wells(
        ids=tuple(str(i + 1) for i in range(count)),
        centres=np.array([(30.0 + 60 * i, 20.0) for i in range(count)]),
        sizes=np.full((count, 2), (48.0, 28.0)),
        in_service=np.array([i not in out_of_service for i in range(count)]),
    )


def frame(time_s: float, camera: str = "cam") -> Frame:
    """A frame of nothing: the table of scores does not look at it."""
    nothing = np.zeros((2, 2), np.uint8)
    planes = Planes(y=nothing, u=nothing[:1, :1], v=nothing[:1, :1])
    return Frame(camera=camera, at=START + timedelta(seconds=time_s), time_s=time_s, planes=planes)


def gap(time_s: float, reason: str = "no frame for 2 s") -> Gap:
    return Gap(camera="cam", at=START + timedelta(seconds=time_s), time_s=time_s, reason=reason)


class TableScorer:
    """Gives the scores that it was told to give next."""

    def __init__(self, count: int) -> None:
        self.next: F32 = np.full(count, NORMAL, np.float32)
        self.painted: int | None = None
        """The well that is painted over in the crops to come."""
        self.painted_score = SPILL

    def score(self, crops: U8) -> F32:
        assert len(crops) == len(self.next)
        painted, self.painted = self.painted, None
        scores = self.next.copy()
        if painted is not None:
            scores[painted] = self.painted_score
        return scores


class SimulatedLine:
    """Runs scores through a real pipeline at a frame rate."""

    def __init__(
        self,
        count: int = 3,
        *,
        fps: float = 12.5,
        out_of_service: Sequence[int] = (),
        alarms: AlarmSettings | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.wells = wells(count, out_of_service=out_of_service)
        self.fps = fps
        self.frames = 0
        self.scorer = TableScorer(count)
        self.sight = Sight(level=120.0, clipped=0.0, changed=0.3)
        self.lag_s = 0.0
        self.alignment = Alignment(dx=0.0, dy=0.0, trusted=True, response=1.0)
        self.rings = np.full((3, count, SAMPLES), 110.0, np.float32)
        everywhere = np.ones((count, SAMPLES), np.bool_)
        self.pipeline = Pipeline(
            self.wells,
            senses=Senses(
                look=lambda _frame: self.sight,
                align=lambda _frame: self.alignment,
                crop=lambda _frame, _shift: np.zeros((count, 3, 32, 32), np.uint8),
                surround=lambda _frame, _shift: self.rings,
                scorer=self.scorer,
                paint=self._paint,
            ),
            deciders=Deciders(
                health=Health(),
                obstruction=ObstructionDetector(everywhere, self.wells.in_service, alarm_after_s=OBSTRUCTED_AFTER_S),
                detector=SpillDetector(count, SCALE, on_s=ON_S, off_s=OFF_S, off_delay_s=OFF_DELAY_S, max_step_s=0.5),
            ),
            alarms=Alarms("cam", model="table", next_seq=itertools.count(1).__next__, settings=alarms, memory=memory),
            media_clock=True,
        )

    def _paint(self, frame: Frame, well: int, _shift: tuple[float, float]) -> Frame:
        self.scorer.painted = well
        return frame

    @property
    def time_s(self) -> float:
        """Of the next frame."""
        return self.frames / self.fps

    def ask(self, verb: Verb, well: str | None = "1", for_s: float | None = None) -> list[AlarmEvent]:
        """Somebody sends a command."""
        command = Command(command=verb, camera="cam", well=well, by="anna", reason="because", for_s=for_s)
        return self.pipeline.command(command, START + timedelta(seconds=self.time_s), self.time_s)

    def run(self, seconds: float, scores: Callable[[float], Iterable[float]]) -> list[AlarmEvent]:
        """Frames for so long, whose scores are a function of time; the events that came."""
        events: list[AlarmEvent] = []
        end = self.frames + round(seconds * self.fps)
        while self.frames < end:
            time_s = self.frames / self.fps
            self.scorer.next = np.array(list(scores(time_s)), np.float32)
            events += self.pipeline.step(replace(frame(time_s), lag_s=self.lag_s))
            self.frames += 1
        return events
