from __future__ import annotations

from datetime import timedelta

from spillwatch.records import CameraState, CameraStatus, WellState, WellStatus
from spillwatch.watch.status import EVERY_S, StatusBoard
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
    assert len(told) == 1 + int(19.92 / EVERY_S)
    assert told[-1].fps == 12.5
    assert told[-1].last_frame_age_s == 0
