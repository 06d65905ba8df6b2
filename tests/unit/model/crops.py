"""Small synthetic wells: green ovals are normal, noisy bright ones are pours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8


def well(seed: int, *, spill: bool) -> U8:
    """(28, 48, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    picture = np.full((28, 48, 3), (105, 135, 115), np.uint8)
    colour = rng.integers(90, 130, 3).tolist()
    cv2.ellipse(picture, (24, 14), (int(rng.integers(18, 23)), 11), 0, 0, 360, colour, -1)
    if spill:
        picture[6:24, 14:34] = rng.integers(0, 256, (18, 20, 3))
    noise = rng.normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def write(folder: Path, seeds: range, *, spill: bool = False) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed:04d}.png" for seed in seeds]
    for path, seed in zip(paths, seeds, strict=True):
        cv2.imwrite(str(path), cv2.cvtColor(well(seed, spill=spill), cv2.COLOR_RGB2BGR))
    return paths


def write_data(folder: Path, *, normal: int = 60, spill: int = 12) -> Path:
    write(folder / "train", range(normal))
    write(folder / "proliv", range(1000, 1000 + spill), spill=True)
    return folder


def write_test(folder: Path, *, normal: int = 20, spill: int = 6) -> None:
    images = folder / "test" / "imgs"
    labelled = [(path, 0) for path in write(images, range(2000, 2000 + normal))]
    labelled += [(path, 1) for path in write(images, range(3000, 3000 + spill), spill=True)]
    lines = "".join(f"{path.name} {label}\n" for path, label in labelled)
    (folder / "test" / "test_annotation.txt").write_text(lines)
