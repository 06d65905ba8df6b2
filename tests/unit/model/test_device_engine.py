"""What of the device's engine needs no GPU: batch sizes, precision, the check at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from spillwatch.model import bundle as bundles
from spillwatch.model.device_engine import DeviceEngine, check_crops, load
from spillwatch.model.scoring import Scorer

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle
    from spillwatch.records import F32

MOST = 300
PIXELS = np.random.default_rng(1).integers(0, 256, (MOST, 32, 32, 3), dtype=np.uint8)


def expected(bundle: Bundle) -> F32:
    return Scorer(bundle, "cpu").score(PIXELS.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("wells", [1, 64, 65, 300])
def test_batches_of_every_size_score_as_the_cpu_does(bundle: Bundle, wells: int) -> None:
    pixels, scores = PIXELS.copy(), np.zeros(MOST, np.float32)
    engine = DeviceEngine(load(bundle.architecture, bundle.state), "cpu", pixels=pixels, scores=scores)
    engine.run(MOST)  # what the last batch left behind is no part of the next
    scores[:] = -1
    engine.run(wells)
    assert scores[:wells] == pytest.approx(expected(bundle)[:wells], rel=1e-4)
    assert (scores[wells:] == -1).all()
    assert engine.facts == {"device": "cpu", "precision": "float32", "graphs": 0, "pinned": False, "notes": []}


def test_half_precision_is_taken_where_scores_stay_within_a_hundredth(bundle: Bundle) -> None:
    scores = np.zeros(MOST, np.float32)
    network = load(bundle.architecture, bundle.state)
    engine = DeviceEngine(network, "cpu", pixels=PIXELS.copy(), scores=scores, halves=[torch.float16])
    engine.run(MOST)
    assert engine.precision == (torch.float32 if engine.notes else torch.float16)
    assert scores == pytest.approx(expected(bundle), rel=0.01)


def test_the_bundled_model_is_as_good_in_float16_and_not_in_bfloat16() -> None:
    bundle, scores = bundles.load(bundles.default_path()), np.zeros(MOST, np.float32)
    network = load(bundle.architecture, bundle.state)
    halves = [torch.bfloat16, torch.float16]
    engine = DeviceEngine(network, "cpu", pixels=PIXELS.copy(), scores=scores, halves=halves)
    engine.run(MOST)
    assert engine.precision == torch.float16
    assert [note.partition(" moves")[0] for note in engine.notes] == ["torch.bfloat16"]
    assert scores == pytest.approx(expected(bundle), rel=0.01)


def test_half_precision_that_overflows_is_left_out_and_named() -> None:
    """float16 ends at 65 504."""
    bundle = bundles.load(bundles.default_path())
    state = dict(bundle.state)
    for name, factor in (("layers.0.weight", 1e6), ("layers.0.bias", 1e6), ("layers.1.weight", 1e-6)):
        state[name] = state[name] * np.float32(factor)
    scores = np.zeros(MOST, np.float32)
    network = load(bundle.architecture, state)
    engine = DeviceEngine(network, "cpu", pixels=PIXELS.copy(), scores=scores, halves=[torch.float16])
    engine.run(MOST)
    assert engine.precision == torch.float32
    assert engine.notes == ["torch.float16 moves scores by inf %"]
    assert scores == pytest.approx(expected(bundle), rel=1e-4)


def test_plain_does_without(bundle: Bundle) -> None:
    network = load(bundle.architecture, bundle.state)
    scores = np.zeros(MOST, np.float32)
    engine = DeviceEngine(network, "cpu", pixels=PIXELS.copy(), scores=scores, halves=[torch.bfloat16], plain=True)
    assert engine.precision == torch.float32


def test_the_crops_of_the_check_are_always_the_same_and_make_scores_of_every_size(bundle: Bundle) -> None:
    network = load(bundle.architecture, bundle.state)
    with torch.inference_mode():
        crops = check_crops(network, 256)
        assert torch.equal(crops, check_crops(network, 256))
    scores = Scorer(bundle, "cpu").score(crops.numpy().transpose(0, 3, 1, 2))
    low, high = np.quantile(scores, [0.02, 0.98])
    assert low < bundle.threshold < high
