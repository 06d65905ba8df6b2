from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from spillwatch.errors import WellsError
from spillwatch.wells import wellmap
from tests.support.simulated import wells

if TYPE_CHECKING:
    from pathlib import Path

GOOD = '[[wells]]\nid = "3L4"\nx = 785.0\ny = 355.0\nwidth = 45.2\nheight = 29.7\nout_of_service = false\n'


def test_wells_survive_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "w.toml"
    (tmp_path / "ref.png").touch()
    there = replace(wells(5, out_of_service=[2]), reference=tmp_path / "ref.png")
    wellmap.save(there, path)
    back = wellmap.load(path)
    assert back.ids == there.ids
    assert np.array_equal(back.centres, there.centres)
    assert np.array_equal(back.sizes, there.sizes)
    assert np.array_equal(back.in_service, there.in_service)
    assert back.reference == there.reference
    assert 'reference = "ref.png"' in path.read_text()


def test_the_contract_example_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.toml"
    path.write_text('reference = "reference.png"\n' + GOOD)
    there = wellmap.load(path)
    assert there.ids == ("3L4",)
    assert there.centres.tolist() == [[785.0, 355.0]]
    assert there.sizes.tolist() == [[45.2, 29.7]]
    assert there.in_service.all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"has no \[\[wells\]\]"),
        ("wells = 3", r"has no \[\[wells\]\]"),
        ("[[wells", "not valid TOML"),
        ("well = 1\n" + GOOD, "unknown key 'well'"),
        ("reference = 1\n" + GOOD, "reference must be a file name"),
        (GOOD.replace("width", "widht"), r"well 1 \('3L4'\): unknown key 'widht'"),
        (GOOD.replace('"3L4"', '"a/b"'), "id must be"),
        (GOOD.replace('"3L4"', "4"), "id must be"),
        (GOOD.replace("785.0", '"left"'), "x must be a number of pixels, not 'left'"),
        (GOOD.replace("785.0", "nan"), "x must be a number"),
        (GOOD.replace("785.0", "true"), "x must be a number"),
        (GOOD.replace("45.2", "0"), "width = 0 px is out of range"),
        (GOOD.replace("false", "0"), "out_of_service must be true or false"),
        (GOOD + GOOD, "id '3L4' is used twice"),
    ],
)
def test_a_faulty_file_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "w.toml"
    path.write_text(text)
    with pytest.raises(WellsError, match=sentence) as caught:
        wellmap.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_names_the_mend(tmp_path: Path) -> None:
    with pytest.raises(WellsError, match="spillwatch locate"):
        wellmap.load(tmp_path / "none.toml")


def test_wells_outside_the_frame_are_named() -> None:
    three = wells(3)  # the last one ends at x = 174
    wellmap.check_fits(three, width=174, height=40)
    with pytest.raises(WellsError, match=r"1 of 3 wells lie outside the 170x40 frame \(3; 3 is at 150, 20\)"):
        wellmap.check_fits(three, width=170, height=40)


def test_a_folder_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(WellsError, match="cannot be written"):
        wellmap.save(wells(1), tmp_path / "none" / "w.toml")
    assert list(tmp_path.iterdir()) == []
