"""What people may ask, as JSON, checked at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spillwatch.records import Verb

if TYPE_CHECKING:
    from starlette.requests import Request

LARGEST = 256 * 1024  # bytes; 500 wells need about 60 kB

Reason = Annotated[str, Field(max_length=200)]
Pixels = Annotated[float, Field(ge=-(2**15), le=2**15)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Ask(_Asked):
    """A command, as the topic ``{base}/cmd`` takes it; who asks is known already."""

    command: Verb
    camera: str
    well: str | None
    reason: Reason | None = None
    for_s: Annotated[float, Field(gt=0, le=30 * 86400)] | None = None

    @model_validator(mode="after")
    def _reasoned(self) -> Ask:
        if self.command in (Verb.SHELVE, Verb.OUT_OF_SERVICE) and not self.reason:
            raise ValueError("say why")
        if self.command == Verb.SHELVE and self.for_s is None:
            raise ValueError("say for how long")
        return self


class Judgement(_Asked):
    """Whether an alarm was true; null takes back what was said."""

    alarm: str
    verdict: bool | None
    note: Annotated[str, Field(max_length=500)] = ""


class WellRow(_Asked):
    """A well as it shall be; ``was`` is its present name, None for a new one."""

    was: str | None
    id: str
    x: Pixels
    y: Pixels
    width: Pixels
    height: Pixels
    out_of_service: bool


class WellsChange(_Asked):
    """All wells of a camera; ``digest`` is that of the file which they were read from."""

    digest: str
    wells: Annotated[list[WellRow], Field(max_length=500)]


_T = TypeVar("_T", bound=BaseModel)


async def read(request: Request, kind: type[_T]) -> _T | str:
    """What was asked, or a sentence that says what is wrong with it."""
    try:
        return kind.model_validate_json(await body(request))
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in error["loc"])
        message = error["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message


async def body(request: Request) -> bytes:
    """A request's body; of one that is too long, nothing."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST:
            return b""
    return bytes(data)
