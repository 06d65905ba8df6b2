"""The two autoencoders. Both take (wells, 3, 32, 32) float32 RGB in 0..1 and return the same shape.

``SeedNetwork`` is the one that the project began with: strided convolutions and their transposes. ``PatchNetwork``
is the default: a well is 8x8 patches of 4x4 pixels, which pass through a few matrix products only, so that a frame of
84 wells costs one core a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

SIDE = 32  # pixels of a well
PATCH = 4  # pixels of a patch
GRID = SIDE // PATCH
PATCHES = GRID * GRID
VALUES = PATCH * PATCH * 3  # numbers in a patch


@dataclass(frozen=True)
class Architecture:
    """What a bundle must say to rebuild its network; ``token`` and ``hidden`` are the patch network's widths."""

    kind: Literal["seed", "patch"]
    latent: int = 32
    token: int = 24
    hidden: int = 96


class SeedNetwork(nn.Module):
    """Convolutions 3→8→16 with stride 2, a linear latent, and the mirror image of it all."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        inner = 16 * (SIDE // 4) ** 2
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(inner, architecture.latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(architecture.latent, inner),
            nn.Unflatten(1, (16, SIDE // 4, SIDE // 4)),
            nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        result: Tensor = self.decoder(self.encoder(pictures))
        return result


class PatchNetwork(nn.Module):
    """Patches → tokens → hidden → latent → hidden → tokens → patches; ReLU between, linear at latent and output.

    ``normed`` adds batch normalisation, without which training stalls; ``folded`` gives the equal network without it.
    """

    LAYERS = ("embed", "encode", "squeeze", "expand", "decode")

    def __init__(self, architecture: Architecture, *, normed: bool = False) -> None:
        super().__init__()
        token, hidden, latent = architecture.token, architecture.hidden, architecture.latent
        self.architecture = architecture
        self.embed = nn.Linear(VALUES, token)
        self.encode = nn.Linear(PATCHES * token, hidden)
        self.squeeze = nn.Linear(hidden, latent)
        self.expand = nn.Linear(latent, hidden)
        self.decode = nn.Linear(hidden, PATCHES * token)
        self.paint = nn.Linear(token, VALUES)
        widths = {"embed": token, "encode": hidden, "squeeze": None, "expand": hidden, "decode": token}
        self.norms = nn.ModuleDict(
            {name: nn.BatchNorm1d(width) for name, width in widths.items() if normed and width is not None}
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures_of(self.repaint(patches_of(pictures)))

    def repaint(self, patches: Tensor) -> Tensor:
        """(wells, 64, 48) patches → their reconstructions."""
        wells, token = len(patches), self.architecture.token
        hidden = self._normed("embed", self.embed(patches).reshape(-1, token)).relu()
        hidden = self._normed("encode", self.encode(hidden.reshape(wells, -1))).relu()
        latent = self.squeeze(hidden)
        hidden = self._normed("expand", self.expand(latent)).relu()
        hidden = self._normed("decode", self.decode(hidden).reshape(-1, token)).relu()
        result: Tensor = self.paint(hidden).reshape(wells, PATCHES, VALUES)
        return result

    def _normed(self, name: str, values: Tensor) -> Tensor:
        if name not in self.norms:
            return values
        result: Tensor = self.norms[name](values)
        return result

    def folded(self) -> PatchNetwork:
        """The same function with each normalisation's running scale and offset inside the layer before it."""
        plain = PatchNetwork(self.architecture)
        state = {name: value for name, value in self.state_dict().items() if not name.startswith("norms.")}
        for name, norm in self.norms.items():
            assert isinstance(norm, nn.BatchNorm1d)  # noqa: S101 (tells mypy what ModuleDict forgets)
            mean, variance = norm.running_mean, norm.running_var
            assert mean is not None and variance is not None  # noqa: S101, PT018
            scale = norm.weight / torch.sqrt(variance + norm.eps)
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            repeats = len(bias) // len(scale)  # "decode" makes every patch's token; its norm is per token value
            scale, offset = scale.repeat(repeats), (norm.bias - mean * scale).repeat(repeats)
            state[f"{name}.weight"] = (weight * scale[:, None]).detach()
            state[f"{name}.bias"] = (bias * scale + offset).detach()
        plain.load_state_dict(state)
        return plain.eval()


def patches_of(pictures: Tensor) -> Tensor:
    """(wells, 3, 32, 32) → (wells, 64, 48), each patch as rows of RGB pixels."""
    wells = len(pictures)
    rows = pictures.permute(0, 2, 3, 1).reshape(wells, GRID, PATCH, GRID, PATCH * 3)
    return rows.transpose(2, 3).reshape(wells, PATCHES, VALUES)


def pictures_of(patches: Tensor) -> Tensor:
    """The way back."""
    wells = len(patches)
    rows = patches.reshape(wells, GRID, GRID, PATCH, PATCH * 3).transpose(2, 3)
    return rows.reshape(wells, SIDE, SIDE, 3).permute(0, 3, 1, 2)


_KINDS: dict[str, type[SeedNetwork] | type[PatchNetwork]] = {"seed": SeedNetwork, "patch": PatchNetwork}


def build(architecture: Architecture) -> SeedNetwork | PatchNetwork:
    """The network as it scores, with weights yet to be loaded; the caller's random numbers stay untouched."""
    with torch.random.fork_rng(devices=[]):
        return _KINDS[architecture.kind](architecture).eval()


def shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network, without making one."""
    with torch.device("meta"):
        network = _KINDS[architecture.kind](architecture)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
