from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from spillwatch.errors import WellsError
from spillwatch.wells import wellmap
from spillwatch.wells.editing import digest, rewrite

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 11, 24, 10, 0, 1, tzinfo=UTC)
TEXT = """\
# Table 2, after the camera was moved
reference = "ref.png"

[[wells]]
id = "1U1" # the one by the door
x = 40
y = 30.0
width = 48.0
height = 28.0

[[wells]]
id = "1U2"
x = 110.0
y = 30.0
width = 48.0
height = 28.0
out_of_service = true # plugged since May
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "ref.png"), np.zeros((120, 200, 3), np.uint8))
    path = tmp_path / "w.toml"
    path.write_text(TEXT)
    return path


def row(name: str, **changes: Any) -> dict[str, Any]:
    x = 40.0 if name == "1U1" else 110.0
    values = {
        "was": name,
        "id": name,
        "x": x,
        "y": 30.0,
        "width": 48.0,
        "height": 28.0,
        "out_of_service": name == "1U2",
    }
    return values | changes


def change(path: Path, *rows: dict[str, Any]) -> Path:
    return rewrite(path, rows, expected=digest(path), at=AT)


def test_moving_one_well_leaves_comments_and_the_rest_as_they_were(path: Path) -> None:
    backup = change(path, row("1U1"), row("1U2", x=120.04, y=33.0))
    assert path.read_text() == TEXT.replace("x = 110.0\ny = 30.0", "x = 120.0\ny = 33.0")
    assert backup.name == "w.toml.bak-20261124T100001"
    assert backup.read_text() == TEXT


def test_wells_are_added_renamed_deleted_and_taken_out_of_service(path: Path) -> None:
    change(path, row("1U1", id="door", out_of_service=True), row("x", was=None, id="new1", x=60.0, y=80.0))
    wells = wellmap.load(path)
    assert wells.ids == ("door", "new1")
    assert wells.in_service.tolist() == [False, True]
    assert "# the one by the door" in path.read_text()


def test_two_wells_may_swap_their_names(path: Path) -> None:
    change(path, row("1U1", id="1U2"), row("1U2", id="1U1"))
    assert wellmap.load(path).ids == ("1U2", "1U1")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([row("1U1"), row("1U2", id="1U1")], "id '1U1' is used twice"),
        ([row("1U1", id="a/b")], "id must be 1 to 64"),
        ([row("1U1", width=1.0)], "width = 1"),
        ([row("1U1", x=190.0)], "outside the 200x120 frame"),
        ([], "no [[wells]]"),
        ([row("9U9")], "has no well '9U9'"),
    ],
)
def test_what_makes_no_wells_file_is_one_sentence_and_changes_nothing(
    path: Path, rows: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(WellsError) as fault:
        change(path, *rows)
    assert sentence in str(fault.value)
    assert ".part" not in str(fault.value)
    assert path.read_text() == TEXT
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["ref.png", "w.toml"]


def test_a_file_that_somebody_else_changed_is_not_overwritten(path: Path) -> None:
    seen = digest(path)
    path.write_text(TEXT + "# by hand\n")
    with pytest.raises(WellsError, match="changed by somebody else"):
        rewrite(path, [row("1U1")], expected=seen, at=AT)
    assert path.read_text() == TEXT + "# by hand\n"
