"""Scores of wells: how badly the autoencoder repaints them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from spillwatch.errors import ModelError
from spillwatch.model.architecture import SIDE
from spillwatch.model.patches import PatchEngine

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle
    from spillwatch.records import F32, U8

SMALLEST = 1e-12  # scores are above 0, so that their logarithm exists


class Engine(Protocol):
    """A network that runs; it takes (wells, 32, 32, 3) uint8 RGB, contiguous, at least one well."""

    def score(self, pixels: U8) -> F32:
        """(wells,) float32 mean squared errors, in pixels of 0..1."""
        ...

    def paint(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) float32 RGB, about 0..1."""
        ...


class Scorer:
    """A bundle's network, ready to score. Not for use by two threads at once: it reuses its buffers."""

    def __init__(self, bundle: Bundle, device: Literal["auto", "cpu", "cuda"] = "auto") -> None:
        self.name = bundle.name
        self.device = "cuda" if device != "cpu" and _has_cuda() else "cpu"
        if device == "cuda" != self.device:
            raise ModelError("device is 'cuda', but torch finds no CUDA GPU; set model.device to 'cpu' or 'auto'")
        self._engine = _engine(bundle, self.device)

    def score(self, crops: U8) -> F32:
        """(wells, 3, 32, 32) uint8 RGB, in NHWC memory → (wells,) float32 > 0; higher is more like a spill."""
        pixels = _pixels(crops)
        return np.maximum(self._engine.score(pixels), np.float32(SMALLEST)) if len(pixels) else np.zeros(0, np.float32)

    def reconstruct(self, crops: U8) -> U8:
        """(wells, 3, 32, 32) uint8 RGB: the wells as the network would paint them."""
        painted = self._paint(_pixels(crops))
        return (painted.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 3, 1, 2)

    def errors(self, crops: U8) -> F32:
        """(wells, 32, 32) float32: squared error of each pixel, the mean of which over a well is its score."""
        pixels = _pixels(crops)
        return np.asarray(np.square(self._paint(pixels) - pixels / np.float32(255)).mean(3), np.float32)

    def _paint(self, pixels: U8) -> F32:
        return self._engine.paint(pixels) if len(pixels) else np.zeros((0, SIDE, SIDE, 3), np.float32)


def _engine(bundle: Bundle, device: str) -> Engine:
    if device == "cpu" and bundle.architecture.kind == "pyramid":
        return PatchEngine(bundle.state)
    from spillwatch.model.torch_engine import TorchEngine

    return TorchEngine(bundle, device)


def _has_cuda() -> bool:
    """Torch takes seconds to load and is not asked where there is no NVIDIA driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def _pixels(crops: U8) -> U8:
    """(wells, 32, 32, 3): a view where the memory is NHWC already."""
    if crops.shape[1:] != (3, SIDE, SIDE) or crops.dtype != np.uint8:
        raise ValueError(f"crops must be (wells, 3, {SIDE}, {SIDE}) uint8, not {crops.shape} {crops.dtype}")
    return np.ascontiguousarray(crops.transpose(0, 2, 3, 1))
