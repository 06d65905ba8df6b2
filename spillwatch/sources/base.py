"""What every source of frames is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.records import Frame


class Source(Protocol):
    """Frames in the order in which they were taken.

    Constructing one opens nothing. Entering it opens it and raises SourceError if that fails; iterating gives frames
    until the end, or raises SourceError when the picture breaks off; leaving it lets everything go. ``damaged`` counts
    the pictures that were lost to errors of decoding since it was opened.
    """

    damaged: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...
