"""Finding wells on pictures drawn here: a table with three launders, seen a little askew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from spillwatch.errors import WellsError
from spillwatch.pictures import from_bgr
from spillwatch.wells.finding import Found, _choose, find, median_frame

if TYPE_CHECKING:
    from spillwatch.records import F64, U8, Bools

COLUMNS, PITCH = 8, 70
ROWS = {"1U": 120, "1L": 165, "2U": 230, "2L": 275, "3U": 340, "3L": 385}
MISSING = {"1U": (0, 7)}  # as at the ends of real tables
VIEW = np.array([(0.98, -0.06, 40), (0.05, 1.0, -10), (0.0, 0.0001, 1)])


def places() -> dict[str, tuple[float, float]]:
    """Wells by id, their numbers counted from each row's own first well, before the view."""
    wells = {}
    for row, y in ROWS.items():
        columns = [column for column in range(COLUMNS) if column not in MISSING.get(row, ())]
        wells |= {f"{row}{number}": (80.0 + PITCH * column, float(y)) for number, column in enumerate(columns, start=1)}
    return wells


def seen(points: list[tuple[float, float]]) -> F64:
    return np.asarray(cv2.perspectiveTransform(np.array(points).reshape(-1, 1, 2), VIEW), np.float64).reshape(-1, 2)


def draw() -> U8:
    """(520, 720, 3) uint8 BGR: plate, launders, dark wells with bright dross that runs over their necks."""
    rng = np.random.default_rng(1)
    picture = np.full((520, 720), 60.0, np.float32)
    cv2.rectangle(picture, (20, 85), (640, 425), 150, -1)
    for y in (142, 252, 362):
        cv2.rectangle(picture, (20, y - 9), (640, y + 9), 125, -1)
    for name, (x, y) in places().items():
        toward = 1 if name[1] == "U" else -1
        cv2.ellipse(picture, ((x, y), (38, 25), 0), 95, -1, cv2.LINE_AA)
        cv2.ellipse(picture, ((x, y + 4 * toward), (26, 16), 0), 155, -1, cv2.LINE_AA)
        cv2.rectangle(picture, (int(x) - 13, int(y)), (int(x) + 13, int(y) + 22 * toward), 155, -1)
    for y in (142, 252, 362):
        cv2.rectangle(picture, (20, y + 4), (640, y + 9), 110, -1)  # the launder's front wall is in the shade
    picture = cv2.GaussianBlur(cv2.warpPerspective(picture, VIEW, (720, 520), borderValue=60), (0, 0), 0.8)
    grey = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
    return np.asarray(cv2.merge([grey] * 3), np.uint8)


@pytest.fixture(scope="module")
def table() -> U8:
    return draw()


@pytest.fixture(scope="module")
def found(table: U8) -> Found:
    return find(table)


def test_every_well_is_found_and_named(found: Found) -> None:
    assert found.wells.ids == tuple(places())
    off = np.linalg.norm(found.wells.centres - seen(list(places().values())), axis=1)
    assert off.max() < 3
    assert found.wells.in_service.all()


def test_size_is_found(found: Found) -> None:
    assert found.wells.sizes == pytest.approx(np.full((len(found.wells), 2), (38, 25)), rel=0.15)


def test_it_is_sure_of_a_clear_picture(found: Found) -> None:
    assert found.confidence.dtype == np.float32
    assert found.confidence.min() > 0.5
    assert not found.doubtful


def test_a_hidden_well_keeps_its_place_and_is_called_doubtful(table: U8) -> None:
    picture = table.copy()
    x, y = (int(v) for v in seen([places()["2U4"]])[0])
    cv2.rectangle(picture, (x - 32, y - 26), (x + 32, y + 22), (40, 40, 40), -1)
    again = find(picture)
    assert again.wells.ids == tuple(places())
    assert again.doubtful == ("2U4",)
    assert "2U4" in again.notes[0]


def test_what_is_no_table_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 500, 3)).astype(np.uint8)
    with pytest.raises(WellsError, match="give --rows, --columns and --corners"):
        find(noise)
    with pytest.raises(WellsError, match="no casting table"):
        find(np.zeros((300, 500, 3), np.uint8))


def test_the_median_loses_who_passes(table: U8) -> None:
    frames = []
    for step in range(5):
        picture = table.copy()
        cv2.rectangle(picture, (100 * step, 100), (100 * step + 60, 400), (10, 10, 10), -1)
        frames.append(from_bgr(picture))
    clean = median_frame(iter(frames), 5, every=1)
    assert np.abs(clean.astype(int) - table).mean() < 3


def test_the_median_needs_frames_of_one_size() -> None:
    with pytest.raises(WellsError, match="no frame"):
        median_frame([], 5)
    two = [from_bgr(np.zeros((side, 20, 3), np.uint8)) for side in (20, 40)]
    with pytest.raises(WellsError, match="change their size"):
        median_frame(two, 5, every=1)


def chosen(*rows: str) -> list[str]:
    """Evidence as digits (9 is a clear well), and the places chosen as x."""
    evidence = np.array([[int(digit) / 10 for digit in row] for row in rows])
    present: Bools = _choose(evidence, np.ones(evidence.shape, np.bool_))
    return ["".join("x" if here else "." for here in row) for row in present]


def test_rows_have_no_holes_and_their_own_ends() -> None:
    assert chosen("0999990", "0099900", "0919990", "0999990") == [".xxxxx.", "..xxx..", ".xxxxx.", ".xxxxx."]


def test_ends_outside_the_common_columns_need_more_evidence() -> None:
    assert chosen("6999990", "0999998", "0999996", "0699990") == [".xxxxx.", ".xxxxxx", ".xxxxx.", ".xxxxx."]


def test_what_stands_apart_is_no_well_of_the_row() -> None:
    assert chosen("8019990", "0099990", "0099990", "0099990") == ["...xxx.", "..xxxx.", "..xxxx.", "..xxxx."]


def test_columns_that_look_alike_far_beside_the_table_are_none_of_it() -> None:
    assert chosen("0999900009", "0999900009", "0999900000") == [".xxxx....."] * 3


def test_a_row_with_nothing_clear_is_no_row() -> None:
    assert chosen("09990", "05650", "09990") == [".xxx.", ".....", ".xxx."]
