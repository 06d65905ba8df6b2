"""One table of ratios, each against its floor or peer in the same run, since machines differ. `make bench` runs this.

Whole processes run in turn, so that a machine which drifts drifts for all; their CPU seconds are medians. Durations of
single steps are the least of many: what another program adds is not ours. `docs/performance.md` keeps the history.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from rich.console import Console
from rich.table import Table

from spillwatch import build
from spillwatch.config import DetectionSettings, ModelSettings
from spillwatch.model.architecture import Architecture, layer_sizes
from spillwatch.model.network import build as make_network
from spillwatch.pictures import to_bgr
from spillwatch.sources.file import FileSource
from spillwatch.watch.obstruction import ObstructionDetector
from spillwatch.wells import wellmap
from spillwatch.wells.cropping import Cropper
from spillwatch.wells.looking import VEIL_EVERY_S, Looker
from spillwatch.wells.registration import Registrar
from spillwatch.wells.surround import Surround
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.records import U8, Frame, Wells

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SPILLWATCH_SHARED", ROOT.parent / "shared"))
LOOPS = 3  # more of the clip, so that the start is a small part, as it is of real footage

# Plain decoding by the same decoder, with the threads that sys.argv[2] says.
DECODE = """
import sys, av
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.thread_type = sys.argv[2]
    for _ in container.decode(stream):
        pass
"""


@dataclass(frozen=True)
class Clip:
    """What is measured on."""

    video: Path
    wells_file: Path
    wells: Wells


@dataclass(frozen=True)
class Row:
    """One figure beside what it is held against."""

    what: str
    figure: float
    unit: str
    peer: str
    peer_figure: float
    aim: str = ""

    def cells(self) -> tuple[str, ...]:
        mine, other = (
            f"{value:,.3g} {self.unit}" if value < 1000 else f"{value:,.0f} {self.unit}"
            for value in (self.figure, self.peer_figure)
        )
        return self.what, mine, self.peer, other, f"{self.figure / self.peer_figure:.2f}", self.aim


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


def milliseconds(work: Callable[[], object], runs: int = 300) -> float:
    """Least duration of one call."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def whole_processes(clip: Clip, folder: Path, runs: int) -> list[Row]:
    """Replay against plain decoding; starting against what starting needs."""
    ffmpeg = shutil.which("ffmpeg")
    if not ffmpeg:
        raise click.ClickException("ffmpeg is not installed (apt-get install ffmpeg)")
    loop, short = folder / "loop.mp4", folder / "short.mp4"
    copy = [ffmpeg, "-v", "error", "-y", "-stream_loop", LOOPS, "-i", clip.video, "-c", "copy"]
    cpu_seconds([*copy, loop])
    cpu_seconds([*copy, "-frames:v", 1, short])
    python = [sys.executable, "-c"]
    replay = [sys.executable, "-m", "spillwatch", "replay", "--wells", clip.wells_file, "--events", os.devnull]
    jobs = {
        "ffmpeg": [ffmpeg, "-v", "error", "-threads", "1", "-i", loop, "-f", "null", "-"],
        "replay": [*replay, loop],
        "one frame": [*replay, short],
        "frame threads": [*python, DECODE, loop, "FRAME"],
        "all threads": [*python, DECODE, loop, "AUTO"],
        "help": [sys.executable, "-m", "spillwatch", "--help"],
        "click": [*python, "import click"],
        "libraries": [*python, "import numpy, cv2, av"],
    }
    took = [{name: cpu_seconds(words) for name, words in jobs.items()} for _ in range(runs)]
    cpu = {name: median(run[name][0] for run in took) for name in jobs}
    wall = {name: min(run[name][1] for run in took) for name in jobs}
    decoded = min(wall["frame threads"], wall["all threads"])
    return [
        Row("replay, CPU", cpu["replay"], "s", "ffmpeg -threads 1, CPU", cpu["ffmpeg"], "≤ 1.5"),
        Row("  of it start-up and one frame", cpu["one frame"], "s", "ffmpeg -threads 1, CPU", cpu["ffmpeg"]),
        Row("replay, wall", wall["replay"], "s", "PyAV decoding at its best", decoded, "≤ 1.15"),
        Row("first score", 1000 * wall["one frame"], "ms", "import numpy, cv2, av", 1000 * wall["libraries"], "< 3 s"),
        Row("--help", 1000 * wall["help"], "ms", "import click", 1000 * wall["click"], "< 150 ms"),
    ]


def stages(clip: Clip, frame: Frame) -> list[Row]:
    """What a frame costs on one core, step by step."""
    judge = build.judge(ModelSettings())
    crop, surround = Cropper(clip.wells, judge.bundle.preprocessing), Surround(clip.wells)
    luma = np.ascontiguousarray(frame.planes.y)
    look, align = Looker(clip.wells, luma), Registrar(clip.wells, luma)
    detector = build.detector(len(clip.wells), judge, DetectionSettings())
    obstruction = ObstructionDetector(surround.apart, clip.wells.in_service, alarm_after_s=20)
    crops = crop(frame)
    scores = judge.scorer.score(crops)
    clock = (i / 25 for i in range(10**9))
    seldom = itertools.count(0, 2 * VEIL_EVERY_S)  # at this pace each look includes that for a veil, its dearer half
    decode_ms = decoding(clip)
    for _ in range(50):  # past the first look, in which nothing is judged
        obstruction.step(next(clock), surround(frame))
    floors = {
        "crop": ("sampling alone", milliseconds(sampling_alone(frame, crops))),
        "score": ("matrix products alone", milliseconds(products_alone(judge.bundle.architecture, len(crops)))),
    }
    work: dict[str, Callable[[], object]] = {
        "look": lambda: look(replace(frame, time_s=next(seldom))),
        "align": lambda: align(frame),
        "ring, obstruction": lambda: obstruction.step(next(clock), surround(frame)),
        "crop": lambda: crop(frame, (0.3, 0.2)),
        "score": lambda: judge.scorer.score(crops),
        "detect": lambda: detector.step(next(clock), scores),
    }
    taken = {name: milliseconds(step) for name, step in work.items()}
    rows = [Row(name, ms, "ms", *floors.get(name, ("decoding a frame", decode_ms))) for name, ms in taken.items()]
    rows.append(Row("all of these", sum(taken.values()), "ms", "decoding a frame", decode_ms))
    seed_ms, count = milliseconds(seed_path(frame, clip.wells), runs=30), len(clip.wells)
    ours_ms = taken["crop"] + taken["score"]
    peer = "seed document's way"
    return [*rows, Row("frame to scores", 1e3 * count / ours_ms, "crops/s", peer, 1e3 * count / seed_ms)]


def decoding(clip: Clip) -> float:
    """Milliseconds of CPU for one frame, by the file source."""
    start_s, frames = time.process_time(), 0
    with FileSource(clip.video) as source:
        for _ in source:
            frames += 1
    return 1000 * (time.process_time() - start_s) / frames


def sampling_alone(frame: Frame, crops: U8) -> Callable[[], object]:
    """As many bilinear samples as the crops have pixels, without margins, colours and blur."""
    planes, count = frame.planes, len(crops)
    x, y = np.meshgrid(np.linspace(300, 1500, 32 * count, dtype=np.float32), np.arange(300, 332, dtype=np.float32))
    half = (x / 2, y / 2)
    jobs = ((planes.y, (x, y)), (planes.u, half), (planes.v, half))
    return lambda: [cv2.remap(plane, *maps, cv2.INTER_LINEAR) for plane, maps in jobs]


def products_alone(architecture: Architecture, count: int) -> Callable[[], object]:
    """The network's matrix products without anything between them."""
    rng, values = np.random.default_rng(0), count * 3072
    pairs = []
    for inputs, outputs in layer_sizes(architecture):
        rows = values // inputs
        pairs.append([rng.random(shape, np.float32) for shape in ((rows, inputs), (inputs, outputs), (rows, outputs))])
        values = rows * outputs
    return lambda: [np.matmul(a, b, out=out) for a, b, out in pairs]


def seed_path(frame: Frame, wells: Wells) -> Callable[[], list[float]]:
    """The seed document's own way: each crop by itself with PIL, one batch, and each crop's error in a loop."""
    rgb = np.ascontiguousarray(to_bgr(frame.planes)[:, :, ::-1])
    lows = np.rint(wells.centres - wells.sizes / 2).astype(int)
    highs = np.rint(wells.centres + wells.sizes / 2).astype(int)
    boxes = [(int(a), int(b), int(c), int(d)) for (a, b), (c, d) in zip(lows, highs, strict=True)]
    picture, network = Image.fromarray(rgb), make_network(Architecture("seed"))

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


def machine() -> str:
    """In words, for the title."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} cores, {model}, load {os.getloadavg()[0]:.1f} before"


@click.command()
@click.option("--clip", type=click.Path(path_type=Path, exists=True), help="A clip with its truth beside it (.json).")
@click.option("--runs", default=3, show_default=True, help="Runs of each whole process.")
def main(clip: Path | None, runs: int) -> None:
    """Print the table."""
    build.one_core_each()
    torch.set_num_threads(1)
    title = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = find_clip(folder, clip)
        rows = whole_processes(found, folder, runs)
        with FileSource(found.video) as source:
            frame = next(iter(source))
            rows += stages(found, frame)
    table = Table("what", "figure", "floor or peer", "its figure", "ratio", "aim")
    table.title = f"{found.video.name} x {LOOPS + 1}, {len(found.wells)} wells; {title}"
    for row in rows:
        table.add_row(*row.cells())
    Console(width=max(110, Console().width)).print(table)


if __name__ == "__main__":
    main()
