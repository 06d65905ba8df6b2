"""What everybody who is told things is, and what a publisher needs of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spillwatch.records import AlarmEvent, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks: the first levels of all topics, the client's name at the broker, the program's version."""

    base: str
    client_id: str
    version: str


class Publisher(Protocol):
    """Takes messages, in order, and never blocks the pipeline for long.

    Constructing one opens nothing. Entering it opens it and raises PublishError if that cannot work; leaving it
    hands over what is still under way, within a bound. ``publish`` ignores the kinds of message that are not its own.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def publish(self, message: Message) -> None: ...


class WellsPublisher(Publisher, Protocol):
    """One that must know which wells there are, also those of which nothing is told."""

    def show(self, wells: Mapping[str, Collection[str]]) -> None:
        """The wells' ids of each camera, before entering and whenever they change; the site counts as one."""
        ...


class Outbox(Protocol):
    """Alarm events on their way, oldest first, each kept until it has arrived. Safe from any thread."""

    def __len__(self) -> int:
        """Events that have not arrived."""
        ...

    def append(self, event: AlarmEvent) -> None:
        """One more. An outbox on disk has it already: it was stored with the step that made it."""
        ...

    def take(self) -> tuple[int, str, float] | None:
        """The next one's ``seq``, its JSON, and when it was made (monotonic seconds, -inf: before a restart)."""
        ...

    def acknowledged(self, seq: int) -> None:
        """It has arrived."""
        ...

    def untake(self) -> None:
        """What was taken and not acknowledged has to be taken again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command as it came, and where its answer is expected. ``retained``: it may be from any time."""

    payload: bytes
    retained: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(slots=True)
class Counters:
    """What a publisher did since it was made."""

    sent: int = 0
    acknowledged: int = 0
    denied: int = 0
    connections: int = 0
    commands: int = 0
    commands_refused: int = 0
