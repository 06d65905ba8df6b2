"""A spill painted into one well of a live camera, and followed to its alarm, beside all that goes on for real."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from spillwatch.records import Condition
from spillwatch.watch.alarms import Moment

if TYPE_CHECKING:
    from spillwatch.records import AlarmEvent, Frame, View
    from spillwatch.watch.alarms import Alarms
    from spillwatch.watch.detection import SpillDetector
    from spillwatch.watch.senses import Senses


class Rehearsal:
    """The twin of a pipeline: a copy of its detector as it stands, alarms of its own, the same eyes and model.

    What the real detector has come to think usual of this well is in the copy too: were it deaf, so would be its twin.
    The real one never sees the painted picture. ``score`` is that of the last one.
    """

    def __init__(self, well: str, row: int, *, detector: SpillDetector, senses: Senses, alarms: Alarms) -> None:
        self.well = well
        self.score: float | None = None
        self._row = row
        self._detector = copy.deepcopy(detector)
        self._senses = senses
        self._alarms = alarms

    @property
    def threshold(self) -> float:
        return self._detector.threshold

    def step(self, frame: Frame, view: View) -> AlarmEvent | None:
        """The next frame, and what the pipeline made of it; the marked event when the painted spill is raised."""
        painted = self._senses.paint(frame, self._row, view.shift)
        judged = self._senses.scorer.score(self._senses.crop(painted, view.shift))
        scores = view.scores.copy()
        scores[self._row] = judged[self._row]
        self.score = float(scores[self._row])
        if not self._detector.step(frame.time_s, scores, view.covered)[self._row]:
            return None
        moment = Moment(at=frame.at, time_s=frame.time_s, score=self.score, threshold=self.threshold)
        event = self._alarms.set_active(Condition.SPILL, self.well, active=True, moment=moment)
        return event and _marked(event)

    def end(self, moment: Moment) -> list[AlarmEvent]:
        """What is told of the end: nothing, if nothing was raised."""
        return [_marked(event) for event in self._alarms.forget(self.well, moment)]


def _marked(event: AlarmEvent) -> AlarmEvent:
    """As a test's, in its id too: a real spill may be raised by the same picture."""
    place = f"{event.camera}/{event.well}/"
    told = event.id.removeprefix(f"{place}{event.condition}/")
    return replace(event, id=f"{place}test/{told}", test=True)
