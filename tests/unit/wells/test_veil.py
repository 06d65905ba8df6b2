"""How much of a table is veiled: what counts is detail, and neither light, noise, coding nor a move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from spillwatch.records import Planes, Wells
from spillwatch.wells.veil import Veil

if TYPE_CHECKING:
    from spillwatch.records import U8

BLACK = 16


def table() -> U8:
    """(480, 960) luma of rims and dross on a plate."""
    rng = np.random.default_rng(3)
    picture = np.full((480, 960), 110, np.uint8)
    for x, y in wells().centres.astype(int):
        cv2.ellipse(picture, (int(x), int(y)), (14, 9), 0, 0, 360, 60, 3)
        cv2.ellipse(picture, (int(x), int(y)), (10, 5), 0, 0, 360, int(rng.integers(120, 200)), -1)
    scratches = cv2.GaussianBlur(rng.normal(0, 40, picture.shape), (0, 0), 1.5)
    return np.clip(picture + scratches, BLACK, 235).astype(np.uint8)


def wells() -> Wells:
    places = [(float(x), float(y)) for y in range(60, 440, 60) for x in range(60, 920, 60)]
    count = len(places)
    return Wells(
        ids=tuple(str(i) for i in range(count)),
        centres=np.array(places),
        sizes=np.full((count, 2), (32.0, 22.0)),
        in_service=np.ones(count, np.bool_),
    )


def planes(luma: U8) -> Planes:
    grey = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return Planes(y=luma, u=grey, v=grey)


def veiled(luma: U8) -> float:
    """Against the table as it is."""
    veil = Veil(wells(), None)
    assert veil(planes(table())) == 0
    return veil(planes(luma))


def blurred(luma: U8, sigma: float) -> U8:
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), sigma), np.uint8)


def lit(luma: U8, gain: float) -> U8:
    return np.clip((luma.astype(np.float64) - BLACK) * gain + BLACK, 0, 235).astype(np.uint8)


def noisy(luma: U8, sigma: float) -> U8:
    return np.clip(luma + np.random.default_rng(1).normal(0, sigma, luma.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [4, 10])
@pytest.mark.parametrize("noise", [0, 4])
def test_a_lens_out_of_focus_veils_the_whole_table_noise_or_not(sigma: float, noise: float) -> None:
    assert veiled(noisy(blurred(table(), sigma), noise)) > 0.9


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_fog_and_a_cloth_veil_the_whole_table(share: float) -> None:
    assert veiled((table() * share + 120 * (1 - share)).astype(np.uint8)) > 0.9


@pytest.mark.parametrize(
    "picture",
    [
        lit(table(), 0.4),
        lit(table(), 1.25),
        noisy(table(), 5),
        np.roll(table(), (20, 30), (0, 1)),
        blurred(table(), 0.7),
    ],
    ids=["dim", "bright", "noisy", "moved", "soft"],
)
def test_what_changes_no_detail_is_no_veil(picture: U8) -> None:
    assert veiled(picture) < 0.1


def test_steam_veils_only_its_part() -> None:
    picture = table()
    picture[:, :320] = 150
    assert veiled(picture) == pytest.approx(1 / 3, abs=0.1)


def test_a_picture_taken_as_the_reference_is_compared_in_its_own_range() -> None:
    full = np.clip((table().astype(float) - 16) * 255 / 219, 0, 255).astype(np.uint8)
    assert Veil(wells(), full)(planes(table())) == 0


def test_a_camera_that_is_covered_from_the_start_is_veiled_until_it_is_not() -> None:
    veil = Veil(wells(), None)
    assert veil(planes(blurred(table(), 40))) == 1
    assert veil(planes(table())) == 0
    assert veil(planes(blurred(table(), 10))) > 0.9


def test_a_table_without_detail_and_a_picture_of_another_size_tell_nothing() -> None:
    assert Veil(wells(), np.full((480, 960), 100, np.uint8))(planes(table())) == 0
    veil = Veil(wells(), None)
    veil(planes(table()))
    assert veil(planes(table()[::2, ::2])) == 0


def test_one_small_well_is_enough() -> None:
    one = Wells(
        ids=("1",), centres=np.array([(60.0, 60.0)]), sizes=np.array([(32.0, 22.0)]), in_service=np.ones(1, np.bool_)
    )
    veil = Veil(one, None)
    assert veil(planes(table())) == 0
    assert veil(planes(blurred(table(), 6))) > 0.5
