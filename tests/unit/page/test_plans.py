from __future__ import annotations

import numpy as np

from spillwatch.page.plans import grid
from spillwatch.records import Wells


def wells(*places: tuple[str, float, float]) -> Wells:
    return Wells(
        ids=tuple(name for name, _, _ in places),
        centres=np.array([(x, y) for _, x, y in places], np.float64),
        sizes=np.full((len(places), 2), (48.0, 28.0)),
        in_service=np.ones(len(places), np.bool_),
    )


def test_names_of_launder_side_and_column_give_the_cell() -> None:
    table = wells(("1U2", 0, 0), ("1L2", 0, 0), ("2U3", 0, 0), ("3L12", 0, 0))
    assert grid(table) == [(0, 0), (1, 0), (2, 1), (3, 10)]


def test_other_names_are_placed_as_they_lie_in_the_picture() -> None:
    table = wells(("a", 100, 50), ("b", 200, 53), ("c", 104, 120), ("d", 205, 118))
    assert grid(table) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_no_two_wells_share_a_cell() -> None:
    table = wells(*((str(i), 100.0 + i, 50.0) for i in range(5)))
    assert len(set(grid(table))) == 5
