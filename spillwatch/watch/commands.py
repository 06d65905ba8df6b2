"""What comes to ``{base}/cmd``: bytes of anybody, checked into a Command, or refused in one sentence."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from spillwatch.errors import CommandError
from spillwatch.records import SITE, Command, Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic_core import ErrorDetails

    from spillwatch.config import CommandSettings

LONGEST = 4096
"""Bytes; the longest command that makes sense has a tenth of it."""
LONGEST_S = 366 * 86400.0
"""Nothing is taken out of service for longer than a year by a slip of the finger."""
SHOWN = 40
"""Characters of somebody's text that an answer repeats."""


def _line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("may hold no line breaks or control characters")
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


class CommandRequest(BaseModel):
    """A command as it is sent. ``well`` null means the camera itself; ``camera`` may be left out where only one can
    be meant. ``shelve`` and ``out_of_service`` need a ``reason`` and may have ``for_s``, seconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    command: Verb
    camera: Annotated[str, Field(max_length=64)] | None = None
    well: Annotated[str, Field(max_length=64)] | None
    by: Annotated[str, Field(max_length=64), AfterValidator(_line)]
    reason: Annotated[str, Field(max_length=500), AfterValidator(_line)] | None = None
    for_s: Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)] | None = None


def parse(payload: bytes, wells: Mapping[str, Collection[str]], settings: CommandSettings) -> Command:
    """The command in a payload of JSON; ``wells`` are the wells' ids of each camera.

    CommandError says in one sentence why it is refused: malformed, of an unknown place, or not allowed.
    """
    if len(payload) > LONGEST:
        raise CommandError(f"the command has {len(payload)} bytes; {LONGEST} are the most")
    try:
        asked = CommandRequest.model_validate_json(payload)
    except ValidationError as exc:
        raise CommandError(_sentence(exc.errors(include_url=False))) from None
    _check_meaning(asked)
    _check_policy(asked, settings)
    return Command(
        command=asked.command,
        camera=_camera(asked, wells),
        well=asked.well,
        by=asked.by,
        reason=asked.reason,
        for_s=asked.for_s,
    )


def _check_meaning(asked: CommandRequest) -> None:
    hides = asked.command in (Verb.SHELVE, Verb.OUT_OF_SERVICE)
    if hides and asked.reason is None:
        raise CommandError(f"{asked.command} needs a reason")
    if not hides and asked.for_s is not None:
        raise CommandError(f"for_s goes with shelve and out_of_service, not with {asked.command}")


def _check_policy(asked: CommandRequest, settings: CommandSettings) -> None:
    if not settings.enabled:
        raise CommandError("commands are switched off by commands.enabled")
    if asked.command not in settings.allow:
        raise CommandError(f"{asked.command} is not among commands.allow")
    if settings.by and asked.by not in settings.by:
        raise CommandError(f"{_shown(asked.by)} is not among commands.by")


def _camera(asked: CommandRequest, wells: Mapping[str, Collection[str]]) -> str:
    """The camera that is meant: the one that is named, or else the only one there could be."""
    if asked.camera is not None and asked.camera not in wells:
        raise CommandError(f"there is no camera {_shown(asked.camera)}{_near(asked.camera, wells)}")
    cameras = [camera for camera in wells if camera != SITE] if asked.camera is None else [asked.camera]
    if asked.well is not None:
        known = [well for camera in cameras for well in wells[camera]]
        cameras = [camera for camera in cameras if asked.well in wells[camera]]
        if not cameras:
            raise CommandError(f"there is no well {_shown(asked.well)}{_near(asked.well, known)}")
    if len(cameras) != 1:
        raise CommandError(f"say which camera is meant: {', '.join(cameras)}" if cameras else "there is no camera")
    return cameras[0]


def _sentence(errors: list[ErrorDetails]) -> str:
    """The first fault; a key that nobody knows first of all, for it is often the one that is missing, misspelt."""
    error = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    key = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "json_invalid":
        return f"the command is not valid JSON: {error['ctx']['error']}"
    if error["type"] == "extra_forbidden":
        return f"unknown key {_shown(key)}{_near(key, CommandRequest.model_fields)}"
    if error["type"] == "enum":
        return f"unknown command {_shown(error['input'])}{_near(str(error['input']), list(Verb))}"
    if error["type"] == "missing":
        return f"{key} is missing" + ("; null means the camera itself" if key == "well" else "")
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{key or 'the command'} {message[:1].lower()}{message[1:]}, not {_shown(error['input'])}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _near(value: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(value[:64], known, n=1, cutoff=0.5)
    return f"; did you mean {str(near[0])!r}?" if near else ""
