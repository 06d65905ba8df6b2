"""What the page sees of the daemon and asks of its loop."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch import window as windows
from spillwatch.errors import ConfigError
from spillwatch.records import AlarmState, Answer, Command, Verb
from spillwatch.wells import wellmap
from spillwatch.window import Orders, Window
from tests.support.simulated import NORMAL, SPILL, SimulatedLine, frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spillwatch.records import Judgement


class Loop:
    """A small loop over a simulated line, as the daemon's."""

    def __init__(self, folder: Path) -> None:
        self.line = SimulatedLine()
        self.path = folder / "cam.toml"
        wellmap.save(self.line.wells, self.path)
        self.commands: list[bytes] = []
        self.judged: list[Judgement] = []
        self.reloads = 0
        self.fault: str | None = None
        self.slow_s = 0.0
        self.window = Window(
            "line", Orders(command=self.command, judge=self.judge, reload=self.reload), wake=lambda: None, state=folder
        )
        self.window.show([(self.path, self.line.pipeline)])

    def command(self, payload: bytes) -> Answer:
        self.commands.append(payload)
        return Answer(ok=True, refused=None, request={}, at=datetime.now(UTC))

    def judge(self, judgement: Judgement) -> None:
        self.judged.append(judgement)

    def reload(self) -> None:
        time.sleep(self.slow_s)
        if self.fault:
            raise ConfigError(self.fault)
        self.reloads += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(0.01):
                self.window.attend()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(5)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return Loop(tmp_path)


def rows_of(loop: Loop) -> list[dict[str, Any]]:
    wells = loop.line.wells
    return [
        {"was": name, "id": name, "x": float(x), "y": float(y), "width": 48.0, "height": 28.0, "out_of_service": False}
        for name, (x, y) in zip(wells.ids, wells.centres, strict=True)
    ]


def test_a_command_goes_to_the_loop_as_the_json_of_its_topic(loop: Loop) -> None:
    with loop.running():
        assert loop.window.submit({"command": "ack", "well": "1"}).ok
    assert loop.commands == [b'{"command": "ack", "well": "1"}']


def test_a_loop_that_stands_still_is_told_and_does_nothing_later(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PATIENCE_S", 0.05)
    answer = loop.window.submit({"command": "ack", "well": "1"})
    assert answer.refused == "spillwatch has not come to it within 0.05 s"
    loop.window.attend()
    assert loop.commands == []
    time.sleep(0.05)
    assert loop.window.age_s() > 0.05


def test_nobody_waits_for_a_loop_that_has_ended(loop: Loop) -> None:
    loop.window.close()
    start_s = time.monotonic()
    assert loop.window.submit({"command": "ack", "well": "1"}).refused == "spillwatch is being stopped"
    assert time.monotonic() - start_s < 1


def test_judgements_reach_the_loop(loop: Loop) -> None:
    with loop.running():
        assert loop.window.judge("cam/1/spill/x", verdict=False, note="steam", by="ann").ok
    assert [(j.alarm, j.verdict, j.note, j.by) for j in loop.judged] == [("cam/1/spill/x", False, "steam", "ann")]


def test_changed_wells_are_saved_and_watched(loop: Loop) -> None:
    rows = rows_of(loop)
    rows[0]["id"] = "door"
    with loop.running():
        answer = loop.window.change_wells("cam", rows, digest=loop.window.wells_digest("cam"), by="ann")
    assert answer.ok, answer.refused
    assert loop.reloads == 1
    assert wellmap.load(loop.path).ids[0] == "door"
    assert (loop.path.parent / answer.request["backup"]).exists()


def test_wells_that_cannot_be_watched_are_taken_back(loop: Loop) -> None:
    before = loop.path.read_text()
    loop.fault = "mqtt has changed, which takes a restart"
    rows = rows_of(loop)
    rows[0]["id"] = "door"
    with loop.running():
        answer = loop.window.change_wells("cam", rows, digest=loop.window.wells_digest("cam"), by="ann")
    assert answer.refused == loop.fault
    assert loop.path.read_text() == before


@pytest.mark.parametrize("fault", [None, "mqtt has changed, which takes a restart"])
def test_a_reload_that_takes_longer_than_the_page_waits_ends_with_the_file_that_is_watched(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    monkeypatch.setattr(windows, "PATIENCE_S", 0.05)
    loop.slow_s, loop.fault = 0.3, fault
    rows = rows_of(loop)
    rows[0]["id"] = "door"
    with loop.running():
        answer = loop.window.change_wells("cam", rows, digest=loop.window.wells_digest("cam"), by="ann")
        assert answer.refused == "spillwatch has not finished it within 0.05 s"
        time.sleep(0.5)
    assert wellmap.load(loop.path).ids[0] == ("1" if fault else "door")


def test_a_loop_that_does_not_come_to_it_leaves_the_wells_as_they_were(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PATIENCE_S", 0.05)
    before = loop.path.read_text()
    rows = rows_of(loop)
    rows[0]["id"] = "door"
    assert not loop.window.change_wells("cam", rows, digest=loop.window.wells_digest("cam"), by="ann").ok
    assert loop.path.read_text() == before


def test_other_wells_are_another_edition(loop: Loop) -> None:
    (before,) = loop.window.plans()
    loop.window.show([(loop.path, loop.line.pipeline)])
    assert loop.window.plans() == [before]
    loop.line.pipeline.wells = replace(loop.line.wells)
    loop.window.show([(loop.path, loop.line.pipeline)])
    assert loop.window.plans()[0].edition == before.edition + 1


def test_the_newest_frame_is_seen_where_the_wells_are(loop: Loop) -> None:
    assert loop.window.sighting("cam") is None
    newest = frame(3.0)
    loop.window.saw(newest, (1.0, 2.0))
    seen = loop.window.sighting("cam")
    assert seen is not None
    assert (seen.frame, seen.shift) == (newest, (1.0, 2.0))


def test_alarms_and_shelves_from_before_stand_as_they_stood(loop: Loop) -> None:
    loop.line.run(5, lambda _: [SPILL, SPILL, NORMAL])
    now, pipeline = datetime.now(UTC), loop.line.pipeline
    pipeline.command(Command(command=Verb.ACK, camera="cam", well="1", by="ann"), now, 5.0)
    shelve = Command(command=Verb.SHELVE, camera="cam", well="2", by="ann", reason="steam", for_s=60.0)
    pipeline.command(shelve, now, 5.0)
    loop.window.show([(loop.path, pipeline)])
    states = {event.well: (event.state, event.active) for event in loop.window.standing()}
    assert states == {"1": (AlarmState.ACKNOWLEDGED, True), "2": (AlarmState.SHELVED, True)}
    assert [item.reason for item in loop.window.suppressions()] == ["steam"]
