"""A small plant against a real broker; the large one is for documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.rig import MissingError
from tools.simulate_plant import PHASES, Plant, play

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plant_is_played_without_loss(tmp_path: Path) -> None:
    plant = Plant(
        cameras=6,
        boxes=3,
        wells=12,
        seconds=1,
        processes=1,
        panels=2,
        flood_cameras=2,
        alarms_per_hour=0,
        pace=10,
    )
    try:
        phases, figures = play(plant, tmp_path)
    except MissingError as exc:
        pytest.skip(str(exc))
    assert tuple(phase.name for phase in phases) == PHASES
    start, calm, flood = (phase.seen[0]["messages"] for phase in phases)
    assert start == 3 + 6 * 12 + 6, "each box, well and camera tells its state"
    assert calm == pytest.approx(6 * 2, abs=6), "two heartbeats of each camera"
    assert flood == 2 * 2 * 12, "each alarm comes as an event and as a retained value"
    assert (figures["events"], figures["lost"], figures["twice"]) == (2 * 12, 0, 0)
    assert figures["retained"] == start + 2 * 12
    assert phases[2].late("alarms", 0.5) > 0
