"""What everybody who is told things is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from spillwatch.records import Message


class Publisher(Protocol):
    """Takes messages, in order, and never blocks the pipeline for long.

    Constructing one opens nothing. Entering it opens it and raises PublishError if that cannot work; leaving it
    hands over what is still under way, within a bound. ``publish`` ignores the kinds of message that are not its own.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def publish(self, message: Message) -> None: ...
