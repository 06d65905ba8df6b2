"""Where commands are checked, done, kept in the audit log, and answered."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

import pydantic_core
import structlog

from spillwatch.errors import CommandError
from spillwatch.records import Answer
from spillwatch.watch.commands import LONGEST, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from spillwatch.config import CommandSettings
    from spillwatch.publish.base import Request
    from spillwatch.records import Command

REMEMBERED = 100
"""Requests whose answers are given again when they come once more..."""

REPEATED_WITHIN_S = 60.0
"""... within so long. What comes later is meant, for many a panel sends the same correlation data for ever."""

SHOWN = 200
"""Characters of a payload that is no JSON object which its answer and the audit log repeat."""

_LOG = structlog.get_logger()


class Site(Protocol):
    """Whose alarms are commanded."""

    def wells(self) -> Mapping[str, Collection[str]]:
        """The wells' ids of each camera."""
        ...

    def obey(self, command: Command, answer: Answer) -> None:
        """Do it, and keep what it changed together with the answer; raises CommandError."""
        ...

    def keep(self, answer: Answer) -> None:
        """Keep the answer to what was not done."""
        ...


class Desk:
    """``attend`` never raises: whatever comes, it is answered."""

    def __init__(
        self, site: Site, settings: Callable[[], CommandSettings], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._site = site
        self._settings = settings
        self._clock = clock
        self._given: OrderedDict[tuple[str | None, bytes], tuple[bytes, float, Answer]] = OrderedDict()

    def attend(self, request: Request, at: datetime) -> Answer:
        """The latest request of its topic and correlation data, word for word once more, is not done again."""
        if request.correlation is None:
            return self._attend(request, at)
        key, now_s = (request.response_topic, request.correlation), self._clock()
        payload, given_s, answer = self._given.pop(key, (None, now_s, None))
        if answer is None or payload != request.payload or now_s - given_s > REPEATED_WITHIN_S:
            given_s, answer = now_s, self._attend(request, at)
        self._given[key] = request.payload, given_s, answer
        if len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        return answer

    def _attend(self, request: Request, at: datetime) -> Answer:
        asked = _asked(request.payload)
        try:
            if request.retained:
                raise CommandError("the command is retained, so it may be old; publish it without the retain flag")
            command = parse(request.payload, self._site.wells(), self._settings())
            answer = Answer(ok=True, refused=None, request=asked, at=at)
            self._site.obey(command, answer)
        except CommandError as exc:
            answer = Answer(ok=False, refused=str(exc), request=asked, at=at)
            self._site.keep(answer)
            _LOG.warning("command.refused", reason=str(exc))
        else:
            _LOG.info("command.done", **{name: str(asked.get(name)) for name in ("command", "well", "by")})
        return answer


def _asked(payload: bytes) -> dict[str, Any]:
    """What was sent, for the answer and the audit log."""
    try:
        # Unlike json, it refuses what is nested without end, and halves of characters
        value = pydantic_core.from_json(payload) if len(payload) <= LONGEST else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"payload": payload[:SHOWN].decode("utf-8", "replace")}
