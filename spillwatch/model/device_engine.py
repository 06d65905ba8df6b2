"""A bundle's network on a device: buffers that stay, batches of a few sizes, graphs, half precision where it serves.

What cannot be known before it runs on this very device proves itself at the start, by scores of ``check_crops``: half
precision must stay within 1 % of float32, a captured graph must score as the plain way does. What does not hold, or
raises, is left out and named in ``notes``.
"""

from __future__ import annotations

import contextlib
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from spillwatch.model.architecture import SIDE
from spillwatch.model.device import first_line
from spillwatch.model.network import PyramidNetwork, SeedNetwork, build, patches_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from spillwatch.model.architecture import Architecture
    from spillwatch.records import F32, U8

Network = SeedNetwork | PyramidNetwork

BUCKETS = (64, 128, 256, 512, 1024, 2048)
"""Batches are filled up to one of these sizes, so that for each there is one graph; a longer one goes in parts."""

HALVES = (torch.float16,)
"""To be tried on CUDA. bfloat16, as fast, has too few digits: `python -m tools.bench_cuda` says by how much."""

AS_GOOD, THE_SAME = 0.01, 1e-3
"""How far scores of another precision, and of a graph, may be from the plain ones, as shares of these."""

_WARM_UPS = 3  # libraries choose their kernels in the first runs, which must not be captured


class DeviceEngine:
    """Scores (wells, 32, 32, 3) uint8 RGB that lie in ``pixels`` into ``scores``, both on the host and kept for good.

    ``halves`` are the precisions to try, by default all on CUDA and none elsewhere; ``plain`` does without them and
    without graphs. Raises RuntimeError (torch.AcceleratorError is one) when the device fails.
    """

    def __init__(
        self,
        network: Network,
        device: str,
        *,
        pixels: U8,
        scores: F32,
        plain: bool = False,
        halves: Sequence[torch.dtype] | None = None,
    ) -> None:
        self._device = torch.device(device)
        self._cuda = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if self._cuda else None  # type: ignore[no-untyped-call]
        self._buckets = [bucket for bucket in BUCKETS if bucket < len(pixels)] + [len(pixels)]
        self._host_pixels, self._host_scores = torch.from_numpy(pixels), torch.from_numpy(scores)
        self._pixels = torch.zeros(pixels.shape, dtype=torch.uint8, device=self._device)
        self._scores = torch.zeros(len(scores), dtype=torch.float32, device=self._device)
        self._network = network.to(self._device, torch.float32)
        self.precision = torch.float32
        self.notes: list[str] = []
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        with torch.inference_mode(), self._on_stream():
            crops = check_crops(self._network, min(256, len(pixels)))
            self._pixels[: len(crops)] = crops
            if not plain:
                self._try_halves(len(crops), (HALVES if self._cuda else ()) if halves is None else halves)
            if self._cuda:
                self._pin()
                if not plain:
                    self._try_graphs(len(crops))

    @property
    def facts(self) -> dict[str, object]:
        """For a log: what was found to serve."""
        pinned = self._cuda and self._host_pixels.is_pinned()
        return {
            "device": torch.cuda.get_device_name(self._device) if self._cuda else str(self._device),
            "precision": str(self.precision).removeprefix("torch."),
            "graphs": len(self._graphs),
            "pinned": pinned,
            "notes": self.notes,
        }

    def run(self, wells: int) -> None:
        """Score the first ``wells`` of the host's pixels; done when it returns."""
        with torch.inference_mode(), self._on_stream():
            self._pixels[:wells].copy_(self._host_pixels[:wells], non_blocking=True)
            self._score(next(bucket for bucket in self._buckets if bucket >= wells))
            self._host_scores[:wells].copy_(self._scores[:wells], non_blocking=True)
            if self._stream is not None:
                self._stream.synchronize()

    def _score(self, bucket: int) -> None:
        if bucket in self._graphs:
            self._graphs[bucket].replay()
        else:
            self._scores[:bucket] = errors(self._network, self._pixels[:bucket])

    def _on_stream(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _pin(self) -> None:
        """Copies to and from pages that cannot move need no copy between and do not wait for each other."""
        for host in (self._host_pixels, self._host_scores):
            size = host.numel() * host.element_size()
            code = torch.cuda.cudart().cudaHostRegister(host.data_ptr(), size, 0)  # type: ignore[no-untyped-call]
            if int(code) or not host.is_pinned():
                self.notes.append(f"memory is not pinned: cudaHostRegister gave {int(code)}")
                with contextlib.suppress(RuntimeError):  # what it refused is told again, by whichever call comes next
                    self._scores.zero_()

    def _try_halves(self, wells: int, halves: Sequence[torch.dtype]) -> None:
        exact = errors(self._network, self._pixels[:wells])
        for half in halves:
            try:
                network = in_half(self._network, half)
                off = _off(errors(network, self._pixels[:wells]), exact)
            except RuntimeError as exc:
                self.notes.append(f"{half} fails: {first_line(exc)}")
                continue
            if off <= AS_GOOD:
                self._network, self.precision = network, half
                return
            self.notes.append(f"{half} moves scores by {100 * off:.2g} %")

    def _try_graphs(self, wells: int) -> None:
        """Largest first, so that the smaller ones find room in its memory."""
        for bucket in reversed(self._buckets):
            seen = min(wells, bucket)
            try:
                for _ in range(_WARM_UPS):
                    self._score(bucket)
                torch.cuda.synchronize(self._device)
                plain = self._scores[:seen].clone()
                graph = torch.cuda.CUDAGraph()
                pool = next(iter(self._graphs.values())).pool() if self._graphs else None
                with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                    self._score(bucket)
                self._scores.zero_()
                graph.replay()
                off = _off(self._scores[:seen], plain)
            except RuntimeError as exc:
                self.notes.append(f"no graph of {bucket} wells: {first_line(exc)}")
                return
            if off <= THE_SAME:
                self._graphs[bucket] = graph
            else:
                self.notes.append(f"the graph of {bucket} wells moves scores by {100 * off:.2g} %")


def load(architecture: Architecture, state: Mapping[str, npt.NDArray[np.floating]]) -> Network:
    """A bundle's network."""
    network = build(architecture)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return network


class _First(nn.Linear):
    """The first layer stays in float32: rounded, it alone moves scores of smooth wells by some percents."""

    def __init__(self, layer: nn.Linear, half: torch.dtype) -> None:
        super().__init__(layer.in_features, layer.out_features, device=layer.weight.device)
        self.load_state_dict(layer.state_dict())
        self.given = half

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = super().forward(values).to(self.given)
        return result


def in_half(network: Network, half: torch.dtype) -> Network:
    """The same network in half precision, the pyramid's first layer apart."""
    halved = deepcopy(network).to(half)
    if isinstance(network, PyramidNetwork) and isinstance(halved, PyramidNetwork):
        first = network.layers[0]
        assert isinstance(first, nn.Linear)  # noqa: S101 (tells mypy what ModuleList forgets)
        halved.layers[0] = _First(first, half)
    return halved


def errors(network: Network, pixels: Tensor) -> Tensor:
    """(wells, 32, 32, 3) uint8 RGB → (wells,) float32 errors; only the network may be in half precision."""
    pictures, precision = pixels.permute(0, 3, 1, 2), next(network.parameters()).dtype
    # Memory is what it costs, so few passes: a byte times a float is a float32, and so is float32 minus float16.
    if isinstance(network, PyramidNetwork):  # whose order of patches need not be undone for a mean
        wanted = patches_of(pictures) * (1 / 255)
        painted = network.repaint(wanted.to(precision))
    else:
        wanted = pictures * (1 / 255)
        painted = network(wanted.to(precision))
    norm: Tensor = torch.linalg.vector_norm((wanted - painted).flatten(1), dim=1)
    return norm.square_().div_(wanted[0].numel())


def check_crops(network: Network, count: int) -> Tensor:
    """(count, 32, 32, 3) uint8 RGB on the network's device: scores of every size, as the wells' own, always the same.

    Ovals on plates, from smooth to coarse, are all odd to the network. What it paints itself is familiar to it: so a
    half are painted over and over, and then given the grain of a camera, which leaves about the scores of normal wells.
    Live wells are compared later, by model/guard.py.
    """
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j][:, None, :, :, None]
    inside = (np.square(x / rng.uniform(0.6, 1, (count, 1, 1, 1))) + np.square(y)) < 1
    plate, well = rng.uniform(0, 1, (2, count, 1, 1, 3))
    noise = rng.normal(size=(count, SIDE, SIDE, 3)) * rng.choice([0, 0.01, 0.04, 0.2], (count, 1, 1, 1))
    crops = (np.where(inside, well, plate) + noise).astype(np.float32)
    pictures = torch.from_numpy(crops).to(next(network.parameters()).device).permute(0, 3, 1, 2)
    for _ in range(8):
        pictures[::2] = network(pictures[::2].clamp(0, 1))
    grain = rng.normal(0, 0.02, tuple(pictures[::2].shape)).astype(np.float32)
    pictures[::2] += torch.from_numpy(grain).to(pictures.device)
    return pictures.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _off(scores: Tensor, exact: Tensor) -> float:
    """The largest share by which scores differ; infinite where one is no number."""
    off = ((scores - exact) / exact).abs().nan_to_num(nan=float("inf"))
    return float(off.max())
