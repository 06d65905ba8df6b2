"""How well frames are aligned: python -m tools.bench_registration [--video CLIP --wells W.toml].

The first frame of a clip is moved by known amounts, disturbed, and aligned to itself. Everything follows from the seed.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from spillwatch.sources.file import FileSource
from spillwatch.wells import wellmap
from spillwatch.wells.registration import Registrar
from tools.bench import Clip, find_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spillwatch.records import F64, U8, Frame, Wells

    Disturb = Callable[[U8, "Bench"], U8]

WRONG_PX = 3.0  # a well so far off its place is scored wrongly


@dataclass
class Bench:
    """A frame, its wells and the dice."""

    frame: Frame
    wells: Wells
    rng: np.random.Generator

    def take(self, move: tuple[float, float], *, turn_deg: float = 0.0, zoom: float = 1.0) -> tuple[U8, F64]:
        """(H, W) uint8 luma of the scene from a moved camera, and (wells, 2) where its wells are then."""
        x, y = (float(v) for v in self.wells.centres.mean(axis=0))
        matrix = cv2.getRotationMatrix2D((x, y), turn_deg, zoom)
        matrix[:, 2] += np.array(move)
        luma = self.frame.planes.y
        size = (luma.shape[1], luma.shape[0])
        moved = cv2.warpAffine(luma, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(moved, np.uint8), self.wells.centres @ matrix[:, :2].T + matrix[:, 2]

    def noisy(self, luma: U8, sigma: float = 4.0) -> U8:
        """With the noise of a sensor."""
        grain = self.rng.standard_normal(luma.shape, np.float32) * sigma
        return np.clip(luma + grain, 0, 255).astype(np.uint8)

    def table(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the wells."""
        (left, top), (right, bottom) = self.wells.centres.min(axis=0), self.wells.centres.max(axis=0)
        return int(left), int(top), int(right), int(bottom)


def scaled(gain: float) -> Disturb:
    """Other light."""
    return lambda luma, _bench: np.clip(luma * np.float32(gain), 0, 255).astype(np.uint8)


def person(luma: U8, bench: Bench) -> U8:
    """Somebody who hides 15 % of the table, dressed in stripes, standing anywhere on it."""
    left, top, right, bottom = bench.table()
    width = int(0.15 * (right - left) * 1.3)
    x, y = int(bench.rng.integers(left, right - width)), int(bench.rng.integers(top - 80, top + 80))
    luma[max(0, y) : y + (bottom - top), x : x + width] = 40
    for stripe in range(max(0, y), y + bottom - top, 50):
        luma[stripe : stripe + 12, x : x + width] = 190
    return luma


def steam(luma: U8, bench: Bench) -> U8:
    """Clouds that take up to 70 % of the contrast."""
    height, width = luma.shape
    small = bench.rng.standard_normal((6, 10)).astype(np.float32)
    alpha = np.clip(0.35 + 0.25 * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 0.7)
    return np.asarray(luma * (1 - alpha) + 170 * alpha).astype(np.uint8)


def spills(luma: U8, bench: Bench) -> U8:
    """Every well filled with another's dross, and ten of them glittering."""
    side = [int(v) // 2 for v in bench.wells.sizes.min(axis=0)]
    boxes = [
        np.s_[int(y) - side[1] : int(y) + side[1], int(x) - side[0] : int(x) + side[0]] for x, y in bench.wells.centres
    ]
    before = luma.copy()
    for box, other in zip(boxes, bench.rng.permutation(len(boxes)), strict=True):
        luma[box] = before[boxes[other]]
    for well in bench.rng.choice(len(boxes), 10):
        luma[boxes[well]] = bench.rng.integers(0, 255, luma[boxes[well]].shape)
    return luma


def smeared(luma: U8, _bench: Bench) -> U8:
    """A shake of 9 px within one exposure."""
    return np.asarray(cv2.blur(luma, (9, 1)), np.uint8)


def coded(luma: U8, _bench: Bench) -> U8:
    """Blocks and ringing of a starved coder."""
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], 0), np.uint8)


def clear(luma: U8, _bench: Bench) -> U8:
    """Nothing."""
    return luma


DISTURBANCES: dict[str, Disturb] = {
    "noise alone": clear,
    "light × 0.6": scaled(0.6),
    "light × 1.4": scaled(1.4),
    "person over 15 %": person,
    "steam": steam,
    "wells change, 10 spill": spills,
    "smeared by 9 px": smeared,
    "coder starved": coded,
    "dark (× 0.03)": scaled(0.03),
    "saturated (× 4)": scaled(4.0),
}
MOVES = {"≤ 3 px": (0.0, 3.0), "≤ 5 % of the width": (3.0, 96.0), "beyond, 6.5 to 15 %": (125.0, 288.0)}
TURNS = {
    "turn 0.1°": (0.1, 1.0),
    "turn 0.2°": (0.2, 1.0),
    "turn 0.5°": (0.5, 1.0),
    "zoom 0.3 %": (0, 1.003),
    "zoom 1 %": (0, 1.01),
}


def moves(bench: Bench, low: float, high: float, count: int) -> Iterator[tuple[float, float]]:
    """Random moves of random lengths, in pixels of a 1920 frame."""
    scale = bench.frame.planes.width / 1920
    for length, angle in zip(bench.rng.uniform(low, high, count), bench.rng.uniform(0, 2 * np.pi, count), strict=True):
        yield float(length * scale * np.cos(angle)), float(length * scale * np.sin(angle))


def measure(
    bench: Bench, disturb: Disturb, tries: list[tuple[float, float]], *, turn_deg: float = 0.0, zoom: float = 1.0
) -> list[str]:
    """Cells of a row: how often trusted, errors of what is trusted, how often trusted and wrong."""
    worst, middle = [], []
    registrar = Registrar(bench.wells, bench.noisy(bench.frame.planes.y))
    for i, move in enumerate(tries):
        registrar(replace(bench.frame, time_s=2.0 * i))
        luma, centres = bench.take(move, turn_deg=turn_deg, zoom=zoom)
        planes = replace(bench.frame.planes, y=bench.noisy(disturb(luma, bench)))
        found = registrar(replace(bench.frame, planes=planes, time_s=2.0 * i + 1.0))
        if found.trusted:
            off = bench.wells.centres + np.array([found.dx, found.dy]) - centres
            worst.append(float(np.hypot(*off.T).max()))
            middle.append(float(np.hypot(*off.mean(axis=0))))
    share = f"{len(worst)} of {len(tries)}"
    if not worst:
        return [share, "", "", "", "0"]
    rms = np.sqrt(np.mean(np.square(middle)))
    figures = [rms, *np.percentile(middle, [95, 100])]
    return [share, *(f"{v:.3f}" for v in figures), str(int((np.array(worst) > WRONG_PX).sum()))]


def bench_accuracy(console: Console, bench: Bench, count: int) -> None:
    """One frame after a clean one in place, for each kind of move and disturbance."""
    table = Table(
        "move",
        "disturbance",
        "trusted",
        "rms px",
        "p95 px",
        "max px",
        "trusted and wrong",
        title="one frame after the move",
    )
    for span, (low, high) in MOVES.items():
        for name, disturb in DISTURBANCES.items():
            table.add_row(span, name, *measure(bench, disturb, list(moves(bench, low, high, count))))
    for name, (turn_deg, zoom) in TURNS.items():
        table.add_row(
            "≤ 3 px", name, *measure(bench, clear, list(moves(bench, 0, 3, count)), turn_deg=turn_deg, zoom=zoom)
        )
    console.print(table)


def bench_speed(console: Console, clip: Clip, frames: int) -> None:
    """Beside the decoder, as it runs: what it decodes pushes everything else out of the caches."""
    registrar, taken, responses, untrusted = Registrar(clip.wells, None), [], [], 0
    with FileSource(clip.video) as source:
        for frame in islice(source, frames):
            start = time.thread_time()
            found = registrar(frame)
            taken.append(1000 * (time.thread_time() - start))
            responses.append(found.response)
            untrusted += not found.trusted
    low, mid, high = np.percentile(taken[2:], [5, 50, 99])
    console.print(
        f"{clip.video.name}, {len(taken)} frames: {mid:.2f} ms CPU per frame (median; 5 % {low:.2f}, 99 % {high:.2f}), "
        f"{taken[0]:.0f} ms once for the reference; {untrusted} untrusted, least response {min(responses):.2f}"
    )
    tracker = Registrar(clip.wells, None)
    tracker(frame)
    start = time.thread_time()
    for i in range(200):
        tracker(replace(frame, time_s=frame.time_s + i))
    console.print(f"one frame again and again: {1000 * (time.thread_time() - start) / 200:.2f} ms")


@click.command()
@click.option(
    "--video", type=click.Path(path_type=Path, exists=True), help="Default: a real clip, else a simulated one."
)
@click.option("--wells", type=click.Path(path_type=Path, exists=True), help="The video's wells file.")
@click.option("--count", default=40, show_default=True, help="Moves of each kind.")
@click.option("--frames", default=150, show_default=True, help="Frames timed.")
@click.option("--seed", default=0, show_default=True)
def main(video: Path | None, wells: Path | None, count: int, frames: int, seed: int) -> None:
    """Print tables of errors and milliseconds."""
    cv2.setNumThreads(1)
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        clip = Clip(video, wells, wellmap.load(wells)) if video and wells else find_clip(Path(folder), video)
        bench_speed(console, clip, frames)
        with FileSource(clip.video) as source:
            frame = next(iter(source))
        bench_accuracy(console, Bench(frame, clip.wells, np.random.default_rng(seed)), count)


if __name__ == "__main__":
    main()
