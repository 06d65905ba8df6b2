"""Server-sent events: the whole state whenever it changes, and a heartbeat that tells whether the watch goes on."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spillwatch.records import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from spillwatch.page.desk import Desk

BEAT_S = 0.5
"""A page that hears nothing for four of these says that spillwatch is gone: within 3 s, a lost beat included."""
LOOK_S = 0.1
"""Changes are gathered for so long: a flood is a few states, not hundreds."""


async def stream(desk: Desk, user: str) -> AsyncIterator[str]:
    """Until the browser leaves or the page closes."""
    yield f"retry: 1000\n{_event('hello', json.dumps({'user': user}))}"
    shown, beaten_s = None, 0.0
    while not desk.closing:
        state, text = desk.state()
        if state != shown:
            shown = state
            yield _event("state", text)
        if time.monotonic() - beaten_s >= BEAT_S:
            beaten_s = time.monotonic()
            beat = {"at": rfc3339(datetime.now(UTC)), "age_s": round(desk.site.age_s(), 2)}
            yield _event("beat", json.dumps(beat))
        await asyncio.sleep(LOOK_S)


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
