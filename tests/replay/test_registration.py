"""The real clips: the camera shakes, is knocked by 9 px at 32 s of line_faults, and people walk through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from spillwatch.sources.file import FileSource
from spillwatch.wells.registration import Registrar
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import F64, Bools

pytestmark = pytest.mark.needs_data


@dataclass
class Track:
    """``times_s`` (frames,), ``shifts`` (frames, 2) pixels, ``trusted`` (frames,)."""

    times_s: F64
    shifts: F64
    trusted: Bools

    def during(self, first_s: float, last_s: float) -> Track:
        part = (self.times_s >= first_s) & (self.times_s < last_s)
        return Track(self.times_s[part], self.shifts[part], self.trusted[part])


def follow(clip: Path, *, every: int = 1) -> Track:
    registrar = Registrar(wells_of_truth(clip.with_suffix(".json")), None)
    with FileSource(clip) as source:
        seen = [(frame.time_s, registrar(frame)) for i, frame in enumerate(source) if i % every == 0]
    return Track(
        np.array([time_s for time_s, _ in seen]),
        np.array([(found.dx, found.dy) for _, found in seen]),
        np.array([found.trusted for _, found in seen]),
    )


@pytest.mark.parametrize("name", ["line_normal", "line_spills"])
def test_people_and_spills_do_not_pull_the_wells_off(shared: Path, name: str) -> None:
    track = follow(shared / f"clips/{name}.mp4")
    assert track.trusted.all()
    assert np.abs(track.shifts).max() <= 2.0, "the camera only shakes, by a pixel or so about an unknown middle"


@pytest.mark.parametrize("every", [1, 3])  # 12.5 and about 4 frames per second
def test_a_knock_is_followed_within_a_second(shared: Path, every: int) -> None:
    track = follow(shared / "clips/line_faults.mp4", every=every)
    before, after = track.during(27, 31.9), track.during(33, 40)
    assert before.trusted.all()
    assert after.trusted.all()
    knock = after.shifts.mean(axis=0) - before.shifts.mean(axis=0)
    assert 7 <= np.hypot(*knock) <= 13
    assert np.abs(after.shifts - after.shifts.mean(axis=0)).max() <= 2.0


def test_light_darkness_and_a_frozen_picture_move_nothing(shared: Path) -> None:
    track = follow(shared / "clips/line_faults.mp4")
    early = track.during(0, 31.9)
    assert np.abs(early.shifts).max() <= 2.0, "trusted or not"
    assert early.trusted[(early.times_s < 12) | (early.times_s >= 15.1)].all()
