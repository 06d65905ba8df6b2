"""Any network under torch: on CUDA, and the seed's convolutions wherever they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from spillwatch.model.network import build

if TYPE_CHECKING:
    from spillwatch.model.bundle import Bundle
    from spillwatch.records import F32, U8


class TorchEngine:
    """A bundle's network on ``device``."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._device = torch.device(device)
        network = build(bundle.architecture)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in bundle.state.items()})
        self._network = network.to(self._device)

    def score(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) uint8 RGB → (wells,) float32 mean squared errors."""
        with torch.inference_mode():
            wanted = self._tensor(pixels)
            norm = torch.linalg.vector_norm((self._network(wanted) - wanted).flatten(1), dim=1)
            return np.asarray(norm.square_().div_(wanted[0].numel()).cpu().numpy(), np.float32)

    def paint(self, pixels: U8) -> F32:
        """(wells, 32, 32, 3) float32 RGB, as repainted."""
        with torch.inference_mode():
            painted = self._network(self._tensor(pixels))
        return np.asarray(painted.permute(0, 2, 3, 1).cpu().numpy(), np.float32)

    def _tensor(self, pixels: U8) -> Tensor:
        # Torch warns of read-only arrays, so those are copied.
        rows = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
        return rows.to(self._device).permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)
