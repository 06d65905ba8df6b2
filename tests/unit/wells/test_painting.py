"""The painted spill of the self-test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from spillwatch.records import Frame, Planes, Wells
from spillwatch.wells.painting import Painter


@pytest.fixture
def scene() -> tuple[Frame, Wells]:
    """Two wells of rough ground."""
    rng = np.random.default_rng(1)
    planes = Planes(
        y=rng.integers(40, 200, (80, 160), np.uint8),
        u=rng.integers(120, 136, (40, 80), np.uint8),
        v=rng.integers(120, 136, (40, 80), np.uint8),
    )
    wells = Wells(
        ids=("1", "2"),
        centres=np.array([(40.0, 40.0), (110.0, 40.0)]),
        sizes=np.array([(48.0, 28.0)] * 2),
        in_service=np.ones(2, np.bool_),
    )
    return Frame(camera="cam", at=datetime(2026, 1, 1, tzinfo=UTC), time_s=0.0, planes=planes), wells


def test_only_the_well_changes_and_only_in_the_copy(scene: tuple[Frame, Wells]) -> None:
    frame, wells = scene
    before = frame.planes.y.copy()
    painted = Painter(wells)(frame, 1)
    assert np.array_equal(frame.planes.y, before)
    rows, columns = np.nonzero(painted.planes.y != before)
    assert rows.min() >= 26
    assert rows.max() < 54
    assert columns.min() >= 86
    assert columns.max() < 134


def test_it_is_smooth_bluish_and_as_bright_as_the_well_was(scene: tuple[Frame, Wells]) -> None:
    frame, wells = scene
    planes = Painter(wells)(frame, 1).planes
    inside, before = planes.y[36:45, 102:119], frame.planes.y[36:45, 102:119]
    assert inside.std() < 5 < before.std()
    assert abs(float(inside.mean()) - float(before.mean())) < 12
    assert planes.u[20, 55] > 135
    assert planes.v[20, 55] < 125


def test_it_follows_the_table_and_may_hang_over_the_frames_edge(scene: tuple[Frame, Wells]) -> None:
    frame, wells = scene
    moved = Painter(wells)(frame, 1, (5.0, -4.0)).planes.y
    assert np.nonzero(moved != frame.planes.y)[1].min() >= 91
    edge = replace(wells, centres=np.array([(40.0, 40.0), (158.0, 2.0)]))
    assert Painter(edge)(frame, 1).planes.y.shape == frame.planes.y.shape
