"""Stories of cameras that cannot see, and of what stands before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spillwatch.errors import ModelError
from spillwatch.records import CameraState, Condition, WellState
from tests.support.simulated import NORMAL, OBSTRUCTED_AFTER_S, ON_S, SAMPLES, SPILL, SimulatedLine, gap

RATES = pytest.mark.parametrize("fps", [5.0, 12.5, 25.0])
QUIET = (NORMAL,) * 3


def cover(line: SimulatedLine, *wells: int, covered: bool = True) -> None:
    """Something dark stands before these wells, and goes away."""
    line.rings = line.rings.copy()
    line.rings[0, list(wells)] = 20.0 if covered else 110.0


@RATES
@pytest.mark.parametrize(
    ("sight", "condition"),
    [
        ({"level": 20.0}, Condition.CAMERA_DARK),
        ({"clipped": 0.9}, Condition.CAMERA_SATURATED),
        ({"changed": 0.0}, Condition.CAMERA_FROZEN),
        ({"veiled": 1.0}, Condition.CAMERA_BLURRED),
    ],
)
def test_a_blind_camera_is_named_within_two_seconds_and_clears_by_itself(
    fps: float, sight: dict[str, float], condition: Condition
) -> None:
    line = SimulatedLine(3, fps=fps)
    assert line.run(4, lambda _: QUIET) == []
    good, line.sight = line.sight, replace(line.sight, **sight)
    (event,) = line.run(3, lambda _: (SPILL,) * 3)  # what a blind camera shows is not believed
    assert (event.condition, event.active, event.well) == (condition, True, None)
    assert event.media_time_s is not None
    assert event.media_time_s <= 4 + 2
    assert line.pipeline.camera_state == CameraState.BLIND
    line.sight = good
    (event,) = line.run(3, lambda _: QUIET)
    assert (event.condition, event.active) == (condition, False)
    assert line.pipeline.camera_state == CameraState.WATCHING


def test_an_encoder_that_repaints_a_frozen_picture_does_not_hide_that_it_is_frozen() -> None:
    line = SimulatedLine(3)
    line.run(4, lambda _: QUIET)
    events = []
    for frame in range(25):
        line.sight = replace(line.sight, changed=0.05 if frame % 4 == 0 else 0.0001)
        events += line.run(1 / line.fps, lambda _: QUIET)
    assert [event.condition for event in events] == [Condition.CAMERA_FROZEN]


@pytest.mark.parametrize("fps", [0.6, 1.0, 2.0])
def test_a_camera_that_sends_a_picture_now_and_then_is_known_to_be_frozen_by_the_fourth(fps: float) -> None:
    line = SimulatedLine(3, fps=fps)
    line.run(10, lambda _: QUIET)
    line.sight = replace(line.sight, changed=0.0)
    (event,) = line.run(4 / fps, lambda _: QUIET)
    assert event.condition == Condition.CAMERA_FROZEN


def test_one_dark_frame_is_not_named_and_not_scored() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.sight = replace(line.sight, level=10.0)
    assert line.run(1 / 12.5, lambda _: (SPILL,) * 3) == []
    assert line.pipeline.view is not None
    assert np.isnan(line.pipeline.view.scores).all()


def test_a_picture_that_moved_out_of_reach_blinds_the_camera() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.alignment = replace(line.alignment, trusted=False)
    (event,) = line.run(2, lambda _: (SPILL,) * 3)
    assert event.condition == Condition.CAMERA_SHIFTED
    line.alignment = replace(line.alignment, trusted=True, dx=40.0)
    (event,) = line.run(2, lambda _: QUIET)
    assert (event.condition, event.active) == (Condition.CAMERA_SHIFTED, False)
    assert line.pipeline.view is not None
    assert line.pipeline.view.shift == (40.0, 0.0)


def test_what_cannot_be_aligned_under_half_a_veil_is_veiled_and_not_shifted() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.alignment = replace(line.alignment, trusted=False)
    line.sight = replace(line.sight, veiled=0.4)
    (event,) = line.run(2, lambda _: QUIET)
    assert event.condition == Condition.CAMERA_BLURRED


def test_a_hand_over_the_lens_is_dark_and_not_blurred_frozen_or_shifted_as_well() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.alignment = replace(line.alignment, trusted=False)
    line.sight = replace(line.sight, level=15.0, veiled=1.0, changed=0.0)
    (event,) = line.run(5, lambda _: QUIET)
    assert event.condition == Condition.CAMERA_DARK


def test_steam_over_a_third_of_the_table_blinds_nothing() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.sight = replace(line.sight, veiled=0.4)
    (event,) = line.run(3, lambda _: (SPILL, NORMAL, NORMAL))
    assert (event.condition, event.well) == (Condition.SPILL, "1")


@pytest.mark.parametrize(("sight", "why"), [({"level": 68.0}, "too little light"), ({"veiled": 0.4}, "veiled")])
def test_weak_sight_is_said_while_wells_are_watched_on(sight: dict[str, float], why: str) -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    good, line.sight = line.sight, replace(line.sight, **sight)
    (event,) = line.run(2, lambda _: (SPILL, NORMAL, NORMAL))
    assert (event.condition, event.well) == (Condition.SPILL, "1")
    assert line.pipeline.camera_state == CameraState.DEGRADED
    assert line.pipeline.reason is not None
    assert why in line.pipeline.reason
    line.sight = good
    line.run(2.5, lambda _: QUIET)
    assert line.pipeline.camera_state == CameraState.WATCHING


@pytest.mark.parametrize("sight", [{"veiled": 1.0}, {"level": 20.0}])
def test_what_lasts_half_a_second_is_neither_named_nor_scored(sight: dict[str, float]) -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    good, line.sight = line.sight, replace(line.sight, **sight)
    assert line.run(0.4, lambda _: (SPILL,) * 3) == []
    line.sight = good
    assert line.run(3, lambda _: QUIET) == []


def test_a_picture_that_flickers_between_seen_and_unseen_is_one_alarm() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    events = []
    for turn in range(20):
        line.alignment = replace(line.alignment, trusted=turn % 2 == 1)
        events += line.run(0.6 if turn % 2 == 0 else 0.2, lambda _: QUIET)
    assert [(event.condition, event.active) for event in events] == [(Condition.CAMERA_SHIFTED, True)]


@pytest.mark.parametrize("level", [10.0, 120.0])
def test_a_spill_is_found_although_every_second_picture_shows_nothing(level: float) -> None:
    line = SimulatedLine(3, fps=25.0)
    line.run(4, lambda _: QUIET)
    good, aligned, events = line.sight, line.alignment, []
    for turn in range(75):
        line.sight = replace(good, level=good.level if turn % 2 else level)
        line.alignment = replace(aligned, trusted=turn % 2 == 1)
        events += line.run(1 / line.fps, lambda _: (SPILL, NORMAL, NORMAL))
    (event,) = events
    assert (event.condition, event.well) == (Condition.SPILL, "1")
    assert event.media_time_s is not None
    assert event.media_time_s <= 4 + 2 * ON_S + 0.2


@RATES
def test_one_good_picture_now_and_then_does_not_hide_that_the_camera_is_blind(fps: float) -> None:
    line = SimulatedLine(3, fps=fps)
    line.run(2, lambda _: QUIET)
    events = []
    for turn in range(round(4 * fps)):
        line.alignment = replace(line.alignment, trusted=turn % 6 == 0)
        events += line.run(1 / fps, lambda _: QUIET)
    (event,) = events
    assert event.condition == Condition.CAMERA_SHIFTED
    assert event.media_time_s is not None
    assert event.media_time_s <= 2 + 2


@pytest.mark.parametrize("frames", [1, 5])
def test_a_blind_camera_whose_condition_turns_all_the_time_is_named_once(frames: int) -> None:
    line = SimulatedLine(3, fps=25.0)
    line.run(2, lambda _: QUIET)
    line.alignment = replace(line.alignment, trusted=False)
    events = []
    for turn in range(40):
        line.sight = replace(line.sight, veiled=0.31 if turn % 2 else 0.29)
        events += line.run(frames / line.fps, lambda _: QUIET)
    (event,) = events
    assert event.condition in {Condition.CAMERA_SHIFTED, Condition.CAMERA_BLURRED}
    assert event.media_time_s is not None
    assert event.media_time_s <= 2 + 1


def test_a_condition_does_not_outlive_the_loss_of_the_camera() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    good, line.sight = line.sight, replace(line.sight, level=10.0)
    line.run(2, lambda _: QUIET)
    line.pipeline.step(gap(line.frames / line.fps))
    line.sight = good
    line.frames += 50
    (event,) = line.run(2, lambda _: QUIET)
    assert (event.condition, event.active) == (Condition.CAMERA_LOST, False)


def test_late_pictures_are_named_but_still_watched() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.lag_s = 2.5
    late, spill = line.run(3, lambda _: (SPILL, NORMAL, NORMAL))
    assert {(late.condition, late.well), (spill.condition, spill.well)} == {
        (Condition.CAMERA_LATE, None),
        (Condition.SPILL, "1"),
    }
    assert (line.pipeline.camera_state, line.pipeline.reason) == (CameraState.DEGRADED, "pictures come late")
    line.lag_s = 0.0
    events = line.run(8, lambda _: (SPILL, NORMAL, NORMAL))
    assert [(event.condition, event.active) for event in events] == [(Condition.CAMERA_LATE, False)]


def test_what_a_short_break_of_the_network_held_up_is_not_called_late() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.lag_s = 1.5
    assert line.run(0.5, lambda _: QUIET) == []
    line.lag_s = 4.0
    assert line.run(0.5, lambda _: QUIET) == []
    line.lag_s = 0.0
    assert line.run(5, lambda _: QUIET) == []


def test_a_picture_of_another_size_says_so() -> None:
    line = SimulatedLine(3)
    line.run(2, lambda _: QUIET)
    line.alignment = replace(line.alignment, trusted=False, reason="the picture is 960x600")
    (event,) = line.run(2, lambda _: QUIET)
    assert (event.condition, line.pipeline.reason) == (Condition.CAMERA_SHIFTED, "the picture is 960x600")


def test_a_spill_is_kept_through_a_frozen_picture() -> None:
    line = SimulatedLine(3)
    line.run(5, lambda _: (SPILL, NORMAL, NORMAL))
    line.sight = replace(line.sight, changed=0.0)
    frozen = line.run(4, lambda _: (SPILL, NORMAL, NORMAL))
    line.sight = replace(line.sight, changed=0.3)
    thawed = line.run(4, lambda _: (SPILL, NORMAL, NORMAL))
    assert [event.condition for event in frozen + thawed] == [Condition.CAMERA_FROZEN] * 2
    assert ("spill", "1") in line.pipeline.alarms.active()


def test_who_stands_before_a_well_is_no_spill_but_obstructs_it_in_the_end() -> None:
    line = SimulatedLine(3)
    line.run(3, lambda _: QUIET)
    cover(line, 1)
    assert line.run(5, lambda _: (NORMAL, SPILL, NORMAL)) == []
    assert line.pipeline.well_states() == [WellState.WATCHING, WellState.OBSTRUCTED, WellState.WATCHING]
    assert line.pipeline.camera_state == CameraState.DEGRADED
    (event,) = line.run(OBSTRUCTED_AFTER_S, lambda _: (NORMAL, SPILL, NORMAL))
    assert (event.condition, event.well, event.active) == (Condition.OBSTRUCTED, "2", True)
    cover(line, 1, covered=False)
    (event,) = line.run(5, lambda _: QUIET)
    assert (event.condition, event.active) == (Condition.OBSTRUCTED, False)


def test_who_stands_before_a_well_across_a_restart_is_known_at_once() -> None:
    before = SimulatedLine(3)
    before.run(3, lambda _: QUIET)
    assert before.pipeline.plates is not None
    line = SimulatedLine(3)
    line.pipeline.recall(before.pipeline.plates)
    cover(line, 1)
    assert line.run(1 / line.fps, lambda _: (NORMAL, SPILL, NORMAL)) == []
    assert line.pipeline.view is not None
    assert line.pipeline.view.covered.tolist() == [False, True, False]
    assert line.run(3, lambda _: (NORMAL, SPILL, NORMAL)) == []
    assert line.pipeline.well_states() == [WellState.WATCHING, WellState.OBSTRUCTED, WellState.WATCHING]


def test_the_plate_of_another_wells_file_is_not_recalled() -> None:
    line = SimulatedLine(3)
    line.pipeline.recall(np.zeros((3, 2, SAMPLES), np.uint8))
    line.run(3, lambda _: QUIET)
    assert set(line.pipeline.well_states()) == {WellState.WATCHING}


def test_who_passes_changes_no_state() -> None:
    line = SimulatedLine(3)
    line.run(3, lambda _: QUIET)
    cover(line, 0, 1)
    assert line.run(0.5, lambda _: (SPILL, SPILL, NORMAL)) == []
    assert set(line.pipeline.well_states()) == {WellState.WATCHING}


def test_a_spill_beside_an_obstruction_and_one_that_appears_from_behind_it_are_raised() -> None:
    line = SimulatedLine(3)
    line.run(3, lambda _: QUIET)
    cover(line, 1)
    (beside,) = line.run(3, lambda _: (SPILL, SPILL, NORMAL))
    assert beside.well == "1"
    cover(line, 1, covered=False)
    (behind,) = line.run(3, lambda _: (SPILL, SPILL, NORMAL))
    assert behind.well == "2"


def test_a_step_of_the_light_is_nobodys_obstruction() -> None:
    line = SimulatedLine(3)
    line.run(3, lambda _: QUIET)
    dark = np.array([0, 128, 128], np.float32)[:, None, None]
    line.rings = (line.rings - dark) * np.float32(1.4) + dark
    line.run(3, lambda _: QUIET)
    assert set(line.pipeline.well_states()) == {WellState.WATCHING}


def test_a_step_of_the_white_balance_is_nobodys_obstruction() -> None:
    line = SimulatedLine(3)
    line.run(3, lambda _: QUIET)
    line.rings = line.rings + np.array([0, -15, 20], np.float32)[:, None, None]
    line.run(3, lambda _: QUIET)
    assert set(line.pipeline.well_states()) == {WellState.WATCHING}
    (event,) = line.run(3, lambda _: (NORMAL, SPILL, NORMAL))
    assert (event.condition, event.well) == (Condition.SPILL, "2")


def test_who_stood_before_a_well_at_the_start_and_leaves_uncovers_it() -> None:
    line = SimulatedLine(3)
    cover(line, 1)
    line.run(3, lambda _: QUIET)
    cover(line, 1, covered=False)
    line.run(3, lambda _: QUIET)
    assert set(line.pipeline.well_states()) == {WellState.WATCHING}
    (spill,) = line.run(3, lambda _: (NORMAL, SPILL, NORMAL))
    assert (spill.condition, spill.well) == (Condition.SPILL, "2")
    cover(line, 1)
    line.run(3, lambda _: QUIET)
    assert line.pipeline.well_states()[1] == WellState.OBSTRUCTED


def test_what_lifts_many_wells_at_once_is_one_condition() -> None:
    line = SimulatedLine(84)
    line.run(5, lambda _: (NORMAL,) * 84)
    (event,) = line.run(5, lambda _: (SPILL,) * 60 + (NORMAL,) * 24)
    assert (event.condition, event.well, event.active) == (Condition.COMMON_CAUSE, None, True)
    assert line.pipeline.camera_state == CameraState.DEGRADED
    (event,) = line.run(5, lambda _: (NORMAL,) * 84)
    assert (event.condition, event.active) == (Condition.COMMON_CAUSE, False)


def test_a_well_that_stands_out_from_a_common_cause_is_raised() -> None:
    line = SimulatedLine(84)
    line.run(5, lambda _: (NORMAL,) * 84)
    events = line.run(5, lambda _: (SPILL * 3,) + (0.02,) * 83)
    assert {(event.condition, event.well) for event in events} == {("common_cause", None), ("spill", "1")}


def test_spills_that_follow_each_other_are_never_a_common_cause() -> None:
    line = SimulatedLine(84)
    line.run(5, lambda _: (NORMAL,) * 84)
    events = line.run(70, lambda t: [SPILL if t > 6 + 2 * i else NORMAL for i in range(30)] + [NORMAL] * 54)
    assert {event.condition for event in events} == {Condition.SPILL}
    assert len(events) == 30


def test_a_well_that_darkens_slowly_is_followed_within_bounds() -> None:
    line = SimulatedLine(3)
    assert line.run(1200, lambda t: (NORMAL, 0.001 * 20 ** min(t / 900, 1), NORMAL)) == []
    (event,) = line.run(10, lambda _: (NORMAL, SPILL, NORMAL))
    assert event.well == "2"


def test_the_first_picture_after_blindness_is_no_evidence_by_itself() -> None:
    line = SimulatedLine()
    line.run(5, lambda _: QUIET)
    line.pipeline.step(gap(7.0))
    line.frames = round(8 * line.fps)
    line.run(1 / line.fps, lambda _: (SPILL, NORMAL, NORMAL))
    assert line.pipeline.view is not None
    assert line.pipeline.view.evidence[0] == 0


def test_a_spill_that_began_in_blindness_is_raised_soon_after_it() -> None:
    line = SimulatedLine()
    line.run(5, lambda _: QUIET)
    line.pipeline.step(gap(7.0))
    line.frames = round(8 * line.fps)
    events = line.run(2, lambda _: (SPILL, NORMAL, NORMAL))
    (spill,) = [event for event in events if event.condition == Condition.SPILL]
    assert spill.media_time_s == pytest.approx(8 + ON_S, abs=0.2)


def test_the_news_that_a_well_is_covered_is_not_lost_with_a_picture_that_cannot_be_judged() -> None:
    line = SimulatedLine(3)
    line.run(3, lambda _: QUIET)
    cover(line, 1)
    line.run(OBSTRUCTED_AFTER_S - 1 / line.fps, lambda _: QUIET)
    for _ in range(3):
        with pytest.raises(ModelError):
            line.run(1 / line.fps, lambda _: (np.nan,) * 3)
        line.frames += 1
    (event,) = line.run(2, lambda _: QUIET)
    assert (event.condition, event.well, event.active) == (Condition.OBSTRUCTED, "2", True)
