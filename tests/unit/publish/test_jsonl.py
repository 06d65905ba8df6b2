"""The events file."""

from __future__ import annotations

import json
import math
import os
from dataclasses import fields
from pathlib import Path

import pytest

from spillwatch.errors import PublishError
from spillwatch.publish.jsonl import JsonlPublisher
from spillwatch.records import AlarmEvent, CameraState, CameraStatus, WellState, WellStatus, encode
from tests.support.publishers import AT, alarm_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_one_line_per_event_to_the_letter(path: Path) -> None:
    with JsonlPublisher(path, append=False) as publisher:
        publisher.publish(alarm_event(1, camera="цех-2", media_time_s=12.04))
        publisher.publish(alarm_event(2, well=None))

    first, second, rest = path.read_bytes().split(b"\n")
    assert first.decode() == (
        '{"id":"line-cam1-7.1","seq":1,"camera":"цех-2","well":"3L4","condition":"spill","state":"unacknowledged",'
        '"active":true,"acked":false,"priority":"high","at":"2026-11-24T10:00:01.125Z","media_time_s":12.04,'
        '"score":0.0421,"threshold":0.0187,"model":"2026-11","delay_ms":38.5,"late":false,"test":false,'
        '"first_out":false,"flood":false,"by":null,"reason":null,"evidence":null}'
    )
    assert json.loads(second)["well"] is None
    assert list(json.loads(second)) == [field.name for field in fields(AlarmEvent)]
    assert rest == b""


def test_other_messages_are_not_written(path: Path) -> None:
    with JsonlPublisher(path, append=False) as publisher:
        publisher.publish(WellStatus(camera="cam1", well="3L4", state=WellState.WATCHING, at=AT))
        publisher.publish(
            CameraStatus(camera="cam1", state=CameraState.WATCHING, reason=None, fps=25.0, last_frame_age_s=0.04, at=AT)
        )

    assert path.read_bytes() == b""


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_null(path: Path, score: float) -> None:
    with JsonlPublisher(path, append=False) as publisher:
        publisher.publish(alarm_event(1, score=score))

    assert json.loads(path.read_text())["score"] is None


@pytest.mark.parametrize("append", [True, False])
def test_a_line_can_be_read_as_soon_as_it_is_published(path: Path, append: bool) -> None:
    with JsonlPublisher(path, append=append) as publisher:
        publisher.publish(alarm_event(1))
        assert json.loads(path.read_text())["seq"] == 1


def test_live_every_line_is_on_the_disk_before_publish_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").read_text()))
    with JsonlPublisher(path, append=True) as publisher:
        publisher.publish(alarm_event(1))
        publisher.publish(alarm_event(2))

    assert [text.count("\n") for text in synced] == [1, 2]


def test_replay_starts_afresh_and_the_daemon_goes_on(path: Path) -> None:
    for append, seq in [(False, 1), (True, 2), (True, 3), (False, 4), (True, 5)]:
        with JsonlPublisher(path, append=append) as publisher:
            publisher.publish(alarm_event(seq))

    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [4, 5]


def test_half_a_line_left_by_a_power_cut_does_not_swallow_the_next_event(path: Path) -> None:
    path.write_text('{"id":"line-cam1-7.1"}\n{"id":"line-c')
    with JsonlPublisher(path, append=True) as publisher:
        publisher.publish(alarm_event(2))

    lines = path.read_text().splitlines()
    assert lines[:2] == ['{"id":"line-cam1-7.1"}', '{"id":"line-c']
    assert json.loads(lines[2])["seq"] == 2


@pytest.mark.parametrize("append", [True, False])
def test_a_full_disk_is_named_with_its_mend(append: bool) -> None:
    with (
        JsonlPublisher(Path("/dev/full"), append=append) as publisher,
        pytest.raises(PublishError, match=r"^events file /dev/full .*No space left on device; make room there"),
    ):
        publisher.publish(alarm_event(1))


def test_a_missing_folder_is_named_with_its_mend(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "events.jsonl"
    with (
        pytest.raises(PublishError, match=rf"^events file {path} .*; create the folder {path.parent}$"),
        JsonlPublisher(path, append=True),
    ):
        pass


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="Is a directory"), JsonlPublisher(tmp_path, append=True):
        pass


def test_constructing_opens_nothing(path: Path) -> None:
    publisher = JsonlPublisher(path, append=False)
    assert not path.exists()
    with pytest.raises(PublishError, match="is not open"):
        publisher.publish(alarm_event(1))


def test_what_a_killed_process_had_not_written_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [encode(alarm_event(seq)) for seq in range(1, 6)]
    path.write_text(lines[0] + "\n" + lines[1] + "\n" + lines[2][:40])  # killed within the third
    with JsonlPublisher(path, append=True) as publisher:
        publisher.catch_up(lambda seq: lines[seq:])
        publisher.publish(alarm_event(6))
    read = path.read_text().splitlines()
    assert read == [*lines[:2], lines[2][:40], *lines[2:], encode(alarm_event(6))]


@pytest.mark.parametrize("content", ["", "no events\n", '{"seq": "many"}\n[1]\n'])
def test_a_file_without_events_is_not_filled_with_old_ones(tmp_path: Path, content: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(content)
    with JsonlPublisher(path, append=True) as publisher:
        publisher.catch_up(lambda _: ["old"])
    assert path.read_text() == content
