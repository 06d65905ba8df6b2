"""From a folder of crops to a bundle, the same one for the same seed.

``seed`` is the seed document's recipe: an autoencoder of normal wells, threshold by a decision tree. ``default`` also
learns from what spills are known; ``fitting.py`` is its recipe.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import structlog
import torch
from torch import Generator, Tensor

from spillwatch.errors import ModelError
from spillwatch.model import calibration
from spillwatch.model.architecture import SIDE, Architecture
from spillwatch.model.bundle import Bundle, name_of
from spillwatch.model.dataset import Dataset, centre, load_folder
from spillwatch.model.evaluation import score_all, wilson
from spillwatch.model.fitting import Fitted, Held, fit, weights
from spillwatch.model.network import SeedNetwork
from spillwatch.model.scoring import Scorer
from spillwatch.model.taught import load as load_taught

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spillwatch.model.taught import Taught
    from spillwatch.records import F32, U8

    Progress = Callable[[int, int, str], None]
    Recipe = Callable[[Dataset, Generator, Progress], Fitted]

log = structlog.get_logger()

PRESETS = ("default", "seed")
SEED_VALIDATION = 0.05
SEED_EPOCHS = 5
SEED_BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainResult:
    """A bundle and what its report shows. Scores are of held-out wells, (crops,) float32; crops are uint8 RGB.

    ``curves`` maps a name to one number per epoch; ``normal_scores`` and ``spill_scores`` are what the threshold came
    from; ``normal_crops`` and ``spill_crops`` (crops, 32, 32, 3) are held-out examples.
    """

    bundle: Bundle
    curves: dict[str, list[float]]
    normal_scores: F32
    spill_scores: F32
    normal_crops: U8
    spill_crops: U8
    n_normal: int
    n_spill: int
    repeats: int
    unreadable: int
    seconds: float


def train(
    data: Path, *, preset: str, seed: int, extend: Path | None = None, progress: Progress | None = None
) -> TrainResult:
    """Train ``preset`` on a folder of crops, and on those of the crew in ``extend``; equal seeds give equal weights,
    bit for bit, on the same machine."""
    if preset not in PRESETS:
        raise ModelError(f"preset {preset!r} is unknown; choose one of {', '.join(PRESETS)}")
    started = perf_counter()
    dataset = load_folder(data)
    if min(len(dataset.normal), len(dataset.spill)) < 5:
        counts = f"{len(dataset.normal)} normal and {len(dataset.spill)} spill crops"
        raise ModelError(f"{data} holds only {counts}; training needs at least 5 different ones of each")
    taught = load_taught(extend, dataset.preprocessing) if extend else None
    if taught and preset != "default":
        raise ModelError(f"preset {preset!r} does not learn from the crew; leave --extend out, or --preset")
    recipes: dict[str, Recipe] = {"default": partial(fit, taught=taught), "seed": _fit_seed}
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        fitted = recipes[preset](dataset, torch.Generator().manual_seed(seed), progress or (lambda *_: None))
    result = _calibrated(preset, seed, dataset, fitted, started)
    if taught:
        result = replace(result, bundle=_saying(result.bundle, taught))
    log.info("training.done", model=result.bundle.name, seconds=round(result.seconds, 1), **result.bundle.metrics)
    return result


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums depend on how many threads share them: one gives the same weights whatever else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _calibrated(preset: str, seed: int, dataset: Dataset, fitted: Fitted, started: float) -> TrainResult:
    bundle = Bundle(
        name=name_of(preset, fitted.state),
        preset=preset,
        seed=seed,
        architecture=fitted.architecture,
        preprocessing=dataset.preprocessing,
        threshold=1.0,
        threshold_rule="",
        normal_quantiles={},
        spill_quantiles={},
        metrics={},
        data_digest=dataset.digest,
        state=fitted.state,
    )
    scorer = Scorer(bundle, "cpu")
    normal, spill = (score_all(scorer, crops) for crops in (fitted.held.normal, fitted.held.spill))
    if preset == "seed":
        threshold, rule = calibration.tree_threshold(normal, spill), "decision tree of depth 1"
    else:
        threshold, rule = calibration.between(normal, spill), "halfway in log score, normal 0.99 to spill 0.01"
    final = Bundle(
        **{
            **vars(bundle),
            "threshold": threshold,
            "threshold_rule": rule,
            "normal_quantiles": calibration.quantiles(normal),
            "spill_quantiles": calibration.quantiles(spill),
            "metrics": _held_out_metrics(normal, spill, threshold),
        }
    )
    return TrainResult(
        bundle=final,
        curves=fitted.curves,
        normal_scores=normal,
        spill_scores=spill,
        normal_crops=fitted.held.normal_examples,
        spill_crops=fitted.held.spill_examples,
        n_normal=len(dataset.normal),
        n_spill=len(dataset.spill),
        repeats=dataset.repeats,
        unreadable=dataset.unreadable,
        seconds=perf_counter() - started,
    )


def _saying(bundle: Bundle, taught: Taught) -> Bundle:
    """With what the crew taught, and how it does on those of their alarms that it did not learn from."""
    scorer, about = Scorer(bundle, "cpu"), taught.about()
    for name, kind in (("normal", taught.normal), ("spill", taught.spill)):
        above = score_all(scorer, centre(kind.crops[kind.held], SIDE)) > bundle.threshold
        about[name] |= {"held_out_right": int((above if name == "spill" else ~above).sum())}
    return replace(bundle, taught=about)


def _held_out_metrics(normal: F32, spill: F32, threshold: float) -> dict[str, float | int]:
    quiet, found = int((normal <= threshold).sum()), int((spill > threshold).sum())
    return {
        "held_out_tnr": quiet / len(normal),
        "held_out_tnr_low": wilson(quiet, len(normal))[0],
        "held_out_tpr": found / len(spill),
        "held_out_tpr_low": wilson(found, len(spill))[0],
        "held_out_normal": len(normal),
        "held_out_spill": len(spill),
    }


def _fit_seed(dataset: Dataset, g: Generator, progress: Progress) -> Fitted:
    """The seed document's recipe; all known spills are for the threshold, none for the weights."""
    crops, spill = centre(dataset.normal, SIDE), centre(dataset.spill, SIDE)
    order = torch.randperm(len(crops), generator=g).numpy()
    held = max(1, round(len(crops) * SEED_VALIDATION))
    rest = order[held:]
    # Repeats in the folder weigh as they did in that recipe, but none is in both parts.
    normal, validation = _tensor(crops[np.repeat(rest, dataset.normal_counts[rest])]), _tensor(crops[order[:held]])
    architecture = Architecture("seed")
    network = SeedNetwork(architecture)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01)
    curves: dict[str, list[float]] = {"training": [], "validation": []}
    for epoch in range(SEED_EPOCHS):
        network.train()
        losses = []
        for batch in _batches(len(normal), SEED_BATCH, g):
            pictures = normal[batch]
            loss = (network(pictures) - pictures).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        network.eval()
        with torch.inference_mode():
            curves["validation"].append((network(validation) - validation).square().mean().item())
        curves["training"].append(float(np.mean(losses)))
        progress(epoch + 1, SEED_EPOCHS, f"loss {curves['training'][-1]:.5f}")
    shown = crops[order[:held]]
    return Fitted(architecture, weights(network), curves, Held(shown, spill, shown, spill))


def _batches(count: int, size: int, g: Generator) -> Iterator[Tensor]:
    """Shuffled indices; a last batch of less than half the size is left out, since it would jerk the norms."""
    for batch in torch.split(torch.randperm(count, generator=g), size):
        if len(batch) * 2 >= min(size, count):
            yield batch


def _tensor(crops: U8) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255
