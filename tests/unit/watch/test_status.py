from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from spillwatch.records import HEARTBEAT_S, CameraState, CameraStatus, WellState, WellStatus
from spillwatch.watch.status import StatusBoard
from tests.support.simulated import START, SimulatedLine, frame, gap


def test_wells_are_told_once_and_the_camera_when_it_changes() -> None:
    line = SimulatedLine(2, out_of_service=[1])
    board = StatusBoard(line.pipeline)
    first = board.update(START, 0.0)
    assert [m.state for m in first if isinstance(m, WellStatus)] == [WellState.WATCHING, WellState.OUT_OF_SERVICE]
    assert [m.state for m in first if isinstance(m, CameraStatus)] == [CameraState.BLIND]
    assert board.update(START, 0.1) == []
    line.pipeline.step(frame(0.2))
    (now,) = board.update(START, 0.2)
    assert (now.state, isinstance(now, CameraStatus)) == (CameraState.WATCHING, True)
    line.pipeline.step(gap(3.0))
    (now,) = board.update(START, 3.0)
    assert isinstance(now, CameraStatus)
    assert (now.state, now.reason) == (CameraState.BLIND, "no frame for 2 s")


def test_the_camera_is_told_at_a_steady_pace_with_its_frame_rate_and_age() -> None:
    line = SimulatedLine(1)
    board = StatusBoard(line.pipeline)
    told = []
    for i in range(int(20 * 12.5)):
        time_s = i / 12.5
        line.pipeline.step(frame(time_s))
        board.count(frame(time_s))
        told += [m for m in board.update(START + timedelta(seconds=time_s), time_s) if isinstance(m, CameraStatus)]
    assert len(told) == 1 + int(19.92 / HEARTBEAT_S)
    assert told[-1].fps == 12.5
    assert told[-1].last_frame_age_s == 0


def test_a_status_tells_since_when_it_holds_the_age_of_the_last_score_and_how_many_wells_are_watched() -> None:
    line = SimulatedLine(3, out_of_service=[2])
    board = StatusBoard(line.pipeline)
    told = []
    for i in range(200):
        time_s = i * 0.1
        line.sight = replace(line.sight, level=120.0 if time_s < 6 else 2.0)
        line.pipeline.step(frame(time_s))
        board.count(frame(time_s))
        told += [m for m in board.update(START + timedelta(seconds=time_s), time_s) if isinstance(m, CameraStatus)]
    first, *_, last = told
    assert first.state == CameraState.WATCHING
    assert first.wells == {"watching": 2, "obstructed": 0, "shelved": 0, "out_of_service": 1}
    assert first.last_score_age_s == 0
    assert last.state == CameraState.BLIND
    assert last.wells["watching"] == 0
    blind = next(status for status in told if status.state == CameraState.BLIND)
    assert blind.since == blind.at == last.since
    assert last.last_frame_age_s == 0
    assert last.last_score_age_s is not None
    assert last.last_score_age_s > 8
    assert {status.heartbeat_s for status in told} == {5.0}
