"""A few of each fault of the campaign (tools/faults), to the real daemon; `make faults` does them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.faults.campaign import FAULTS, run_one

if TYPE_CHECKING:
    from pathlib import Path

SEED = 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of its own for each run; the scenes are drawn once."""
    return tmp_path_factory.mktemp("faults")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.few])
def test_the_daemon_lives_through(name: str, folder: Path) -> None:
    times = FAULTS[name].few
    tally = run_one(name, folder / name, seed=SEED, times=times)
    assert not tally.breaches, tally.summary()
    assert tally.times >= times
