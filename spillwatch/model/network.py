"""The two autoencoders. Both take (wells, 3, 32, 32) float32 RGB in 0..1 and return the same shape.

``SeedNetwork`` is the one that the project began with: strided convolutions and their transposes. ``PyramidNetwork``
is the default: a well is 8x8 patches of 4x4 pixels, four neighbours at a time become one, three times over, and all of
it is matrix products, so that a frame of 84 wells costs one core a millisecond or two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spillwatch.model.architecture import (
    LINEAR,
    NESTED,
    PATCHES,
    SIDE,
    SPLIT,
    VALUES,
    Architecture,
    layer_sizes,
)


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


class PyramidNetwork(nn.Module):
    """Patches → blocks of 2x2 patches → quarters of 2x2 blocks → well → latent, and all the way back; ReLU between.

    A drained well shows in what a few neighbouring patches share, whoever stands before the rest; one layer from all
    patches at once, however wide, did not learn that. ``normed`` adds batch normalisation, without which training
    stalls; ``folded`` gives the equal network without it.
    """

    def __init__(self, architecture: Architecture, *, normed: bool = False) -> None:
        super().__init__()
        self.architecture = architecture
        widths = architecture.widths
        self.layers = nn.ModuleList(nn.Linear(*sizes) for sizes in layer_sizes(architecture))
        # On the way back a layer makes four neighbours at once; they share one norm.
        normal_widths = [*widths, 0, *reversed(widths), 0]
        self.norms = nn.ModuleDict(
            {str(index): nn.BatchNorm1d(width) for index, width in enumerate(normal_widths) if normed and width}
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures_of(self.repaint(patches_of(pictures)))

    def repaint(self, patches: Tensor) -> Tensor:
        """(wells, 64, 48) patches, as ``patches_of`` orders them → their reconstructions."""
        values = patches
        for index, layer in enumerate(self._linears()):
            values = layer(values.reshape(-1, layer.in_features))
            if str(index) in self.norms:
                norm = self.norms[str(index)]
                values = norm(values.reshape(-1, norm.weight.numel()))  # type: ignore[operator]
            if index not in LINEAR:
                values = values.relu()
        return values.reshape(patches.shape)

    def _linears(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def folded(self) -> PyramidNetwork:
        """The same function with each normalisation's running scale and offset inside the layer before it."""
        plain = PyramidNetwork(self.architecture)
        state = {name: value for name, value in self.state_dict().items() if not name.startswith("norms.")}
        for index, norm in self.norms.items():
            assert isinstance(norm, nn.BatchNorm1d)  # noqa: S101 (tells mypy what ModuleDict forgets)
            mean, variance = norm.running_mean, norm.running_var
            assert mean is not None and variance is not None  # noqa: S101, PT018
            scale = norm.weight / torch.sqrt(variance + norm.eps)
            weight, bias = f"layers.{index}.weight", f"layers.{index}.bias"
            repeats = len(state[bias]) // len(scale)
            scale, offset = scale.repeat(repeats), (norm.bias - mean * scale).repeat(repeats)
            state[weight] = (state[weight] * scale[:, None]).detach()
            state[bias] = (state[bias] * scale + offset).detach()
        plain.load_state_dict(state)
        return plain.eval()


def patches_of(pictures: Tensor) -> Tensor:
    """(wells, 3, 32, 32) → (wells, 64, 48), each patch as rows of RGB pixels, four neighbours always in a row."""
    rows = pictures.permute(0, 2, 3, 1).contiguous().view(len(pictures), *SPLIT)
    return rows.permute(NESTED).reshape(len(pictures), PATCHES, VALUES)


def pictures_of(patches: Tensor) -> Tensor:
    """The way back."""
    split = patches.reshape(len(patches), *(SPLIT[axis - 1] for axis in NESTED[1:]))
    back = [NESTED.index(axis) for axis in range(len(NESTED))]
    return split.permute(back).reshape(len(patches), SIDE, SIDE, 3).permute(0, 3, 1, 2)


_KINDS: dict[str, type[SeedNetwork] | type[PyramidNetwork]] = {"seed": SeedNetwork, "pyramid": PyramidNetwork}


def build(architecture: Architecture) -> SeedNetwork | PyramidNetwork:
    """The network as it scores, with weights yet to be loaded; the caller's random numbers stay untouched."""
    with torch.random.fork_rng(devices=[]):
        return _KINDS[architecture.kind](architecture).eval()


def seed_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the seed's network, without making one."""
    with torch.device("meta"):
        network = SeedNetwork(architecture)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
