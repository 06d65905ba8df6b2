"""Benchmarks: figures and ratios measured side by side in one run, since machines differ. `make bench` runs this.

1. Whole-process CPU seconds of `spillwatch replay` against decoding the same clip with one thread of ffmpeg.
2. Milliseconds per frame for crop, score and detect, on one core.
3. Crops per second against the seed document's own way: each crop resized and blurred by itself with PIL, one batch
   through its network, and each crop's error taken in a loop.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import torch
from PIL import Image, ImageFilter
from rich.console import Console
from rich.table import Table

from spillwatch import build
from spillwatch.config import DetectionSettings, ModelSettings
from spillwatch.pictures import to_bgr
from spillwatch.sources.file import FileSource
from spillwatch.watch.obstruction import ObstructionDetector
from spillwatch.wells import wellmap
from spillwatch.wells.cropping import Cropper
from spillwatch.wells.looking import Looker
from spillwatch.wells.registration import Registrar
from spillwatch.wells.surround import Surround
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.records import U8, Frame, Wells

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SPILLWATCH_SHARED", ROOT.parent / "shared"))


@dataclass(frozen=True)
class Clip:
    """What is measured on."""

    video: Path
    wells_file: Path
    wells: Wells


def find_clip(folder: Path, given: Path | None) -> Clip:
    """The real clip where it is, else a simulated one of the same size."""
    real = given or SHARED / "clips/line_normal.mp4"
    wells_file = folder / "wells.toml"
    if real.exists():
        wells = wells_of_truth(real.with_suffix(".json"))
        wellmap.save(wells, wells_file)
        return Clip(real, wells_file, wells)
    video = folder / "line.mp4"
    words = [sys.executable, ROOT / "tools/simulate_line.py", video, "--size", "1920x1200", "--wells-out", wells_file]
    subprocess.run(words, check=True)
    return Clip(video, wells_file, wellmap.load(wells_file))


def cpu_seconds(words: list[Any]) -> tuple[float, float]:
    """CPU and wall seconds of a whole process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def milliseconds(work: Callable[[], object], runs: int = 200) -> float:
    """Median duration of one call, after a few to warm up."""
    for _ in range(10):
        work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def bench_replay(console: Console, clip: Clip, runs: int) -> None:
    """Replay against plain decoding, in turn, so that a drifting machine drifts for both."""
    if not shutil.which("ffmpeg"):
        console.print("replay against ffmpeg: skipped, since ffmpeg is not installed (apt-get install ffmpeg)")
        return
    decode = ["ffmpeg", "-v", "error", "-threads", "1", "-i", clip.video, "-f", "null", "-"]
    spillwatch = [sys.executable, "-m", "spillwatch"]
    replay = [*spillwatch, "replay", clip.video, "--wells", clip.wells_file, "--events", os.devnull]
    start_up = [sys.executable, "-c", "import spillwatch.replay"]
    pairs = [[cpu_seconds(words) for words in (decode, replay, start_up)] for _ in range(runs)]
    table = Table(
        "whole process", "CPU s", "wall s", "CPU / ffmpeg", title=f"{clip.video.name}, {len(clip.wells)} wells"
    )
    for column, name in enumerate(
        ["ffmpeg -threads 1 -f null -", "spillwatch replay", "  of which start-up (imports)"]
    ):
        cpu = median(pair[column][0] for pair in pairs)
        wall = median(pair[column][1] for pair in pairs)
        ratio = median(pair[column][0] / pair[0][0] for pair in pairs)
        table.add_row(name, f"{cpu:.2f}", f"{wall:.2f}", f"{ratio:.2f}")
    console.print(table)


def bench_stages(console: Console, clip: Clip, frame: Frame) -> float:
    """The pipeline's stages by themselves; milliseconds per frame for crop and score."""
    judge = build.judge(ModelSettings())
    crop, surround = Cropper(clip.wells, judge.bundle.preprocessing), Surround(clip.wells)
    look, align = Looker(), Registrar(clip.wells, np.ascontiguousarray(frame.planes.y))
    detector = build.detector(len(clip.wells), judge, DetectionSettings())
    obstruction = ObstructionDetector(surround.apart, clip.wells.in_service, alarm_after_s=20)
    crops = crop(frame)
    scores = judge.scorer.score(crops)
    clock = (i / 25 for i in range(10**9))
    main: dict[str, Callable[[], object]] = {
        "crop": lambda: crop(frame),
        "score": lambda: judge.scorer.score(crops),
        "detect": lambda: detector.step(next(clock), scores),
    }
    beside: dict[str, Callable[[], object]] = {
        "look (dark, frozen)": lambda: look(frame),
        "align": lambda: align(frame),
        "surround, obstruction": lambda: obstruction.step(next(clock), surround(frame)),
    }
    taken = {name: milliseconds(work) for name, work in main.items()}
    others = {name: milliseconds(work) for name, work in beside.items()}
    table = Table("stage", "ms per frame", title=f"{len(clip.wells)} wells, one core, model {judge.bundle.name}")
    total = sum(taken.values())
    for name, value in [*taken.items(), ("crop + score + detect", total), *others.items()]:
        table.add_row(name, f"{value:.2f}")
    table.add_row("all", f"{total + sum(others.values()):.2f}")
    console.print(table)
    return taken["crop"] + taken["score"]


def seed_path(rgb: U8, wells: Wells, network: torch.nn.Module) -> Callable[[], list[float]]:
    """The seed document's own way from a frame to errors."""
    lows = np.rint(wells.centres - wells.sizes / 2).astype(int)
    highs = np.rint(wells.centres + wells.sizes / 2).astype(int)
    boxes = [(int(a), int(b), int(c), int(d)) for (a, b), (c, d) in zip(lows, highs, strict=True)]
    picture = Image.fromarray(rgb)

    def work() -> list[float]:
        crops = []
        for box in boxes:
            crop = picture.crop(box).resize((48, 32), Image.Resampling.BILINEAR).crop((8, 0, 40, 32))
            crops.append(np.asarray(crop.filter(ImageFilter.GaussianBlur(1)), np.float32) / 255)
        batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
        with torch.inference_mode():
            made = network(batch)
        return [float(torch.nn.functional.mse_loss(made[i], batch[i])) for i in range(len(batch))]

    return work


def bench_seed(console: Console, clip: Clip, frame: Frame, ours_ms: float) -> None:
    """Crops per second, ours against the seed document's way."""
    from spillwatch.model.architecture import Architecture
    from spillwatch.model.network import build as make_network

    rgb = np.ascontiguousarray(to_bgr(frame.planes)[:, :, ::-1])
    seed_ms = milliseconds(seed_path(rgb, clip.wells, make_network(Architecture("seed"))), runs=50)
    count = len(clip.wells)
    table = Table("frame to scores", "ms per frame", "crops per second", "ratio")
    table.add_row("seed document's way", f"{seed_ms:.1f}", f"{1000 * count / seed_ms:,.0f}", "1.0")
    table.add_row("spillwatch", f"{ours_ms:.1f}", f"{1000 * count / ours_ms:,.0f}", f"{seed_ms / ours_ms:.1f}")
    console.print(table)


@click.command()
@click.option("--clip", type=click.Path(path_type=Path, exists=True), help="A clip with its truth beside it (.json).")
@click.option("--runs", default=5, show_default=True, help="Runs of each whole process.")
def main(clip: Path | None, runs: int) -> None:
    """Print all tables."""
    build.one_core_each()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        found = find_clip(Path(folder), clip)
        bench_replay(console, found, runs)
        with FileSource(found.video) as source:
            frame = next(iter(source))
            ours_ms = bench_stages(console, found, frame)
            bench_seed(console, found, frame, ours_ms)


if __name__ == "__main__":
    main()
