from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from spillwatch.errors import WellsError
from spillwatch.model.dataset import preprocess
from spillwatch.pictures import from_bgr, to_bgr
from spillwatch.records import U8, Frame, Planes, Preprocessing, Wells
from spillwatch.wells.cropping import Cropper
from tests.support.simulated import START

HOW = Preprocessing()


def picture(*, coloured: bool) -> U8:
    """(120, 200, 3) BGR, smooth enough for chroma at half resolution."""
    rng = np.random.default_rng(1)
    small = rng.integers(60, 200, (30 if not coloured else 8, 50 if not coloured else 12, 3), dtype=np.uint8)
    if not coloured:
        small = np.repeat(small[:, :, :1], 3, axis=2)
    return np.asarray(cv2.resize(small, (200, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


def at(planes: Planes) -> Frame:
    return Frame(camera="cam", at=START, time_s=0.0, planes=planes)


def one_well(x: float, y: float, width: float, height: float) -> Wells:
    return Wells(("1",), np.array([[x, y]]), np.array([[width, height]]), np.ones(1, np.bool_))


@pytest.mark.parametrize(("coloured", "tolerance"), [(False, 0.5), (True, 2.0)])
@pytest.mark.parametrize("how", [HOW, replace(HOW, blur_sigma=0.0)])
@pytest.mark.parametrize("box", [(60, 40, 48, 28), (100, 60, 50, 30), (30, 90, 46, 26)])
def test_a_crop_equals_what_training_makes_of_the_same_box(
    box: tuple[int, int, int, int], how: Preprocessing, coloured: bool, tolerance: float
) -> None:
    bgr = picture(coloured=coloured)
    x, y, width, height = box
    cut = bgr[y - height // 2 : y + height // 2, x - width // 2 : x + width // 2]
    expected = preprocess(cv2.cvtColor(cut, cv2.COLOR_BGR2RGB).astype(np.uint8), how)
    crop = Cropper(one_well(*box), how)(at(from_bgr(bgr)))[0].transpose(1, 2, 0)
    assert np.abs(crop.astype(int) - expected.astype(int)).mean() < tolerance


def test_wells_do_not_bleed_into_each_other() -> None:
    bgr = np.zeros((120, 200, 3), np.uint8)
    bgr[:, 100:] = 255
    pair = Wells(("a", "b"), np.array([(50.0, 60.0), (150.0, 60.0)]), np.full((2, 2), (48.0, 28.0)), np.ones(2, bool))
    dark, light = Cropper(pair, HOW)(at(from_bgr(bgr)))
    assert dark.max() <= 2
    assert light.min() >= 253


def test_the_batch_is_laid_out_for_the_scorer() -> None:
    crops = Cropper(one_well(60, 40, 48, 28), HOW)(at(from_bgr(picture(coloured=True))))
    assert (crops.shape, crops.dtype) == ((1, 3, 32, 32), np.uint8)
    assert crops.transpose(0, 2, 3, 1).flags["C_CONTIGUOUS"]


def test_padded_rows_and_full_range_are_understood() -> None:
    planes = from_bgr(picture(coloured=True))
    rgb = Cropper(one_well(60, 40, 48, 28), HOW)(at(planes))
    wide = [np.pad(p, ((0, 0), (0, 24)))[:, : p.shape[1]] for p in (planes.y, planes.u, planes.v)]
    padded = Planes(*wide, full_range=True)
    assert np.array_equal(rgb, Cropper(one_well(60, 40, 48, 28), HOW)(at(padded)))
    grey = np.full((60, 100), 128, np.uint8)
    full = Planes(y=np.full((120, 200), 200, np.uint8), u=grey, v=grey, full_range=True)
    assert (Cropper(one_well(60, 40, 48, 28), HOW)(at(full)) == 200).all()
    assert (Cropper(one_well(60, 40, 48, 28), HOW)(at(replace(full, full_range=False))) == 214).all()


def test_a_frame_of_another_size_is_refused_unless_it_holds_all_wells() -> None:
    crop = Cropper(one_well(160, 100, 48, 28), HOW)
    bgr = picture(coloured=False)
    crop(at(from_bgr(bgr)))
    with pytest.raises(WellsError, match="outside the 100x60 frame"):
        crop(at(from_bgr(np.ascontiguousarray(bgr[:60, :100]))))


def test_planes_and_pictures_agree() -> None:
    bgr = picture(coloured=True)
    back = to_bgr(from_bgr(bgr))
    assert np.abs(back.astype(int) - bgr.astype(int)).mean() < 2.5
