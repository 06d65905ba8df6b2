from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from spillwatch.errors import ModelError
from spillwatch.model import scoring
from spillwatch.model.architecture import Architecture
from spillwatch.model.network import PyramidNetwork, build, patches_of, pictures_of
from spillwatch.model.scoring import Scorer
from spillwatch.model.torch_engine import TorchEngine

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle
    from spillwatch.records import U8


def crops(count: int) -> U8:
    """As the cropper lays them out: NHWC memory, seen as NCHW."""
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("count", [0, 1, 5, 84])
def test_shapes(bundle: Bundle, count: int) -> None:
    scorer, wells = Scorer(bundle, "cpu"), crops(count)
    scores = scorer.score(wells)
    assert (scores.shape, scores.dtype) == ((count,), np.float32)
    assert (scores > 0).all()
    assert (scorer.errors(wells).shape, scorer.errors(wells).dtype) == ((count, 32, 32), np.float32)
    assert (scorer.reconstruct(wells).shape, scorer.reconstruct(wells).dtype) == ((count, 3, 32, 32), np.uint8)


def test_the_score_is_what_the_network_says(bundle: Bundle) -> None:
    network = build(bundle.architecture)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in bundle.state.items()})
    pictures = torch.from_numpy(np.ascontiguousarray(crops(7))).float() / 255
    with torch.inference_mode():
        expected = (network(pictures) - pictures).square().mean((1, 2, 3)).numpy()
    assert Scorer(bundle, "cpu").score(crops(7)) == pytest.approx(expected, rel=1e-4)


def test_numpy_and_torch_agree(bundle: Bundle) -> None:
    ours, theirs = Scorer(bundle, "cpu"), TorchEngine(bundle, "cpu")
    pixels = np.ascontiguousarray(crops(7).transpose(0, 2, 3, 1))
    assert ours.score(crops(7)) == pytest.approx(theirs.score(pixels), rel=1e-5)
    expected = np.square(theirs.paint(pixels) - pixels / np.float32(255)).mean(3)
    assert np.allclose(ours.errors(crops(7)), expected, rtol=1e-4, atol=1e-5)


def test_scores_are_the_means_of_the_error_maps(bundle: Bundle) -> None:
    scorer = Scorer(bundle, "cpu")
    assert scorer.errors(crops(6)).mean((1, 2)) == pytest.approx(scorer.score(crops(6)), rel=1e-4)


def test_the_same_crops_give_the_same_scores_whatever_came_between(bundle: Bundle) -> None:
    scorer = Scorer(bundle, "cpu")
    first = scorer.score(crops(9))
    kept = first.copy()
    scorer.score(crops(9)[::-1])
    scorer.score(crops(3))
    assert np.array_equal(first, kept)
    assert np.array_equal(scorer.score(crops(9)), kept)


def test_memory_layout_does_not_matter(bundle: Bundle) -> None:
    scorer = Scorer(bundle, "cpu")
    assert np.array_equal(scorer.score(np.ascontiguousarray(crops(4))), scorer.score(crops(4)))


def test_the_callers_crops_are_left_alone(bundle: Bundle) -> None:
    wells = crops(4)
    before = wells.copy()
    wells.setflags(write=False)
    Scorer(bundle, "cpu").score(wells)
    assert np.array_equal(wells, before)


def test_no_score_is_zero_even_of_perfect_wells(bundle: Bundle) -> None:
    if bundle.architecture.kind == "seed":
        pytest.skip("its sigmoid never reaches black")
    blank = {name: np.zeros_like(value) for name, value in bundle.state.items()}
    scorer = Scorer(type(bundle)(**(vars(bundle) | {"state": blank})), "cpu")
    black = np.zeros((2, 32, 32, 3), np.uint8).transpose(0, 3, 1, 2)
    assert (scorer.score(black) > 0).all()


def test_cuda_without_a_gpu_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_has_driver", lambda: False)
    with pytest.raises(ModelError, match=r"set model\.device to 'cpu' or 'auto'"):
        Scorer(bundle, "cuda")
    assert Scorer(bundle, "auto").device == "cpu"


def test_crops_of_another_shape_are_a_fault_of_the_caller(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        Scorer(bundle, "cpu").score(crops(2).transpose(0, 2, 3, 1))


def test_patches_and_back() -> None:
    pictures = torch.rand(3, 3, 32, 32)
    assert torch.equal(pictures_of(patches_of(pictures)), pictures)
    corners = {0: (0, 0), 1: (0, 4), 2: (4, 0), 4: (0, 8), 8: (8, 0), 16: (0, 16), 32: (16, 0)}
    for index, (y, x) in corners.items():  # four neighbours in a row, then four such fours
        expected = pictures[0, :, y : y + 4, x : x + 4].permute(1, 2, 0).flatten()
        assert torch.equal(patches_of(pictures)[0, index], expected)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    network = PyramidNetwork(Architecture("pyramid"), normed=True)
    for _ in range(5):
        network(torch.rand(32, 3, 32, 32))  # running statistics away from 0 and 1
    for parameter in network.norms.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.5)
    network.eval()
    pictures = torch.rand(4, 3, 32, 32)
    assert torch.allclose(network(pictures), network.folded()(pictures), atol=1e-5)
