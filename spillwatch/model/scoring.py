"""Scores of wells: how badly the autoencoder repaints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from spillwatch.errors import ModelError
from spillwatch.model.network import LINEAR, PATCHES, SIDE, VALUES, PyramidNetwork, build, nested, pictures_of

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle
    from spillwatch.records import F32, U8

SMALLEST = 1e-12  # scores are above 0, so that their logarithm exists


class Scorer:
    """A bundle's network, ready to score. Not for use by two threads at once: it reuses its buffers."""

    def __init__(self, bundle: Bundle, device: Literal["auto", "cpu", "cuda"] = "auto") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("device is 'cuda', but torch finds no CUDA GPU; set model.device to 'cpu' or 'auto'")
        self.name = bundle.name
        self.device = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
        network = build(bundle.architecture)
        network.load_state_dict(bundle.state)
        network.to(self.device)
        self._engine = _Patches(network) if isinstance(network, PyramidNetwork) else _Pictures(network)

    def score(self, crops: U8) -> F32:
        """(wells, 3, 32, 32) uint8 RGB, in NHWC memory → (wells,) float32 > 0; higher is more like a spill."""
        if not len(crops):
            return np.zeros(0, np.float32)
        with torch.inference_mode():
            wanted, painted = self._engine(self._tensor(crops))
            # One pass: the norm needs no squared copy.
            norm = torch.linalg.vector_norm(painted.sub_(wanted).flatten(1), dim=1)
            score = norm.square_().div_(SIDE * SIDE * 3).clamp_(min=SMALLEST)
        return np.asarray(score.cpu().numpy(), np.float32)

    def reconstruct(self, crops: U8) -> U8:
        """(wells, 3, 32, 32) uint8 RGB: the wells as the network would paint them."""
        if not len(crops):
            return np.zeros((0, 3, SIDE, SIDE), np.uint8)
        with torch.inference_mode():
            painted = self._engine.pictures(self._engine(self._tensor(crops))[1])
        return np.asarray((painted.clamp(0, 1) * 255).round().byte().cpu().numpy(), np.uint8)

    def errors(self, crops: U8) -> F32:
        """(wells, 32, 32) float32: squared error of each pixel, the mean of which over a well is its score."""
        if not len(crops):
            return np.zeros((0, SIDE, SIDE), np.float32)
        with torch.inference_mode():
            wanted, painted = self._engine(self._tensor(crops))
            errors = self._engine.pictures((painted - wanted).square()).mean(1)
        return np.asarray(errors.cpu().numpy(), np.float32)

    def _tensor(self, crops: U8) -> Tensor:
        if crops.shape[1:] != (3, SIDE, SIDE) or crops.dtype != np.uint8:
            raise ValueError(f"crops must be (wells, 3, {SIDE}, {SIDE}) uint8, not {crops.shape} {crops.dtype}")
        # A view where the memory is NHWC already; torch warns of read-only arrays, so those are copied.
        rows = np.require(crops.transpose(0, 2, 3, 1), requirements=["C", "W"])
        return torch.from_numpy(rows).to(self.device)


class _Pictures:
    """Any network that repaints whole pictures."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        wanted = pixels.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)
        painted: Tensor = self._network(wanted)
        return wanted, painted

    def pictures(self, values: Tensor) -> Tensor:
        return values


class _Patches:
    """The pyramid as matrix products into buffers that stay.

    Fresh memory for each layer of each frame costs more than the arithmetic: the system takes the pages back between
    frames and hands them out again, zeroed, at every one.
    """

    def __init__(self, network: PyramidNetwork) -> None:
        layers = [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)]
        self._weights = [(layer.bias.detach(), layer.weight.detach().T.contiguous()) for layer in layers]
        self._wells = -1

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(wells, 32, 32, 3) uint8 → wanted and painted patches (wells, 64, 48); both are overwritten by the next."""
        wells = len(pixels)
        if wells != self._wells:
            self._reserve(wells, pixels.device)
        rows = nested(pixels)
        wanted = values = self._wanted.view(rows.shape).copy_(rows).mul_(1 / 255)
        for index, ((bias, weight), out) in enumerate(zip(self._weights, self._buffers, strict=True)):
            torch.addmm(bias, values.view(-1, len(weight)), weight, out=out)
            values = out if index in LINEAR else out.relu_()
        shape = (wells, PATCHES, VALUES)
        return wanted.view(shape), values.view(shape)

    def _reserve(self, wells: int, device: torch.device) -> None:
        self._wells = wells
        self._wanted = torch.empty(wells * PATCHES * VALUES, device=device)
        self._buffers: list[Tensor] = []
        numbers = self._wanted.numel()
        for _, weight in self._weights:  # what one layer makes is the next one's input, cut into rows anew
            out = torch.empty(numbers // len(weight), weight.shape[1], device=device)
            self._buffers.append(out)
            numbers = out.numel()

    def pictures(self, values: Tensor) -> Tensor:
        return pictures_of(values)
