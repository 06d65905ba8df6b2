"""The weights of the default preset: an autoencoding binary classifier over wells drawn anew at every step.

The error of normal wells is minimised, that of spills raised by -log(1 - exp(-c MSE)) (Yamanaka et al. 2019,
arXiv:1903.10709); drained wells are made from normal ones, since none were filmed. Matrices are stepped by Muon (Jordan
et al. 2024), which learns more from a step than Adam.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR

from spillwatch.model import augmentation as augment
from spillwatch.model.architecture import SIDE, Architecture
from spillwatch.model.dataset import Dataset, centre
from spillwatch.model.network import PyramidNetwork, patches_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.model.bundle import State
    from spillwatch.model.taught import Kind, Taught
    from spillwatch.records import U8

    Progress = Callable[[int, int, str], None]

EPOCHS = 20
LEAST_STEPS = 120  # few crops are gone through more often
BATCH = 96  # normal wells per step; with them come KNOWN spills of each of the three kinds
KNOWN = 18
RATE = 0.05  # Muon's, for matrices
ADAM_RATE = 5e-3  # for what is no matrix
DECAY = 0.01
WARM_UP = 0.1  # share of the steps in which the rate rises; from then on it falls to 0
SHARPNESS = 10.0  # c: a spill is pushed until its error nears 3 / c; docs/accuracy.md has what was tried
HIDDEN = 0.45  # share of normal wells behind a blob, and behind a bar
VALIDATION = 0.1
SPILL_VALIDATION = 0.2
GAIN = 0.3  # brightness in training, as log; a line's light was seen to move by ±20 %


class Held(NamedTuple):
    """Held-out crops, (crops, size, size, 3) uint8: what the threshold is chosen on and what is shown."""

    normal: U8
    spill: U8
    normal_examples: U8
    spill_examples: U8


class Fitted(NamedTuple):
    """What a recipe hands back."""

    architecture: Architecture
    state: State
    curves: dict[str, list[float]]
    held: Held


def fit(dataset: Dataset, g: Generator, progress: Progress, taught: Taught | None = None) -> Fitted:
    """Learn normal wells, pours, transferred pours and drained wells: on the GPU where torch finds one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    (normal, normal_held), (spill, spill_held) = split(dataset, g)
    if taught:
        normal, spill = _with(normal, taught.normal), _with(spill, taught.spill)
    scenes = _Scenes(normal.to(device), spill.to(device), Generator(device).manual_seed(g.initial_seed()))
    network = PyramidNetwork(Architecture("pyramid"), normed=True).to(device)
    steps = max(1, round(len(normal) / BATCH))
    epochs = max(EPOCHS, -(-LEAST_STEPS // steps))
    optimizers = _optimizers(network)
    schedules = [LambdaLR(optimizer, lambda step: _pace(step / (epochs * steps))) for optimizer in optimizers]
    curves: dict[str, list[float]] = {"normal wells": [], "known spills": []}
    # One thread draws what the next step learns from while this one learns.
    with ThreadPoolExecutor(1, thread_name_prefix="drawing") as pool:
        drawn = pool.submit(scenes.draw)
        for epoch in range(epochs):
            losses = []
            for _ in range(steps):
                patches, drawn = drawn.result(), pool.submit(scenes.draw)
                losses.append(_gradients(network, patches, scenes.wells))
                for optimizer, schedule in zip(optimizers, schedules, strict=True):
                    optimizer.step()
                    schedule.step()
                network.zero_grad()
            means = torch.stack(losses).mean(0).tolist()
            for name, value in zip(curves, means, strict=True):
                curves[name].append(value)
            progress(epoch + 1, epochs, f"loss {sum(means):.3f}")
    # Its own chance, so that a threshold can be found again without training again.
    held = _stressed(_floats(normal_held), _floats(spill_held), Generator().manual_seed(g.initial_seed()))
    # Half precision halves the file; the threshold is found with what is saved.
    return Fitted(network.architecture, weights(network.folded().half()), curves, held)


def weights(network: torch.nn.Module) -> State:
    """All tensors of a network, as a bundle holds them."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}


def split(dataset: Dataset, g: Generator) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Normal wells to learn from and to hold out, and spills likewise, as (crops, 3, height, width) uint8."""
    normal = _parts(dataset.normal, VALIDATION, torch.randperm(len(dataset.normal), generator=g))
    # Neighbours in a cast look alike: the last by name are held out in one piece, not picked at random.
    return normal, _parts(dataset.spill, SPILL_VALIDATION, torch.arange(len(dataset.spill)).flip(0))


def _parts(crops: U8, share: float, order: Tensor) -> tuple[Tensor, Tensor]:
    held = max(1, round(len(crops) * share))
    pictures = torch.from_numpy(crops).permute(0, 3, 1, 2)
    return pictures[order[held:]].contiguous(), pictures[order[:held]].contiguous()


def _with(pictures: Tensor, kind: Kind) -> Tensor:
    """Pictures to learn from, and the crew's crops beside them, each as often as it counts."""
    crops = torch.from_numpy(kind.crops[~kind.held]).permute(0, 3, 1, 2)
    return torch.cat([pictures, crops.repeat(kind.weight(len(pictures)), 1, 1, 1)])


class _Scenes:
    """What a step learns from, drawn from one array of wells and one of spills by one generator."""

    def __init__(self, normal: Tensor, spill: Tensor, g: Generator) -> None:
        self._normal, self._spill, self._g = normal, _floats(spill), g
        self.wells = min(BATCH, len(normal))

    def draw(self) -> Tensor:
        """Patches of ``wells`` normal wells, then of the spills."""
        g = self._g
        chosen = torch.randint(len(self._normal), (2, self.wells), generator=g, device=g.device)
        wells, others = (_floats(self._normal.index_select(0, row)) for row in chosen)
        wells = augment.working(wells, others, g, share=HIDDEN)
        scenes = torch.cat([wells, augment.spilt(others, self._spill, KNOWN, g)])
        return patches_of(augment.filmed(scenes, g, size=SIDE, shift=4, zoom=0.15, gain=GAIN))


def _optimizers(network: PyramidNetwork) -> list[torch.optim.Optimizer]:
    matrices = [values for values in network.parameters() if values.ndim == 2]
    vectors = [values for values in network.parameters() if values.ndim != 2]
    return [
        torch.optim.Muon(matrices, lr=RATE, weight_decay=DECAY, ns_steps=3),
        torch.optim.AdamW(vectors, lr=ADAM_RATE, weight_decay=0, fused=True),
    ]


def _pace(done: float) -> float:
    """Factor of the rate when a share of the steps, 0..1, is done."""
    return min((done + 1e-3) / WARM_UP, (1 - done) / (1 - WARM_UP), 1.0)


def _gradients(network: PyramidNetwork, patches: Tensor, wells: int) -> Tensor:
    """The gradients of one step, and its two losses, of normal wells and of spills."""
    with torch.autocast("cuda", torch.bfloat16, enabled=patches.is_cuda):
        painted = network.repaint(patches)
    errors = SHARPNESS * mse_loss(painted.float(), patches, reduction="none").mean((1, 2))
    quiet = errors[:wells].mean()
    loud = -torch.log(-torch.expm1(-errors[wells:].clamp(min=1e-4))).mean()
    torch.autograd.backward(quiet + loud)
    return torch.stack([quiet.detach(), loud.detach()])


def _stressed(normal: Tensor, spill: Tensor, g: Generator) -> Held:
    """Held-out wells as they are and as a bad day might show them; each kind of spill counts alike."""
    rounds = max(1, len(normal) // (2 * len(spill)))
    pours = spill.repeat(rounds, 1, 1, 1)
    emptied, oval = augment.drained(normal[: len(pours)], g)
    where = torch.cat([augment.middle(pours), oval])
    spills = augment.occluded(torch.cat([pours, emptied]), g, share=0.1, where=where)
    wells = augment.working(normal, normal, g, share=0.1)

    def film(pictures: Tensor) -> Tensor:
        return augment.filmed(pictures, g, size=SIDE, shift=2.0, zoom=0.05, gain=0.2)

    shown = len(spill) // 2 + 1
    examples = torch.cat([spill[:shown], emptied[:shown]])
    return Held(
        np.concatenate([centre(_pixels(normal), SIDE), _pixels(film(wells))]),
        np.concatenate([centre(_pixels(spill), SIDE), _pixels(film(spills))]),
        centre(_pixels(normal), SIDE),
        centre(_pixels(examples), SIDE),
    )


def _floats(pixels: Tensor) -> Tensor:
    return pixels.float().mul_(1 / 255)


def _pixels(pictures: Tensor) -> U8:
    return np.asarray((pictures * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy(), np.uint8)
