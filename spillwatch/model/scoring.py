"""Scores of wells: how badly the autoencoder repaints them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from spillwatch.errors import ModelError
from spillwatch.model.architecture import SIDE
from spillwatch.model.patches import PatchEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spillwatch.model.bundle import Bundle
    from spillwatch.model.guard import GuardedEngine
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

    def __init__(
        self, bundle: Bundle, device: Literal["auto", "cpu", "cuda"] = "auto", *, wait_for_device: bool = True
    ) -> None:
        """Nothing is started before the first score; ``wait_for_device`` has that wait until a GPU is ready, else the
        CPU scores until it is."""
        self.name = bundle.name
        there = device != "cpu" and _has_driver()
        if device == "cuda" and not there:
            raise ModelError(
                "device is 'cuda', but this machine has no NVIDIA driver; set model.device to 'cpu' or 'auto'"
            )
        self._engine = _cpu_engine(bundle)
        self._guard: GuardedEngine | None = None
        if there:
            from spillwatch.model import guard  # who has no GPU needs none of it in memory

            self._guard = guard.on_cuda(bundle, self._engine, optional=device == "auto", patient=wait_for_device)
            self._engine = self._guard

    @property
    def device(self) -> str:
        """Where the last batch was scored."""
        return "cuda" if self._guard and self._guard.on_device else "cpu"

    @property
    def trouble(self) -> str | None:
        """Why a GPU that should score does not; None when all is well."""
        return self._guard.trouble if self._guard else None

    @property
    def losses(self) -> int:
        """How often the GPU was lost."""
        return self._guard.losses if self._guard else 0

    def close(self) -> None:
        """Let the GPU go."""
        if self._guard:
            self._guard.close()

    def score(self, crops: U8) -> F32:
        """(wells, 3, 32, 32) uint8 RGB, in NHWC memory → (wells,) float32 > 0; higher is more like a spill."""
        pixels = _pixels(crops)
        return np.maximum(self._engine.score(pixels), np.float32(SMALLEST)) if len(pixels) else np.zeros(0, np.float32)

    @property
    def together(self) -> bool:
        """Whether wells of several cameras are best scored in one batch.

        A core scores a camera's wells best while they are in its cache, and nobody's alarm waits for other cameras.
        """
        return self.device != "cpu"

    def score_each(self, batches: Sequence[U8 | None]) -> list[F32 | None]:
        """``score`` of each batch, of all that are there at once where that is best; None for None."""
        there = [crops for crops in batches if crops is not None]
        if not self.together or len(there) < 2:
            return [None if crops is None else self.score(crops) for crops in batches]
        pixels = np.concatenate([_pixels(crops) for crops in there]).transpose(0, 3, 1, 2)
        ends = np.cumsum([len(crops) for crops in there])
        scores = iter(np.split(self.score(pixels), ends[:-1]))
        return [None if crops is None else next(scores) for crops in batches]

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


def _cpu_engine(bundle: Bundle) -> Engine:
    if bundle.architecture.kind == "pyramid":
        return PatchEngine(bundle.state)
    from spillwatch.model.torch_engine import TorchEngine

    return TorchEngine(bundle, "cpu")


def _has_driver() -> bool:
    """NVIDIA's; whether there is a GPU too is left to a process of its own, since torch takes seconds to load."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _pixels(crops: U8) -> U8:
    """(wells, 32, 32, 3): a view where the memory is NHWC already."""
    if crops.shape[1:] != (3, SIDE, SIDE) or crops.dtype != np.uint8:
        raise ValueError(f"crops must be (wells, 3, {SIDE}, {SIDE}) uint8, not {crops.shape} {crops.dtype}")
    return np.ascontiguousarray(crops.transpose(0, 2, 3, 1))
