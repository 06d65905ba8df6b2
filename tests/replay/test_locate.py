"""The wells of the real line, found in its picture and in other views of it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from spillwatch.sources.file import FileSource
from spillwatch.wells.finding import find, median_frame
from tools.bench_locate import SLOPE, Truth, compare, random_view, read_truth

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8

pytestmark = pytest.mark.needs_data


@pytest.fixture(scope="module")
def truth(shared: Path) -> Truth:
    return read_truth(shared / "clips/line_spills.json", SLOPE)


@pytest.fixture(scope="module")
def line(shared: Path) -> U8:
    return np.asarray(cv2.imread(str(shared / "data/line.png")), np.uint8)


def test_the_real_line_is_found(line: U8, truth: Truth) -> None:
    result = compare(find(line).wells, truth)
    assert result.found >= 82
    assert result.false <= 1
    assert result.turned == result.named == 84
    assert result.size < 0.1


@pytest.mark.parametrize("seed", [71, 72, 73])
def test_other_views_of_it_are_found(line: U8, truth: Truth, seed: int) -> None:
    # The truth's level rows are off by up to 3 px, times the view's scale: see tools/bench_locate.py.
    picture, view = random_view(line, truth, np.random.default_rng(seed))
    result = compare(find(picture).wells, view)
    assert result.turned >= 82
    assert result.named >= 82


def test_some_seconds_of_video_hide_who_passes(shared: Path, truth: Truth) -> None:
    with FileSource(shared / "clips/line_normal.mp4") as source:
        frames = (frame.planes for frame in islice(source, 100, 204, 13))  # a person walks by at the first launder
        picture = median_frame(frames, 8, every=1)
    result = compare(find(picture).wells, truth)
    assert result.turned >= 82
    assert result.named == 84
