from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from spillwatch.errors import WellsError
from spillwatch.wells.locating import Table, draw_preview, lay_out, well_id, write_picture

if TYPE_CHECKING:
    from pathlib import Path

SQUARE = np.array([(100, 100), (500, 100), (500, 300), (100, 300)], np.float64)
TABLE = Table(rows=3, columns=5, corners=SQUARE)


def test_rows_are_named_by_launder_and_side() -> None:
    assert [well_id(0, 0), well_id(1, 0), well_id(5, 3), well_id(7, 10)] == ["1U1", "1L1", "3L4", "4L11"]


def test_seen_square_on_the_grid_is_even() -> None:
    wells = lay_out(TABLE)
    assert wells.ids[:6] == ("1U1", "1U2", "1U3", "1U4", "1U5", "1L1")
    expected = [(x, y) for y in (100, 200, 300) for x in (100, 200, 300, 400, 500)]
    assert wells.centres == pytest.approx(np.array(expected, float), abs=1e-3)
    assert wells.sizes == pytest.approx(np.full((15, 2), (55.0, 35.75)), abs=1e-3)


def test_any_perspective_is_followed() -> None:
    view = np.array([(0.9, 0.1, 20), (-0.05, 0.8, 60), (0.0002, 0.0006, 1)])
    corners = cv2.perspectiveTransform(SQUARE.reshape(-1, 1, 2), view).reshape(-1, 2)
    flat, seen = lay_out(TABLE), lay_out(replace(TABLE, corners=np.asarray(corners, np.float64)))
    expected = cv2.perspectiveTransform(flat.centres.reshape(-1, 1, 2), view).reshape(-1, 2)
    assert seen.centres == pytest.approx(expected, abs=1e-2)
    near, far = seen.sizes[:, 0].argmax(), seen.sizes[:, 0].argmin()
    assert seen.centres[near, 1] < seen.centres[far, 1]  # this view shrinks downwards


def test_gaps_between_rows_may_differ() -> None:
    wells = lay_out(replace(TABLE, row_gaps=(1.0, 3.0), well_size=(46.0, 30.0)))
    assert wells.centres[5::5, 1] == pytest.approx([150, 300], abs=1e-3)
    assert wells.sizes == pytest.approx(np.full((15, 2), (46.0, 30.0)), abs=1e-3)


def test_wells_that_the_table_lacks_are_left_out() -> None:
    wells = lay_out(replace(TABLE, without=("1U5", "2U1")))
    assert len(wells) == 13
    assert not {"1U5", "2U1"} & set(wells.ids)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (replace(TABLE, corners=SQUARE[[0, 2, 1, 3]]), "order top left"),
        (replace(TABLE, rows=1), "no four corners"),
        (replace(TABLE, row_gaps=(1.0,)), "need 2 gaps"),
        (replace(TABLE, row_gaps=(1.0, 0.0)), "need 2 gaps"),
        (replace(TABLE, without=("9U9",)), "no well '9U9'"),
    ],
)
def test_an_impossible_table_gets_one_sentence(table: Table, sentence: str) -> None:
    with pytest.raises(WellsError, match=sentence):
        lay_out(table)


def test_the_preview_shows_every_well(tmp_path: Path) -> None:
    wells = lay_out(TABLE)
    picture = draw_preview(np.zeros((400, 600, 3), np.uint8), wells)
    for x, y in wells.centres.astype(int):
        assert picture[y - 30 : y + 30, x - 40 : x + 40].any()
    write_picture(tmp_path / "p.png", picture)
    assert (cv2.imread(str(tmp_path / "p.png")) == picture).all()
    with pytest.raises(WellsError, match=r"use \.png or \.jpg"):
        write_picture(tmp_path / "p.xyz", picture)
    with pytest.raises(WellsError, match="cannot be written"):
        write_picture(tmp_path / "none" / "p.png", picture)
