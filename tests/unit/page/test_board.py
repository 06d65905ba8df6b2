from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from spillwatch.page.board import RECENT, Board
from spillwatch.records import (
    AlarmState,
    CameraState,
    CameraStatus,
    Condition,
    Priority,
    Suppression,
    WellState,
    WellStatus,
)
from tests.support.publishers import AT, alarm_event

NAME = "cam1/3L4/spill/1"


def board_with(*messages: object) -> Board:
    board = Board()
    for message in messages:
        board.take(message)  # type: ignore[arg-type]
    return board


def names(board: Board, which: str) -> list[str]:
    return [entry["name"] for entry in board.state(["cam1"], [])[which]]


def raised(number: int, **changes: object) -> object:
    return alarm_event(number, id=f"cam1/{number}/spill/{number}.1", well=str(number), **changes)


def test_an_alarm_stands_from_raise_to_return_with_the_time_of_its_raise() -> None:
    first = alarm_event(1, id=f"{NAME}.1", first_out=True)
    acked = replace(
        first, id=f"{NAME}.2", seq=2, state=AlarmState.ACKNOWLEDGED, acked=True, at=AT + timedelta(seconds=9)
    )
    board = board_with(first, acked)
    (entry,) = board.state(["cam1"], [])["alarms"]
    assert (entry["state"], entry["first_out"]) == ("acknowledged", True)
    assert entry["since"] != entry["at"]
    board.take(replace(acked, id=f"{NAME}.3", seq=3, state=AlarmState.NORMAL, active=False))
    assert names(board, "alarms") == []
    assert names(board, "recent") == [NAME]


def test_an_alarm_that_ended_unanswered_still_calls() -> None:
    board = board_with(alarm_event(1, id=f"{NAME}.1"))
    board.take(alarm_event(2, id=f"{NAME}.2", state=AlarmState.RTN_UNACKNOWLEDGED, active=False))
    assert names(board, "alarms") == [NAME]


def test_what_is_shelved_leaves_the_list_and_comes_back_under_its_name() -> None:
    board = board_with(alarm_event(1, id=f"{NAME}.1"), alarm_event(2, id=f"{NAME}.2", state=AlarmState.SHELVED))
    assert names(board, "alarms") == []
    board.take(alarm_event(3, id=f"{NAME}.3", state=AlarmState.UNACKNOWLEDGED))
    assert names(board, "alarms") == [NAME]


def test_the_gravest_unanswered_first_out_alarm_stands_on_top() -> None:
    board = board_with(
        raised(1, acked=True, state=AlarmState.ACKNOWLEDGED),
        raised(2, priority=Priority.MEDIUM),
        raised(3),
        raised(4, first_out=True),
        raised(5, active=False, state=AlarmState.RTN_UNACKNOWLEDGED),
    )
    assert [name.split("/")[1] for name in names(board, "alarms")] == ["4", "3", "5", "1", "2"]


def test_the_highest_score_of_an_alarm_is_shown_also_when_it_has_fallen() -> None:
    board = board_with(alarm_event(1, id=f"{NAME}.1", score=0.5), alarm_event(2, id=f"{NAME}.2", score=0.001))
    assert board.state(["cam1"], [])["alarms"][0]["score"] == 0.5


def test_a_shelf_over_a_calm_well_was_no_alarm() -> None:
    board = board_with(alarm_event(1, id=f"{NAME}.1", state=AlarmState.SHELVED, active=False, acked=True))
    board.take(alarm_event(2, id=f"{NAME}.2", state=AlarmState.NORMAL, active=False, acked=True))
    assert names(board, "alarms") == names(board, "recent") == []


def test_a_verdict_is_shown_also_after_the_alarm_has_ended() -> None:
    board = board_with(alarm_event(1, id=f"{NAME}.1"))
    board.judge(NAME, verdict=False)
    board.take(alarm_event(2, id=f"{NAME}.2", state=AlarmState.NORMAL, active=False, acked=True))
    (entry,) = board.state(["cam1"], [])["recent"]
    assert entry["verdict"] is False
    assert board.knows(NAME)
    assert not board.knows("another")


def test_only_the_newest_ended_alarms_are_kept() -> None:
    board = Board()
    for number in range(RECENT + 5):
        board.take(raised(number))  # type: ignore[arg-type]
        board.take(raised(number, state=AlarmState.NORMAL, active=False, acked=True))  # type: ignore[arg-type]
    assert len(names(board, "recent")) == RECENT
    assert names(board, "recent")[0].split("/")[1] == str(RECENT + 4)


def test_a_camera_of_which_nothing_was_heard_is_blind() -> None:
    (camera,) = Board().state(["cam1"], [])["cameras"]
    assert camera["state"] == "blind"


def test_wells_are_told_only_where_they_are_not_simply_watched() -> None:
    board = board_with(
        CameraStatus(camera="cam1", state=CameraState.WATCHING, reason=None, fps=25.0, last_frame_age_s=0.1, at=AT),
        WellStatus(camera="cam1", well="1", state=WellState.WATCHING, at=AT),
        WellStatus(camera="cam1", well="2", state=WellState.OBSTRUCTED, at=AT),
        WellStatus(camera="other", well="3", state=WellState.SHELVED, at=AT),
    )
    (camera,) = board.state(["cam1"], [])["cameras"]
    assert (camera["state"], camera["unusual"]) == ("watching", {"2": "obstructed"})


def test_suppressions_say_who_why_and_until_when() -> None:
    item = Suppression(
        camera="cam1", well="2", kind=AlarmState.SHELVED, by="Anna", reason="steam", since=AT, until=None
    )
    (told,) = Board().state(["cam1"], [item])["suppressed"]
    assert (told["well"], told["kind"], told["by"], told["reason"], told["until"]) == (
        "2",
        "shelved",
        "Anna",
        "steam",
        None,
    )


def test_each_change_is_a_new_version() -> None:
    board = Board()
    before = board.version
    board.take(alarm_event(1, condition=Condition.OBSTRUCTED))
    assert board.version > before
