"""A camera's alarm memory as text, and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from spillwatch.errors import StoreError
from spillwatch.records import AlarmMemory, AlarmState, Condition, Memory, Suppression

_TIMES = ("told_at", "since", "until")


def to_text(memory: Memory) -> str:
    """JSON; times keep their microseconds."""
    return json.dumps(asdict(memory), default=datetime.isoformat, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Memory:
    """Raises StoreError for what ``to_text`` did not write."""
    try:
        values = json.loads(text)
        alarms = [_times(alarm) | {"condition": Condition(alarm["condition"])} for alarm in values["alarms"]]
        suppressions = [_times(item) | {"kind": AlarmState(item["kind"])} for item in values["suppressions"]]
        return Memory(
            alarms=tuple(AlarmMemory(**alarm) for alarm in alarms),
            suppressions=tuple(Suppression(**item) for item in suppressions),
        )
    except (ValueError, TypeError, KeyError) as exc:
        raise StoreError(f"the memory of alarms cannot be read: {exc!r}") from exc


def _times(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and value else value for name, value in values.items()
    }
