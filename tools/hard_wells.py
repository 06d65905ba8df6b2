"""Trains models and measures them on harder wells than a folder holds, made of held-out crops and of one real frame.

python -m tools.hard_wells ../shared/data/wells --frame ../shared/data/line.png --truth ../shared/clips/line_normal.json

What stands before wells here is drawn by OpenCV as folded polygons, which training never draws, and empty and
misplaced wells are the frame's own, none of which was trained on. Choices between variants of a model are made on these
sets, never on test crops.
"""

from __future__ import annotations

import argparse
import logging
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import cv2
import numpy as np
import structlog
from sklearn.metrics import roc_auc_score
from torch import Generator

from spillwatch.model import training
from spillwatch.model.dataset import centre, load_folder, wide
from spillwatch.model.evaluation import score_all
from spillwatch.model.fitting import split
from spillwatch.model.scoring import Scorer
from spillwatch.records import F32, U8, Preprocessing
from spillwatch.truth import wells_of_truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.model.training import TrainResult

    Draw = Callable[[], F32]

SIDE, WIDE, HIGH = 32, 48, 32
EMPTY = ("3U1", "3U2")  # wells of the frame that are drained
LEFT_OUT = (*EMPTY, "1L1", "3L1", "3L2", "3L11")  # and those that are no normal wells either
COLOURS = ((200, 95, 40), (105, 75, 60), (70, 80, 85), (190, 195, 195), (45, 45, 50), (140, 150, 150))
EACH = 600  # pictures of a kind


@dataclass
class Studio:
    """Draws hard wells; pictures are (32, 48, 3) float32 RGB in 0..1."""

    rng: np.random.Generator

    def lit(self, picture: F32) -> U8:
        """Another light and place, cut to the network's window."""
        angle = self.rng.uniform(-2, 2)
        matrix = cv2.getRotationMatrix2D((WIDE / 2, HIGH / 2), angle, self.rng.uniform(0.92, 1.08))
        matrix[:, 2] += self.rng.uniform(-2, 2, 2)
        moved = cv2.warpAffine(picture, matrix, (WIDE, HIGH), borderMode=cv2.BORDER_REFLECT_101)
        gain = np.exp(self.rng.uniform(-0.22, 0.22)) * np.exp(self.rng.uniform(-0.04, 0.04, 3))
        noisy = moved * gain + self.rng.normal(0, 0.006, moved.shape)
        return centre((noisy.clip(0, 1) * 255).round().astype(np.uint8), SIDE)

    def cover(self) -> tuple[F32, F32]:
        """A folded polygon from the edge inwards: its picture, and (32, 48) how much it hides."""
        corners = int(self.rng.integers(4, 9))
        around = np.sort(self.rng.uniform(0, 2 * math.pi, corners))
        reach = self.rng.uniform(0.55, 1.25, corners) * self.rng.uniform(8, 26)
        where = self.rng.uniform(0, 2 * math.pi)
        away = self.rng.uniform(0.15, 1.1)
        middle = np.array([WIDE / 2 + away * 22 * math.cos(where), HIGH / 2 + away * 18 * math.sin(where)])
        points = middle + np.stack([np.cos(around), np.sin(around)], 1) * reach[:, None]
        mask = np.zeros((HIGH * 4, WIDE * 4), np.uint8)
        cv2.fillPoly(mask, [(points * 4).astype(np.int32)], 255)
        alpha = cv2.resize(mask, (WIDE, HIGH), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        alpha = cv2.GaussianBlur(alpha, (0, 0), self.rng.uniform(0.5, 1.5))
        colour = np.array(COLOURS[self.rng.integers(len(COLOURS))], np.float32) / 255 * self.rng.uniform(0.6, 1.2)
        y, x = np.mgrid[:HIGH, :WIDE].astype(np.float32)
        turn = self.rng.uniform(0, 2 * math.pi)
        along = np.cos(turn) * x + np.sin(turn) * y
        folds = np.sin(along * self.rng.uniform(0.2, 1.2) + self.rng.uniform(0, 6)) * self.rng.uniform(0, 0.35)
        rough = cv2.GaussianBlur(self.rng.normal(0, 0.25, (HIGH, WIDE)).astype(np.float32), (0, 0), 1.5)
        return colour * (1 + folds + rough)[..., None], alpha.astype(np.float32)

    def behind(self, picture: F32, *, seen: tuple[float, float]) -> F32:
        """Behind one polygon that leaves ``seen`` of the middle oval in sight."""
        y, x = np.mgrid[:HIGH, :WIDE]
        oval = (((x - 23.5) / 13) ** 2 + ((y - 15.5) / 10) ** 2) < 1
        while True:
            thing, alpha = self.cover()
            if seen[0] <= (1 - alpha)[oval].mean() <= seen[1]:
                return np.asarray(picture + (thing - picture) * alpha[..., None], np.float32)

    def fogged(self, picture: F32) -> F32:
        grey = np.float32(self.rng.uniform(0.35, 0.75)) * np.array([0.97, 1.0, 1.0], np.float32)
        y, x = np.mgrid[:HIGH, :WIDE].astype(np.float32)
        slope = self.rng.uniform(-0.2, 0.2) * (x / WIDE - 0.5) + self.rng.uniform(-0.2, 0.2) * (y / HIGH - 0.5)
        thick = np.clip(self.rng.uniform(0.3, 1.0) + slope, 0, 1)[..., None]
        return np.asarray(picture + (grey - picture) * thick, np.float32)

    def set_in(self, picture: F32, pour: F32) -> F32:
        """A pour's middle in another well."""
        y, x = np.mgrid[:HIGH, :WIDE].astype(np.float32)
        rx, ry = self.rng.uniform(9, 15), self.rng.uniform(9, 14)
        dx, dy = x - 23.5 - self.rng.uniform(-3, 3), y - 16 - self.rng.uniform(-3, 3)
        away = np.sqrt((dx / rx) ** 2 + (dy / ry) ** 2)
        alpha = 1 / (1 + np.exp((away - 1) * 6))[..., None]
        light = (picture.mean((0, 1)) / pour.mean((0, 1))) ** self.rng.uniform(0, 1)
        return np.asarray(picture + (pour * light - picture) * alpha, np.float32)


@dataclass(frozen=True)
class Frame:
    """One real frame with its wells: ``boxes`` (wells, 4) x, y, width, height, by id."""

    rgb: U8
    boxes: dict[str, tuple[float, float, float, float]]

    def crop(self, well: str, *, off: tuple[float, float] = (0, 0), scale: float = 1.0) -> F32:
        x, y, width, height = self.boxes[well]
        size = (round(width * scale), round(height * scale))
        patch = cv2.getRectSubPix(self.rgb, size, (x + off[0] * width, y + off[1] * height))
        return wide(np.asarray(patch, np.uint8), Preprocessing()).astype(np.float32) / 255


def open_frame(picture: Path, truth: Path) -> Frame:
    rgb = np.asarray(cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB), np.uint8)
    wells = wells_of_truth(truth)
    rows = zip(wells.ids, wells.centres, wells.sizes, strict=True)
    return Frame(rgb, {name: (float(c[0]), float(c[1]), float(s[0]), float(s[1])) for name, c, s in rows})


def hard_wells(normal: U8, spill: U8, frame: Frame, *, seed: int = 0) -> tuple[dict[str, U8], dict[str, U8]]:
    """Kinds of normal wells and kinds of spills, each (crops, 32, 32, 3) uint8, from held-out crops and the frame."""
    rng = np.random.default_rng(seed)
    studio = Studio(rng)
    wells, pours = (crops.astype(np.float32) / 255 for crops in (normal, spill))
    usual = [name for name in frame.boxes if name not in LEFT_OUT]

    def well() -> F32:
        return np.asarray(wells[rng.integers(len(wells))])

    def pour() -> F32:
        picture = pours[rng.integers(len(pours))]
        return np.asarray(picture[::-1] if rng.random() < 0.5 else picture)

    def empty() -> F32:
        name = EMPTY[rng.integers(len(EMPTY))]
        off = (rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06))
        picture = frame.crop(name, off=off, scale=rng.uniform(0.92, 1.1))
        return np.asarray(picture[:, ::-1] if rng.random() < 0.5 else picture)

    def misplaced() -> F32:
        turn, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.55)
        return frame.crop(usual[rng.integers(len(usual))], off=(far * math.cos(turn), far * math.sin(turn)))

    normals = {
        "video": well,
        "deep": lambda: studio.behind(well(), seen=(0.1, 0.7)),
        "line": lambda: frame.crop(usual[rng.integers(len(usual))]),
        "line, deep": lambda: studio.behind(frame.crop(usual[rng.integers(len(usual))]), seen=(0.1, 0.7)),
        "misplaced": misplaced,
        "fog": lambda: studio.fogged(well()),
    }
    kinds = {"pour": pour, "set-in": lambda: studio.set_in(well(), pour()), "drained": empty}
    spills = kinds | {f"hidden {name}": partial(_hidden, studio, draw) for name, draw in kinds.items()}
    return _drawn(studio, normals), _drawn(studio, spills)


def _hidden(studio: Studio, draw: Draw) -> F32:
    return studio.behind(draw(), seen=(0.35, 0.5))


def _drawn(studio: Studio, kinds: dict[str, Draw]) -> dict[str, U8]:
    return {name: np.stack([studio.lit(draw()) for _ in range(EACH)]) for name, draw in kinds.items()}


def row(seed: int, result: TrainResult, sets: tuple[dict[str, U8], dict[str, U8]], cpu_s: float) -> str:
    """AUROC of each kind of spill against all normal wells, and what the threshold makes of them."""
    scorer = Scorer(result.bundle, "cpu")
    normals, spills = ({name: score_all(scorer, crops) for name, crops in kinds.items()} for kinds in sets)
    quiet, loud = np.concatenate(list(normals.values())), np.concatenate(list(spills.values()))

    def auroc(normal: F32, spill: F32) -> float:
        return float(roc_auc_score(np.repeat([0, 1], [len(normal), len(spill)]), np.concatenate([normal, spill])))

    areas = [auroc(quiet, scores) for scores in spills.values()]
    threshold = result.bundle.threshold
    figures = [np.mean(areas), *areas, auroc(normals["misplaced"], loud)]
    shares = [np.mean(quiet <= threshold), np.mean(loud > threshold), np.mean(loud > np.quantile(quiet, 0.99))]
    cells = [f"{value:.5f}" for value in figures] + [f"{value:.3f}" for value in shares]
    return f"| {seed} | " + " | ".join(cells) + f" | {cpu_s:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train/ and proliv/")
    parser.add_argument("--frame", type=Path, required=True, help="a real frame")
    parser.add_argument("--truth", type=Path, required=True, help="a truth file that places its wells")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (default 5)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    dataset, frame = load_folder(options.data), open_frame(options.frame, options.truth)
    names = ["pour", "set-in", "drained"]
    heads = ["seed", "mean", *names, *(f"hidden {name}" for name in names), "misplaced"]
    heads += ["TNR", "TPR", "TPR at TNR 0.99", "train, CPU s"]
    print("| " + " | ".join(heads) + " |\n|" + "---:|" * len(heads))
    for seed in range(options.seeds):
        started = process_time()
        result = training.train(options.data, preset="default", seed=seed)
        cpu_s = process_time() - started
        (_, normal), (_, spill) = split(dataset, Generator().manual_seed(seed))
        wells, pours = (np.asarray(crops.permute(0, 2, 3, 1), np.uint8) for crops in (normal, spill))
        print(row(seed, result, hard_wells(wells, pours, frame, seed=seed), cpu_s), flush=True)


if __name__ == "__main__":
    main()
