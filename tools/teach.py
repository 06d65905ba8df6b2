"""What a model learns from a few alarms that the crew marked false, and what it forgets.

    python -m tools.teach ../shared/data/wells --alarms 5

Things that no model here has seen are drawn onto normal wells of ``train/``: spatter, a wire net, a flame. An alarm is
one well with up to 16 pictures that the bundled model takes for a spill. Some alarms are taught by ``train --extend``;
others, of other wells, and the folder's test crops are measured before and after.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import structlog

from spillwatch.model import bundle as bundles
from spillwatch.model import training
from spillwatch.model.dataset import preprocess
from spillwatch.model.evaluation import evaluate, score_all
from spillwatch.model.scoring import Scorer
from spillwatch.records import U8, Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spillwatch.model.bundle import Bundle

    Draw = Callable[[U8, np.random.Generator], U8]

CROPS = 16
OTHERS = 60  # alarms to measure on


def spatter(picture: U8, rng: np.random.Generator) -> U8:
    """Bright drops over the well: the hardest, for a pour sparkles too."""
    out, (height, width) = picture.copy(), picture.shape[:2]
    for _ in range(rng.integers(6, 18)):
        place = (int(rng.normal(width / 2, width / 5)), int(rng.normal(height / 2, height / 5)))
        cv2.circle(out, place, 1, (255, 230, 150), -1, cv2.LINE_AA)
    return out


def net(picture: U8, rng: np.random.Generator) -> U8:
    """A wire net before part of the well."""
    drawn, (height, width) = picture.copy(), picture.shape[:2]
    mesh, offset = int(rng.integers(4, 7)), int(rng.integers(0, 4))
    for at in range(-height + offset, width, mesh):
        cv2.line(drawn, (at, 0), (at + height, height), (220, 220, 220), 1, cv2.LINE_AA)
        cv2.line(drawn, (at + height, 0), (at, height), (220, 220, 220), 1, cv2.LINE_AA)
    corners = rng.normal([width / 2, height / 2], [width * 0.3, height * 0.35], (6, 2)).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros((height, width), np.float32), cv2.convexHull(corners), 1.0)
    soft = np.asarray(cv2.GaussianBlur(mask, (3, 3), 0.7))[..., None]
    return np.asarray(picture * (1 - soft) + drawn * soft, np.uint8)


def flame(picture: U8, rng: np.random.Generator) -> U8:
    """A gas flame over the well."""
    height, width = picture.shape[:2]
    cloud = np.asarray(cv2.resize(rng.random((6, 9)), (width, height), interpolation=cv2.INTER_CUBIC))
    y, x = np.mgrid[:height, :width]
    round_ = np.exp(-(((x - width / 2) / (width * 0.3)) ** 2) - ((y - height / 2) / (height * 0.4)) ** 2)
    glow = (round_ * np.clip(cloud * 1.5 - 0.2, 0, 1))[..., None] * np.array([255.0, 150.0, 40.0])
    return np.asarray(np.clip(picture + glow, 0, 255), np.uint8)


def alarms(wells: list[U8], draw: Draw, model: Bundle, rng: np.random.Generator) -> Iterator[list[U8]]:
    """Pictures of wells that this model takes for spills, well by well, without end."""
    scorer = Scorer(model, "cpu")
    while True:
        well = wells[rng.integers(len(wells))]
        drawn = [draw(well, rng) for _ in range(4 * CROPS)]
        scores = score_all(scorer, np.stack([preprocess(picture, model.preprocessing) for picture in drawn]))
        if found := [picture for picture, score in zip(drawn, scores, strict=True) if score > model.threshold]:
            yield found[:CROPS]


def false_share(model: Bundle, shown: list[U8]) -> float:
    """Of these pictures, how many the model takes for spills."""
    crops = np.stack([preprocess(picture, Preprocessing()) for picture in shown])
    return float((score_all(Scorer(model, "cpu"), crops) > model.threshold).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--alarms", type=int, default=5, help="alarms that are taught")
    parser.add_argument("--things", nargs="+", default=["net", "flame", "spatter"], help="'pour': spills marked false")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    before = bundles.load(bundles.default_path())
    print(json.dumps({"model": "bundled", **_measured(before, said.data)}))
    for thing in said.things:
        print(json.dumps(_taught(before, said, thing)), flush=True)


def _taught(before: Bundle, said: argparse.Namespace, thing: str) -> dict[str, Any]:
    """Alarms of one thing, marked false: what a model makes of others like them, and of the test crops."""
    if thing == "pour":
        pours = _pictures(said.data / "proliv", 1)
        taught, others = [pours[at * CROPS : (at + 1) * CROPS] for at in range(said.alarms)], []
    else:
        found = alarms(_pictures(said.data / "train", 20), globals()[thing], before, np.random.default_rng(said.seed))
        taught, others = ([next(found) for _ in range(count)] for count in (said.alarms, OTHERS))
    with TemporaryDirectory() as folder:
        to = Path(folder) / "normal"
        to.mkdir()
        for number, crops in enumerate(taught):
            for index, crop in enumerate(crops):
                path = to / f"cam~{number}~spill~202611240{number:05}~{index:02}.png"
                cv2.imwrite(str(path), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
        wall_s, cpu_s = perf_counter(), process_time()
        after = training.train(said.data, preset="default", seed=said.seed, extend=Path(folder)).bundle
        wall_s, cpu_s = perf_counter() - wall_s, process_time() - cpu_s
    figures: dict[str, Any] = {"thing": thing, "taught": sum(map(len, taught)), "of_alarms": len(taught)}
    if shown := [picture for crops in others for picture in crops]:
        figures |= {"still_false": round(false_share(after, shown), 4), "of": len(shown)}
    return figures | {"wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1)} | _measured(after, said.data)


def _pictures(folder: Path, every: int) -> list[U8]:
    paths = sorted(folder.iterdir())[::every]
    return [np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8) for path in paths]


def _measured(model: Bundle, data: Path) -> dict[str, float]:
    """On the folder's test crops, which nothing was chosen by."""
    result = evaluate(model, data)
    return {"auroc": round(result.auroc, 5), "missed": result.missed, "false_alarms": result.false_alarms}


if __name__ == "__main__":
    main()
