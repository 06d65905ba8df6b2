"""read_ahead: the same frames, one thread, no leftovers."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

from spillwatch.errors import SourceError
from spillwatch.sources.ahead import read_ahead
from tests.support.sources import ScriptedSource, grey_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.records import Frame


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_gives_the_same_frames_in_order() -> None:
    frames = [grey_frame(index) for index in range(50)]
    assert list(read_ahead(frames)) == frames
    assert not threads()


def test_reads_only_so_far_ahead() -> None:
    given = []

    def source() -> Iterator[Frame]:
        for index in range(100):
            given.append(index)
            yield grey_frame(index)

    ahead = read_ahead(source(), depth=3)
    next(ahead)
    time.sleep(0.1)
    ahead.close()
    assert 2 <= len(given) <= 5  # one taken, three in the queue, one in hand


def test_the_sources_error_comes_after_its_frames() -> None:
    script = ScriptedSource([grey_frame(0), grey_frame(1), SourceError("cut short; copy it again")])
    got: list[Frame] = []
    with pytest.raises(SourceError, match="cut short"):
        got.extend(read_ahead(script))
    assert [frame.time_s for frame in got] == [0, 1]
    assert not threads()


def test_leaving_early_joins_the_thread() -> None:
    ahead = read_ahead(grey_frame(index) for index in itertools.count())
    next(ahead)
    assert threads()
    ahead.close()
    assert not threads()


def test_an_unexpected_exception_reaches_the_consumer() -> None:
    with pytest.raises(ZeroDivisionError):
        list(read_ahead(ScriptedSource([ZeroDivisionError()])))
