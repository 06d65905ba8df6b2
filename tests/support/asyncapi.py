"""Holds what was really sent against docs/asyncapi.yaml, more strictly than readers should: it names every key."""

from __future__ import annotations

import copy
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from tools.asyncapi import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", ValueError)
def _is_rfc3339_utc(value: object) -> bool:
    return not isinstance(value, str) or (value.endswith("Z") and datetime.fromisoformat(value).utcoffset() is not None)


class Contract:
    """The document, as a judge of messages under one base topic."""

    def __init__(self, base: str) -> None:
        self.document: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
        self._base = base
        self._strict = copy.deepcopy(self.document)
        for schema in self._strict["components"]["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False

    def channel(self, topic: str) -> str | None:
        """The name of the channel whose address fits."""
        for name, channel in self.document["channels"].items():
            address = channel["address"].removeprefix("{base}/")
            if re.fullmatch(f"{re.escape(self._base)}/" + re.sub(r"{\w+}", "[^/]+", address), topic):
                return str(name)
        return None

    def faults(self, topic: str, payload: str, *, retained: bool | None = None) -> list[str]:
        """Sentences; none for a message that is as the document says."""
        name = self.channel(topic)
        if name is None:
            return [f"{topic}: no channel has this address"]
        channel, operation = (self._strict[part][name] for part in ("channels", "operations"))
        (message,) = channel["messages"]
        schema = {"$ref": self._strict["components"]["messages"][message]["payload"]["$ref"], **self._strict}
        found = Draft202012Validator(schema, format_checker=_FORMATS).iter_errors(json.loads(payload))
        said = [f"{topic}: {'/'.join(map(str, error.path))}: {error.message}" for error in found]
        if retained and not operation["bindings"]["mqtt"]["retain"]:
            said.append(f"{topic}: is retained, and should not be")
        return said

    def check(self, received: Iterable[tuple[str, str, bool]]) -> set[str]:
        """All of a subscriber's messages, as (topic, text, retained); the channels that were seen."""
        messages = list(received)
        faults = [fault for topic, text, kept in messages for fault in self.faults(topic, text, retained=kept)]
        assert not faults, "\n".join(faults[:20])
        return {name for topic, *_ in messages if (name := self.channel(topic))}
