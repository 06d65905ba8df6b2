"""The daemon's shadow as the settings have it now: there may be none, and one that cannot be used stops nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from spillwatch.errors import SpillwatchError
from spillwatch.shadow import Shadow, shadow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spillwatch.config import Settings
    from spillwatch.lineup import Lineup
    from spillwatch.records import AlarmEvent, Frame, Gap, ShadowTally
    from spillwatch.watch.pipeline import Pipeline

_LOG = structlog.get_logger()


class Shade:
    """All of it is the loop's, but for ``tally``; nothing raises."""

    def __init__(self) -> None:
        self._shadow: Shadow | None = None
        self._fault: str | None = None

    def have(self, settings: Settings, lineup: Lineup) -> None:
        """The candidate that the settings name watches along from now on."""
        self.end()
        self._shadow = self._fault = None
        try:
            units = [(unit.settings, unit.pipeline) for unit in lineup.units]
            self._shadow = shadow(settings, lineup.site.judge, units)
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with it, the model in force watches
            self._fault = str(exc)
            known = isinstance(exc, SpillwatchError)
            _LOG.error("shadow.refused", reason=self._fault, exc_info=None if known else exc)

    def look(self, pipeline: Pipeline, item: Frame | Gap, events: Sequence[AlarmEvent]) -> None:
        """What went through its pipeline, and what it raised."""
        if self._shadow:
            self._shadow.look(pipeline, item, events)

    def work(self, idle: Callable[[], bool]) -> None:
        """As long as nothing else is to be done."""
        while self._shadow and idle() and self._shadow.work():
            pass

    def keep(self) -> None:
        """To be called once a minute."""
        if self._shadow:
            self._shadow.keep()

    def end(self) -> None:
        """It watches no longer."""
        if self._shadow:
            self._shadow.close()
            self._shadow.keep()

    def tally(self) -> ShadowTally | None:
        return self._shadow.tally() if self._shadow else None

    def status(self) -> list[str]:
        """For people; nothing where there is no shadow."""
        if self._fault:
            return [f"no shadow: {self._fault}"]
        tally = self.tally()
        if tally is None:
            return []
        if tally.fault:
            return [f"shadow {tally.candidate} has failed: {tally.fault}"]
        ours, its = tally.both + tally.live_only, tally.both + tally.candidate_only
        return [f"shadow {tally.candidate}: {its} alarms beside {ours}"]
