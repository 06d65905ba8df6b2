"""Alarms from memory, for those who listen only from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spillwatch.records import AlarmEvent, AlarmState
from spillwatch.watch.priorities import PRIORITIES

if TYPE_CHECKING:
    from spillwatch.records import AlarmMemory, Memory


def standing(memory: Memory) -> list[AlarmEvent]:
    """The events that were told last, as far as they are remembered; their ``seq`` is 0."""
    holds = {item.well: item.kind for item in memory.suppressions}
    return [_event(alarm, holds.get(alarm.well)) for alarm in memory.alarms]


def _event(alarm: AlarmMemory, held: AlarmState | None) -> AlarmEvent:
    answered = AlarmState.ACKNOWLEDGED if alarm.active else AlarmState.NORMAL
    unanswered = AlarmState.UNACKNOWLEDGED if alarm.active else AlarmState.RTN_UNACKNOWLEDGED
    return AlarmEvent(
        id=f"{alarm.name}.{alarm.events}",
        seq=0,
        camera=alarm.camera,
        well=alarm.well,
        condition=alarm.condition,
        state=held or (answered if alarm.acked else unanswered),
        active=alarm.active,
        acked=alarm.acked,
        priority=PRIORITIES[alarm.condition],
        at=alarm.told_at,
        first_out=alarm.first_out,
        evidence=alarm.evidence,
    )
