"""Proof of watching: a painted spill through one well of a live camera, to the broker and back, on a schedule."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from spillwatch import build
from spillwatch.errors import CommandError
from spillwatch.records import SITE, Condition, SelfTest
from spillwatch.watch.alarms import Moment
from spillwatch.watch.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from spillwatch.config import SelfTestSettings
    from spillwatch.lineup import Lineup, Unit
    from spillwatch.publish.mqtt import MqttPublisher
    from spillwatch.records import AlarmEvent, Command, Frame
    from spillwatch.telling import Telling
    from spillwatch.watch.rehearsal import Rehearsal

NOBODY_SEES = "no well of it is watched"

_LOG = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Test:
    """One test under way. ``raised_s`` and ``first_s`` are when its pictures were captured."""

    unit: Unit
    well: str
    began_s: float
    rehearsal: Rehearsal | None = None
    first_s: float = 0.0
    raised: AlarmEvent | None = None
    raised_s: float = 0.0


class Proving:
    """One test at a time. ``attend`` is called every round, ``saw`` after each frame that was judged and told.

    A camera that cannot see, or has no well to be tested, is no failure: that it cannot has an alarm of its own.
    """

    def __init__(self, settings: Callable[[], SelfTestSettings], telling: Telling) -> None:
        self._settings = settings
        self._telling = telling
        self._turns = Turns()
        self._test: _Test | None = None

    def ask(self, command: Command, lineup: Lineup, time_s: float) -> None:
        """Begin one now; raises CommandError when it cannot be made."""
        if self._telling.broker is None:
            raise CommandError("a self-test goes to the broker and back, and mqtt.enabled is false")
        if self._test:
            raise CommandError(f"a self-test of well {self._test.well} is under way")
        if command.camera == SITE:
            raise CommandError("a self-test is of a camera")
        unit = next(unit for unit in lineup.units if unit.settings.id == command.camera)
        watched = unit.pipeline.watched()
        well = command.well or self._turns.well(command.camera, unit.pipeline.wells.ids, watched)
        if well not in watched or well is None:
            place = f"well {command.well} of camera {command.camera}" if command.well else f"camera {command.camera}"
            why = unit.pipeline.reason if not watched else "it is shelved, out of service, obstructed or spilling"
            raise CommandError(f"self_test of {place} is refused: {why or NOBODY_SEES}")
        self._test = _Test(unit=unit, well=well, began_s=time_s)

    def attend(self, lineup: Lineup, at: datetime, time_s: float) -> None:
        """Begin the next, go on with the present one, or end it."""
        if self._test is None and self._settings().enabled:
            self._take_turn(lineup, at, time_s)
        test, broker = self._test, self._telling.broker
        if test is None or broker is None:
            return
        if all(unit.pipeline is not test.unit.pipeline for unit in lineup.units):
            self._end(test, at, time_s, ok=None, reason="the settings were read anew")
        elif came_s := _came(test, broker.echoes()):
            self._pass(test, at, came_s)
        elif test.raised is None and test.well not in test.unit.pipeline.watched():
            reason = test.unit.pipeline.reason
            self._end(test, at, time_s, ok=None, reason=f"the well is not watched{f': {reason}' if reason else ''}")
        elif time_s - test.began_s > self._settings().timeout_s:
            self._end(test, at, time_s, ok=False, reason=self._fault(test, broker))
        elif test.rehearsal is None and broker.connected and not len(broker.outbox):
            broker.listen(on=True)  # only now: what was told before is nobody's echo
            alarms = build.test_alarms(test.unit.settings.id, lineup.site)
            test.rehearsal = test.unit.pipeline.rehearse(test.well, alarms)

    def saw(self, unit: Unit, frame: Frame) -> None:
        """The next picture, of which the pipeline has told already what is true."""
        test, view = self._test, unit.pipeline.view
        if not test or not test.rehearsal or test.raised or unit.pipeline is not test.unit.pipeline:
            return
        if view is None or view.time_s != frame.time_s or test.well not in unit.pipeline.watched():
            return
        test.first_s = test.first_s or frame.time_s
        try:
            event = test.rehearsal.step(frame, view)
        except Exception as exc:  # noqa: BLE001 - a test must not harm what it tests
            _LOG.error("self_test.crashed", camera=frame.camera, well=test.well, exc_info=exc)
            self._end(test, frame.at, frame.time_s, ok=False, reason=f"painting it failed with {type(exc).__name__}")
            return
        if event:
            test.raised_s = frame.time_s
            test.raised = replace(event, delay_ms=round(1000 * (time.monotonic() - frame.time_s), 1))
            self._telling.tell_test([test.raised])

    def _take_turn(self, lineup: Lineup, at: datetime, time_s: float) -> None:
        units = {unit.settings.id: unit for unit in lineup.units}
        camera = self._turns.due(units, time_s)
        if camera is None:
            return
        pipeline = units[camera].pipeline
        well = self._turns.well(camera, pipeline.wells.ids, pipeline.watched())
        if well is None:
            reason = pipeline.reason or NOBODY_SEES
            self._conclude(units[camera], SelfTest(at=at, well=None, ok=None, reason=reason), time_s)
        else:
            self._test = _Test(unit=units[camera], well=well, began_s=time_s)

    def _fault(self, test: _Test, broker: MqttPublisher) -> str:
        within = f"within {self._settings().timeout_s:g} s"
        if test.raised:
            where = broker.trouble or "check that its access list lets spillwatch read the topic of alarms"
            return f"the event did not come back from the broker {within}; {where}"
        if test.rehearsal is None:
            trouble = broker.trouble and f"no way through the broker: {broker.trouble}"
            return trouble or f"{len(broker.outbox)} earlier events still wait for the broker"
        if test.rehearsal.score is None:
            return f"no picture came {within}"
        levels = f"score {test.rehearsal.score:.3g}, threshold {test.rehearsal.threshold:.3g}"
        return f"the painted spill was not found {within}: {levels}"

    def _pass(self, test: _Test, at: datetime, came_s: float) -> None:
        delay_ms, delivery_ms = (round(1000 * (came_s - since_s), 1) for since_s in (test.first_s, test.raised_s))
        result = SelfTest(at=at, well=test.well, ok=True, delay_ms=delay_ms, delivery_ms=delivery_ms)
        self._finish(test, result, came_s)

    def _end(self, test: _Test, at: datetime, time_s: float, *, ok: bool | None, reason: str) -> None:
        self._finish(test, SelfTest(at=at, well=test.well, ok=ok, reason=reason), time_s)

    def _finish(self, test: _Test, result: SelfTest, time_s: float) -> None:
        self._test = None
        if self._telling.broker:
            self._telling.broker.listen(on=False)
        if test.rehearsal:
            said = result.reason or f"self-test passed: back from the broker after {result.delay_ms:.0f} ms"
            self._telling.tell_test(test.rehearsal.end(Moment(at=result.at, time_s=time_s, reason=said)))
        self._conclude(test.unit, result, time_s)

    def _conclude(self, unit: Unit, result: SelfTest, time_s: float) -> None:
        camera, before = unit.settings.id, unit.board.self_test
        passed_at = result.at if result.ok else before.passed_at if before else None
        unit.board.self_test = replace(result, passed_at=passed_at)
        self._turns.done(camera, result.well, ok=result.ok, time_s=time_s, every_s=self._settings().every_s)
        (_LOG.info if result.ok else _LOG.warning)(
            "self_test.done",
            camera=camera,
            well=result.well,
            ok=result.ok,
            reason=result.reason,
            delay_ms=result.delay_ms,
            delivery_ms=result.delivery_ms,
        )
        if result.ok is not None:
            alarms = unit.pipeline.alarms
            reason = f"well {result.well}: {result.reason or 'passed'}"
            moment = Moment(at=result.at, time_s=time_s, reason=reason)
            event = alarms.set_active(Condition.SELF_TEST_FAILED, None, active=not result.ok, moment=moment)
            self._telling.tell(alarms, [event] if event else [])


def _came(test: _Test, echoes: Collection[tuple[bytes, float]]) -> float | None:
    """When the test's own event came back."""
    if test.raised is None:
        return None
    for payload, came_s in echoes:
        try:
            told = json.loads(payload)
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("id") == test.raised.id and told.get("test") is True:
            return came_s
    return None
