"""How well wells are found: python -m tools.bench_locate [--views 50] [--seed 0] [--data ../shared].

Warps the real picture by random homographies and changes its brightness, then compares what is found with the truth.
The truth's rows are level, though the edges of the picture's launders fall by 6 to 8 px in 1000 from left to right; so
its outer wells are up to 3 px off, and more in an enlarged view. The column "turned" counts against a truth whose rows
follow the launders.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np
import numpy.typing as npt

from spillwatch.errors import WellsError
from spillwatch.wells.finding import find

if TYPE_CHECKING:
    from spillwatch.records import Wells

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
NEAR = 5.0  # px: a well is found within this distance of the truth
SLOPE = 0.0067  # of the launders' edges in line.png, by their strongest vertical gradients between the wells
MARGIN = 20.0  # px that the table keeps from the picture's edges


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Wells as they are: ``boxes`` (wells, 4) x, y, width, height in px; ``turned`` (wells, 2) x, y."""

    ids: tuple[str, ...]
    boxes: F64
    turned: F64


@dataclass(frozen=True, slots=True)
class Score:
    """One picture's result; ``found`` are within 5 px of the truth, ``turned`` within 5 px of
    the turned one; errors in px, ``size`` is the median of |found / true - 1| of widths and heights."""

    wells: int
    found: int
    turned: int
    false: int
    median: float
    worst: float
    size: float
    named: int
    doubtful: int
    seconds: float


def read_truth(path: Path, slope: float = 0.0) -> Truth:
    """The wells of a truth file, their rows falling by ``slope``."""
    rows = json.loads(path.read_text(encoding="utf-8"))["wells"]
    boxes = np.array([[row[key] for key in "xywh"] for row in rows], np.float64)
    fall = slope * (boxes[:, 0] - boxes[:, 0].mean())
    return Truth(tuple(row["id"] for row in rows), boxes, boxes[:, :2] + np.column_stack([0 * fall, fall]))


def random_view(bgr: U8, truth: Truth, rng: np.random.Generator) -> tuple[U8, Truth]:
    """Another look at the same table: scale 0.7..1.4, rotation ±10°, corners moved ±6 %, brightness ±40 %."""
    size = np.array(bgr.shape[1::-1], np.float64)
    low = (truth.boxes[:, :2] - truth.boxes[:, 2:]).min(axis=0)
    high = (truth.boxes[:, :2] + truth.boxes[:, 2:]).max(axis=0)
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    angle, scale = np.radians(rng.uniform(-10, 10)), rng.uniform(0.7, 1.4)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners + rng.uniform(-0.06, 0.06, (4, 2)) * (high - low)) @ turn.T
    room = np.maximum(size - 2 * MARGIN - np.ptp(moved, axis=0), 0)
    moved += MARGIN - moved.min(axis=0) + rng.uniform(0, 1, 2) * room
    view = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    seen = cv2.warpPerspective(bgr, view, bgr.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    seen = np.clip(seen.astype(np.float32) * rng.uniform(0.6, 1.4), 0, 255).astype(np.uint8)
    around = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    boxes = np.empty_like(truth.boxes)
    for box, (x, y, width, height) in zip(boxes, truth.boxes, strict=True):
        oval = np.column_stack([x + width / 2 * np.cos(around), y + height / 2 * np.sin(around)])
        oval = cv2.perspectiveTransform(np.vstack([oval, [(x, y)]]).reshape(-1, 1, 2), view).reshape(-1, 2)
        box[:] = (*oval[-1], *np.ptp(oval[:-1], axis=0))
    turned = cv2.perspectiveTransform(truth.turned.reshape(-1, 1, 2), view).reshape(-1, 2)
    return seen, Truth(truth.ids, boxes, np.asarray(turned, np.float64))


def score(bgr: U8, truth: Truth) -> Score:
    """Find the wells in a picture and compare."""
    start = time.process_time()
    try:
        found = find(bgr)
    except WellsError:
        return Score(len(truth.ids), 0, 0, 0, np.nan, np.nan, np.nan, 0, 0, time.process_time() - start)
    seconds = time.process_time() - start
    return compare(found.wells, truth, doubtful=len(found.doubtful), seconds=seconds)


def compare(wells: Wells, truth: Truth, *, doubtful: int = 0, seconds: float = 0.0) -> Score:
    """Wells against the truth: each true well with the nearest found one."""
    off = np.linalg.norm(wells.centres[None] - truth.boxes[:, None, :2], axis=2)
    closest, error = off.argmin(axis=1), off.min(axis=1)
    hit = error <= NEAR
    size = np.abs(wells.sizes[closest] / truth.boxes[:, 2:] - 1)[hit]
    named = sum(wells.ids[i] == name for i, name in zip(closest, truth.ids, strict=True))
    false = int((off.min(axis=0) > NEAR).sum())
    middle = float(np.median(size)) if len(size) else np.nan
    count = int(hit.sum())
    turned = int((np.linalg.norm(wells.centres[closest] - truth.turned, axis=1) <= NEAR).sum())
    return Score(
        len(hit), count, turned, false, float(np.median(error)), float(error.max()), middle, named, doubtful, seconds
    )


def show(name: str, result: Score) -> None:
    """One line of the table."""
    print(
        f"{name:>12} {result.found:5d}/{result.wells:<3d} {result.turned:6d} {result.false:5d} "
        f"{result.median:7.2f} {result.worst:6.2f} "
        f"{100 * result.size:6.1f} {result.named:6d} {result.doubtful:8d} {result.seconds:7.2f}",
        flush=True,
    )


@click.command()
@click.option("--views", default=50, show_default=True, help="Random views of the real picture.")
@click.option("--seed", default=0, show_default=True, help="Of the first view; the others count up.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=Path("../shared"), show_default=True)
@click.option("--also", multiple=True, type=click.Path(path_type=Path, exists=True), help="Clips with a .json truth.")
def main(views: int, seed: int, data: Path, also: tuple[Path, ...]) -> None:
    """Print a table: a row for each picture, then the worst and the mean."""
    cv2.setNumThreads(1)
    bgr = np.asarray(cv2.imread(str(data / "data/line.png")), np.uint8)
    truth = read_truth(data / "clips/line_spills.json", SLOPE)
    print("     picture     found turned false  median  worst size %  named doubtful   cpu s")
    show("line.png", score(bgr, truth))
    for clip in also:
        first = cv2.VideoCapture(str(clip)).read()[1]
        show(clip.stem, score(np.asarray(first, np.uint8), read_truth(clip.with_suffix(".json"))))
    results = []
    for number in range(seed, seed + views):
        results.append(score(*random_view(bgr, truth, np.random.default_rng(number))))
        show(f"view {number}", results[-1])
    if results:
        summarise(results)


def summarise(results: list[Score]) -> None:
    """The worst and the mean of all views."""
    for what in ("found", "turned", "false", "named"):
        values = np.array([getattr(result, what) for result in results])
        print(f"{what:>8}: {values.min()} to {values.max()}, mean {values.mean():.2f} of {results[0].wells}")
    whole = sum(result.named == result.wells for result in results)
    print(f"every well named right in {whole} of {len(results)} views; worst error "
          f"{np.nanmax([result.worst for result in results]):.1f} px; "
          f"{np.mean([result.seconds for result in results]):.1f} s each")  # fmt: skip


if __name__ == "__main__":
    main()
