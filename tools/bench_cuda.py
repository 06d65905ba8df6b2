"""Scoring on a GPU against what its memory and the bus allow; `docs/performance.md` says where the floors come from.

    python -m tools.bench_cuda
    python -m tools.bench_cuda --device cpu --batch 84 --ticks 20     tries the tool itself where there is no GPU

Without a GPU it ends with 2.
"""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from spillwatch.model import bundle as bundles
from spillwatch.model.architecture import LINEAR, PATCHES, SIDE, VALUES, layer_sizes
from spillwatch.model.dataset import centre, load_folder
from spillwatch.model.device import DeviceProcess
from spillwatch.model.device_engine import DeviceEngine, check_crops, errors, in_half, load
from tools.bench import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from spillwatch.model.architecture import Architecture
    from spillwatch.model.bundle import Bundle

PIXEL_BYTES = SIDE * SIDE * 3
CAMERAS, WELLS = 16, 84
WIDTH, HEIGHT = 1920, 1200
RATES = (
    "on the device",
    "floor: memory, layer by layer",
    "× that floor",
    "floor: memory, each pixel once",
    "host to host",
    "floor: upload",
    "precision",
    "graphs",
)
POINTS = 48 * SIDE  # samples of a well in each plane, before the blur


@dataclass(frozen=True)
class Gpu:
    """What is measured on, and what it can do at best, in bytes per second."""

    device: torch.device
    memory: float
    upload: float

    def ms(self, work: Callable[[], object], runs: int = 50) -> float:
        """Least duration of one call."""
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            work()
            wait(self.device)
            times.append(time.perf_counter() - start)
        return 1000 * min(times)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def moved(architecture: Architecture, size: int) -> int:
    """Bytes that memory moves for one well, as device_engine.errors goes about it with numbers of ``size`` bytes.

    Each step reads what it takes and writes what it gives: patches in order and as float32, the layers, ReLU apart,
    and the norm of the difference. Weights stay in the cache.
    """
    pixels, single = PIXEL_BYTES, 4 * PIXEL_BYTES
    total = 2 * pixels + pixels + single
    numbers, width = PATCHES * VALUES, 4  # the first layer takes and gives float32
    for index, (inputs, outputs) in enumerate(layer_sizes(architecture)):
        given = numbers // inputs * outputs
        total += numbers * width + given * width
        if index == 0 and size < width:
            total += given * (width + size)
        width, numbers = size, given
        total += 0 if index in LINEAR else 2 * numbers * width
    return total + single + numbers * width + single + single


def find(name: str) -> Gpu:
    """The GPU and its speeds, measured by copies of 256 MiB."""
    device = torch.device(name)
    size = 1 << (28 if device.type == "cuda" else 24)
    host = torch.empty(size, dtype=torch.uint8, pin_memory=device.type == "cuda")
    one, other = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    gpu = Gpu(device, 1, 1)
    memory = 2 * size / gpu.ms(lambda: other.copy_(one), 20) * 1000
    return Gpu(device, memory, size / gpu.ms(lambda: one.copy_(host, non_blocking=True), 20) * 1000)


def crops_per_second(gpu: Gpu, bundle: Bundle, batch: int) -> tuple[str, ...]:
    """One size of batch: on the device alone, and from host memory to host memory."""
    pixels = np.random.default_rng(1).integers(0, 256, (batch, SIDE, SIDE, 3), dtype=np.uint8)
    network = load(bundle.architecture, bundle.state)
    engine = DeviceEngine(network, str(gpu.device), pixels=pixels, scores=np.zeros(batch, np.float32))
    size = engine.precision.itemsize
    floors = [moved(bundle.architecture, size) / gpu.memory, PIXEL_BYTES / gpu.memory, PIXEL_BYTES / gpu.upload]
    with torch.inference_mode():
        inside = gpu.ms(lambda: engine._score(batch)) / 1000 / batch
    whole = gpu.ms(lambda: engine.run(batch)) / 1000 / batch
    mine, layers, once, all_of_it, bus = (f"{1 / each:,.0f}" for each in (inside, *floors[:2], whole, floors[2]))
    way = str(engine.facts["precision"]), str(engine.facts["graphs"])
    return mine, layers, f"{inside / floors[0]:.1f}", once, all_of_it, bus, *way


def tick(bundle: Bundle, device: str, ticks: int) -> tuple[float, float]:
    """Milliseconds, p50 and p99, of 16 cameras' wells: joined, handed to the other process, scored, and back."""
    rng = np.random.default_rng(2)
    cameras = [rng.integers(0, 256, (WELLS, SIDE, SIDE, 3), dtype=np.uint8) for _ in range(CAMERAS)]
    process = DeviceProcess(bundle, device)
    try:
        process.settle(120)
        took = []
        for _ in range(ticks):
            start = time.perf_counter()
            process.score(np.concatenate(cameras), 10)
            took.append(1000 * (time.perf_counter() - start))
    finally:
        process.kill()
        process.gone(10)
    return float(np.percentile(took, 50)), float(np.percentile(took, 99))


def halves(gpu: Gpu, bundle: Bundle) -> list[tuple[str, str]]:
    """How far scores move in half precision: of the check's crops, and of real ones where they are."""
    network = load(bundle.architecture, bundle.state).to(gpu.device)
    rows = []
    with torch.inference_mode():
        crops = {"made-up": check_crops(network, 2000)}
        if (SHARED / "data/wells/train").is_dir():
            data = load_folder(SHARED / "data/wells", preprocessing=bundle.preprocessing)
            for what, wide in (("normal", data.normal), ("spill", data.spill)):
                crops[what] = torch.from_numpy(np.ascontiguousarray(centre(wide, SIDE))).to(gpu.device)
        for (what, pixels), half in itertools.product(crops.items(), (torch.float16, torch.bfloat16)):
            exact = errors(network, pixels)
            off = ((errors(in_half(network, half), pixels) - exact) / exact).abs().cpu().numpy()
            name = (
                f"{str(half).removeprefix('torch.')}, {len(pixels):,} {what} crops: scores move by, median, 99 %, most"
            )
            rows.append((name, f"{np.median(off):.2%}, {np.quantile(off, 0.99):.2%}, {off.max():.2%}"))
    return rows


def sampling(gpu: Gpu) -> list[tuple[str, str]]:
    """One camera's frame sent whole and sampled there, against its crops alone."""
    pin = gpu.device.type == "cuda"
    planes = [torch.zeros(n, dtype=torch.uint8, pin_memory=pin) for n in (WIDTH * HEIGHT, *(2 * [WIDTH * HEIGHT // 4]))]
    there = [torch.zeros_like(plane, device=gpu.device) for plane in planes]
    generator = torch.Generator().manual_seed(3)
    taps = [
        torch.randint(len(plane), (4, WELLS * POINTS), generator=generator).to(gpu.device) for plane in planes
    ]  # the four neighbours of each sample
    weights = torch.full((4, WELLS * POINTS), 0.25, device=gpu.device)
    crops = torch.zeros(WELLS * PIXEL_BYTES, dtype=torch.uint8, pin_memory=pin)
    crops_there = torch.zeros_like(crops, device=gpu.device)

    def send(ours: list[Tensor], theirs: list[Tensor]) -> None:
        for here, far in zip(ours, theirs, strict=True):
            far.copy_(here, non_blocking=True)

    def sample() -> list[Tensor]:
        return [(plane[four] * weights).sum(0) for plane, four in zip(there, taps, strict=True)]

    return [
        ("a frame's planes sent, ms", f"{gpu.ms(lambda: send(planes, there)):.3f}"),
        ("its wells sampled there, ms", f"{gpu.ms(sample):.3f}"),
        ("its crops sent instead, ms", f"{gpu.ms(lambda: send([crops], [crops_there])):.3f}"),
    ]


def show(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@click.command()
@click.option("--device", default="cuda", show_default=True)
@click.option("--batch", "batches", type=int, multiple=True, default=(84, 1344, 65536), show_default=True)
@click.option("--ticks", default=2000, show_default=True)
def main(device: str, batches: tuple[int, ...], ticks: int) -> None:
    """Print four small tables."""
    if device == "cuda" and not torch.cuda.is_available():
        click.echo("torch finds no CUDA GPU here: run it on a machine with one", err=True)
        sys.exit(2)
    bundle = bundles.load(bundles.default_path())
    gpu = find(device)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    single, half = (f"{moved(bundle.architecture, size):,}" for size in (4, 2))
    speeds = [
        ("its memory, read and written, GB/s", f"{gpu.memory / 1e9:.0f}"),
        ("upload, GB/s", f"{gpu.upload / 1e9:.1f}"),
        ("memory moved for a crop, float32 and float16, B", f"{single}, {half}"),
    ]
    show(f"{name}, torch {torch.__version__}", ("what", "figure"), speeds)
    measured = [crops_per_second(gpu, bundle, batch) for batch in batches]
    show("crops per second", ("batch", *(f"{batch:,}" for batch in batches)), list(zip(RATES, *measured, strict=True)))
    p50, p99 = tick(bundle, device, ticks)
    rows = [(f"tick of {CAMERAS} cameras, ms, p50 and p99 of {ticks:,}", f"{p50:.2f}, {p99:.2f}")]
    show("one camera and sixteen", ("what", "figure"), [*rows, *sampling(gpu), *halves(gpu, bundle)])


if __name__ == "__main__":
    main()
