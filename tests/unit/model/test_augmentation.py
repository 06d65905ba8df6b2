from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from spillwatch.model import augmentation as augment

COUNT = 40


@pytest.fixture
def g() -> Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def wells() -> Tensor:
    """Wide crops, as folders hold them."""
    return torch.rand((COUNT, 3, 32, 48), generator=torch.Generator().manual_seed(1))


def test_all_drawings_are_pictures_of_the_same_shape(wells: Tensor, g: Generator) -> None:
    drawn = [
        augment.working(wells, wells.flip(0), g, share=0.5),
        augment.mislocated(wells, wells.flip(0), g),
        augment.upended(wells, g),
        augment.drained(wells, g)[0],
        augment.transferred(wells, wells.flip(0), g)[0],
    ]
    assert all(pictures.shape == wells.shape and torch.isfinite(pictures).all() for pictures in drawn)
    assert augment.spilt(wells, wells.flip(0), 5, g).shape == (15, 3, 32, 48)


def test_filmed_wells_are_windows_of_the_asked_size(wells: Tensor, g: Generator) -> None:
    pictures = augment.filmed(wells, g, size=20, shift=4, zoom=0.15, gain=0.3)
    assert pictures.shape == (COUNT, 3, 20, 20)
    assert 0 <= pictures.min() <= pictures.max() <= 1


def test_a_camera_that_does_not_move_shows_the_middle_of_an_even_well(g: Generator) -> None:
    slope = torch.linspace(0.2, 0.8, 48).expand(COUNT, 3, 32, 48)
    steady = augment.filmed(slope, g, size=32, shift=0, zoom=0, gain=0)
    mirrored = (steady[:, :, :, 0] > steady[:, :, :, -1])[..., None]
    upright = torch.where(mirrored, steady.flip(3), steady)
    assert (upright - slope[..., 8:40]).abs().max() < 0.15  # a cast of colour and noise
    assert 0 < mirrored[:, 0, 0].sum() < COUNT


def test_equal_generators_draw_equal_pictures(wells: Tensor) -> None:
    first, second = (augment.working(wells, wells, torch.Generator().manual_seed(4), share=0.5) for _ in range(2))
    assert torch.equal(first, second)


def test_enough_of_a_spill_stays_in_sight(g: Generator) -> None:
    black = torch.zeros(400, 3, 32, 48)  # so that whatever stands before a well can be told from it
    where = augment.middle(black)

    def least(covered: Tensor) -> float:
        clear = (covered.amax(1, keepdim=True) < 0.1).float()
        return ((where * clear).sum((1, 2, 3)) / where.sum((1, 2, 3))).min().item()

    # The things' soft edges hide more than they count for.
    assert least(augment.occluded(black, g, share=1.0, where=where)) > 0.05
    assert least(augment.occluded(black, g, share=1.0)) < 0.05


def test_a_normal_well_may_vanish_behind_something(wells: Tensor, g: Generator) -> None:
    covered = augment.occluded(wells.repeat(20, 1, 1, 1), g, share=1.0)
    touched = ((covered - wells.repeat(20, 1, 1, 1)).abs().amax(1) > 0.02).float().mean((1, 2))
    assert touched.max() > 0.9


def test_a_mislocated_crop_shows_both_wells(g: Generator) -> None:
    dark, bright = torch.zeros(COUNT, 3, 32, 48), torch.ones(COUNT, 3, 32, 48)
    both = augment.mislocated(dark, bright, g)
    shares = (both > 0.9).float().mean((1, 2, 3))
    assert (shares < 0.65).all()
    assert (shares > 0).float().mean() > 0.5
