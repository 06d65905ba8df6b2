"""What the plate looked like, over a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spillwatch.store import plates

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LOOK = np.arange(72, dtype=np.uint8).reshape(3, 2, 12)


def test_it_comes_back_for_the_same_wells_alone(tmp_path: Path) -> None:
    plates.keep(tmp_path, "cam1", LOOK, made_from="these wells")
    again = plates.kept(tmp_path, "cam1", made_from="these wells")
    assert again is not None
    np.testing.assert_array_equal(again, LOOK)
    assert plates.kept(tmp_path, "cam1", made_from="other wells") is None
    assert plates.kept(tmp_path, "cam2", made_from="these wells") is None


def test_what_is_old_is_left_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plates.keep(tmp_path, "cam1", LOOK, made_from="these wells")
    monkeypatch.setattr(plates, "FRESH", plates.FRESH * 0)
    assert plates.kept(tmp_path, "cam1", made_from="these wells") is None


def test_a_file_that_is_none_and_a_disk_that_takes_nothing_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "plates-cam1.safetensors").write_bytes(b"nothing of the kind")
    assert plates.kept(tmp_path, "cam1", made_from="these wells") is None
    plates.keep(tmp_path / "missing", "cam1", LOOK, made_from="these wells")
