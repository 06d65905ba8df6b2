"""A history as a store keeps it: alarms told by hand, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from spillwatch.records import AlarmEvent, AlarmState, Condition, Priority
from tests.support.publishers import alarm_event

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class Diary:
    """Alarms of a site; times are minutes after START."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._told: list[tuple[datetime, str, int, dict[str, object]]] = []

    def at(self, minutes: float) -> datetime:
        return self._start + timedelta(minutes=minutes)

    def alarm(
        self,
        well: str | None,
        raised: float,
        *,
        acked: float | None = None,
        returned: float | None = None,
        condition: Condition = Condition.SPILL,
        held: bool = False,
        **more: object,
    ) -> str:
        """One from raise to return; ``held`` under a shelf. Its name."""
        name = f"table/{well or '-'}/{condition}/{self.at(raised):%Y%m%dT%H%M%S.%f}Z"
        changes = [(raised, True, False, None), (acked, True, True, "ann"), (returned, False, acked is not None, None)]
        number = 0
        for minutes, active, answered, by in changes:
            if minutes is None:
                continue
            number += 1
            state = AlarmState.SHELVED if held else _state(active=active, acked=answered)
            values = {"active": active, "acked": answered, "state": state, "by": by, "camera": "table", "well": well}
            values |= {"priority": Priority.MEDIUM if condition == Condition.OBSTRUCTED else Priority.HIGH}
            self._told.append((self.at(minutes), name, number, {"condition": condition, **values, **more}))
        return name

    def events(self, first_seq: int = 1) -> Sequence[AlarmEvent]:
        told = sorted(self._told, key=lambda entry: entry[0])
        return [
            alarm_event(seq, id=f"{name}.{number}", at=at, **values)
            for seq, (at, name, number, values) in enumerate(told, first_seq)
        ]


def _state(*, active: bool, acked: bool) -> AlarmState:
    if active:
        return AlarmState.ACKNOWLEDGED if acked else AlarmState.UNACKNOWLEDGED
    return AlarmState.NORMAL if acked else AlarmState.RTN_UNACKNOWLEDGED
