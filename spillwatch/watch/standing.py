"""Alarms from memory, for those who listen only from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spillwatch.records import AlarmEvent
from spillwatch.watch.lifecycle import state_of
from spillwatch.watch.priorities import PRIORITIES

if TYPE_CHECKING:
    from spillwatch.records import AlarmMemory, AlarmState, Memory


def standing(memory: Memory) -> list[AlarmEvent]:
    """The events that were told last, as far as they are remembered; their ``seq`` is 0."""
    holds = {item.well: item.kind for item in memory.suppressions}
    return [_event(alarm, holds.get(alarm.well)) for alarm in memory.alarms]


def _event(alarm: AlarmMemory, held: AlarmState | None) -> AlarmEvent:
    return AlarmEvent(
        id=f"{alarm.name}.{alarm.events}",
        seq=0,
        camera=alarm.camera,
        well=alarm.well,
        condition=alarm.condition,
        state=state_of(active=alarm.active, acked=alarm.acked, held=held),
        active=alarm.active,
        acked=alarm.acked,
        priority=PRIORITIES[alarm.condition],
        at=alarm.told_at,
        first_out=alarm.first_out,
        evidence=alarm.evidence,
        model=alarm.model if alarm.well else None,
    )
