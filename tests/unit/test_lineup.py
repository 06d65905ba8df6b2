"""A site's cameras drawn up from settings."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spillwatch import lineup
from spillwatch.config import Settings
from spillwatch.lineup import Cameras, Lineup
from spillwatch.records import Memory
from spillwatch.sources.live import LiveCamera
from spillwatch.wells.surround import SAMPLES
from tests.support.sources import ScriptedSource

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.config import CameraSettings

WELLS = '[[wells]]\nid = "1L1"\nx = {x}\ny = 40.0\nwidth = 45.0\nheight = 28.0\n'


def make(camera: CameraSettings) -> LiveCamera:
    return LiveCamera(camera.id, ScriptedSource, lost_after_s=2, wake=partial(bool))


CAMERAS = Cameras(make=make, memory=lambda _camera: Memory())


def settled(folder: Path, *, x: float, more: str = "") -> Settings:
    """Settings with one camera over one well."""
    wells = folder / "wells.toml"
    wells.write_text(WELLS.format(x=x) + more, encoding="utf-8")
    camera = {"id": "cam1", "kind": "rtsp", "url": "rtsp://127.0.0.1/none", "wells": wells}
    return Settings.model_validate({"site": "line", "cameras": [camera], "state": {"directory": folder}})


def drawn_up(folder: Path, *, x: float) -> Lineup:
    """One camera over one well; nothing is started."""
    return lineup.draw_up(settled(folder, x=x), itertools.count(1).__next__, CAMERAS)


def test_what_the_plate_looks_like_outlives_a_restart_and_not_a_move_of_the_wells(tmp_path: Path) -> None:
    look = np.full((3, 1, SAMPLES), 99, np.uint8)
    before = drawn_up(tmp_path, x=60.0)
    assert before.units[0].pipeline.plates is None
    before.units[0].pipeline.recall(look)
    lineup.keep_plates(before, tmp_path)
    again = drawn_up(tmp_path, x=60.0).units[0].pipeline.plates
    assert again is not None
    np.testing.assert_array_equal(again, look)
    assert drawn_up(tmp_path, x=61.0).units[0].pipeline.plates is None


def test_what_the_plate_looks_like_outlives_a_reload_that_moves_no_well(tmp_path: Path) -> None:
    settings = settled(tmp_path, x=60.0)
    before = lineup.draw_up(settings, itertools.count(1).__next__, CAMERAS)
    before.units[0].pipeline.recall(np.full((3, 1, SAMPLES), 99, np.uint8))
    changed = settled(tmp_path, x=60.0, more="out_of_service = true\n")
    after = lineup.make_over(before, changed, settings, CAMERAS).units[0].pipeline
    assert after is not before.units[0].pipeline
    assert after.plates is not None
    assert (after.plates == 99).all()
    moved = lineup.make_over(before, settled(tmp_path, x=61.0), settings, CAMERAS).units[0].pipeline
    assert moved.plates is None
