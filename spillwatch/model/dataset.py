"""Folders of well crops as arrays: read, made equal in size, exact repeats dropped.

``DIR/train`` (or ``normal``) and ``DIR/proliv`` (or ``spill``) hold one image per crop; ``DIR/test`` is optional and
holds ``imgs/`` and ``test_annotation.txt`` with ``name label`` lines, 1 for a spill.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import structlog

from spillwatch import inputs
from spillwatch.errors import ModelError
from spillwatch.records import U8, Bools, Preprocessing

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

_MOST_ANNOTATION = 64 * inputs.MIB  # a million crops
IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True, eq=False)
class Dataset:
    """Crops to learn from, in the order of their file names, without exact repeats.

    ``normal`` and ``spill`` are (crops, height, width, 3) uint8 RGB, resized and blurred but not yet centre-cropped,
    so that training may shift its window. ``normal_counts`` says how often each is in the folder. ``digest``
    names the pixels; ``unreadable`` and ``repeats`` count the files left out.
    """

    normal: U8
    spill: U8
    normal_counts: npt.NDArray[np.int64]
    preprocessing: Preprocessing
    digest: str
    unreadable: int
    repeats: int


@dataclass(frozen=True, eq=False)
class Labelled:
    """Crops to measure on: (crops, size, size, 3) uint8 RGB and (crops,) bool, True for a spill."""

    crops: U8
    spill: Bools
    source: str
    digest: str
    unreadable: int


def preprocess(rgb: U8, p: Preprocessing) -> U8:
    """One well's (H, W, 3) uint8 RGB crop as the network's (size, size, 3) input."""
    return centre(wide(rgb, p), p.size)


def wide(rgb: U8, p: Preprocessing) -> U8:
    """Resized and blurred, (height, width, 3); the blur sees the whole crop, so that the middle has no edges."""
    resized = cv2.resize(rgb, (p.width, p.height), interpolation=cv2.INTER_LINEAR)
    if p.blur_sigma > 0:
        kernel = (p.blur_kernel, p.blur_kernel)
        resized = cv2.GaussianBlur(resized, kernel, p.blur_sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(resized, np.uint8)


def centre(pictures: U8, size: int) -> U8:
    """The middle ``size`` square of (..., H, W, 3) pictures."""
    top, left = ((side - size) // 2 for side in pictures.shape[-3:-1])
    return pictures[..., top : top + size, left : left + size, :]


def load_folder(folder: Path, *, preprocessing: Preprocessing | None = None) -> Dataset:
    """The normal and spill crops of a training folder; ModelError where there are none."""
    p = preprocessing or Preprocessing()
    digests, pictures, all_counts, unreadable, repeats = [], [], [], 0, 0
    for names, what in ((("train", "normal"), "normal"), (("proliv", "spill"), "spill")):
        paths = _images(folder, names, what)
        crops = [read_crop(path, p) for path in paths]
        kept, counts = _unique([crop for crop in crops if crop is not None])
        if not kept:
            raise ModelError(f"no image of {len(paths)} in {paths[0].parent} can be read; put {what} crops there")
        unreadable += sum(crop is None for crop in crops)
        repeats += sum(crop is not None for crop in crops) - len(kept)
        pictures.append(np.stack(kept))
        all_counts.append(np.array(counts))
        digests.append(_digest(pictures[-1]))
    log.info(
        "dataset.loaded",
        folder=str(folder),
        normal=len(pictures[0]),
        spill=len(pictures[1]),
        repeats=repeats,
        unreadable=unreadable,
    )
    return Dataset(
        normal=pictures[0],
        spill=pictures[1],
        normal_counts=all_counts[0],
        preprocessing=p,
        digest=hashlib.sha256("".join(digests).encode()).hexdigest(),
        unreadable=unreadable,
        repeats=repeats,
    )


def load_labelled(folder: Path, p: Preprocessing) -> Labelled:
    """The crops that ``evaluate`` measures on: ``folder/test`` if it is there, else all training crops."""
    annotation = folder / "test" / "test_annotation.txt"
    if annotation.is_file():
        return _load_test(annotation, p)
    data = load_folder(folder, preprocessing=p)
    crops = np.concatenate([data.normal, data.spill])
    labels = np.repeat([False, True], [len(data.normal), len(data.spill)])
    return Labelled(centre(crops, p.size), labels, "normal and spill crops", data.digest, data.unreadable)


def _load_test(annotation: Path, p: Preprocessing) -> Labelled:
    labels: dict[str, bool] = {}
    what = f"annotation {annotation}"
    try:
        content = inputs.read(annotation, what="annotation", error=ModelError, most=_MOST_ANNOTATION, trusted=False)
    except OSError as exc:
        raise ModelError(f"{what} cannot be read: {exc.strerror}") from exc
    for number, line in enumerate(inputs.text(content, what=what, error=ModelError).splitlines(), start=1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or label not in {"0", "1"}:
            raise ModelError(f"{annotation}, line {number}: {line!r} is not 'name 0' or 'name 1'")
        labels[name] = label == "1"
    crops = [read_crop(annotation.parent / "imgs" / name, p) for name in labels]
    rows = [(crop, label) for crop, label in zip(crops, labels.values(), strict=True) if crop is not None]
    kept = np.array([label for _, label in rows], bool)
    if not kept.any() or kept.all():
        raise ModelError(f"{annotation} must name readable crops of both kinds (0 and 1) in {annotation.parent}/imgs")
    stacked = np.stack([crop for crop, _ in rows])
    return Labelled(centre(stacked, p.size), kept, "test", _digest(stacked), len(labels) - len(rows))


def _images(folder: Path, names: tuple[str, ...], what: str) -> list[Path]:
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder; name one with train/ or normal/ and proliv/ or spill/ in it")
    for name in names:
        if (folder / name).is_dir():
            paths = sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in IMAGES)
            if paths:
                return paths
    wanted = " or ".join(f"{folder / name}/" for name in names)
    raise ModelError(f"{folder} holds no {what} crops; put them as JPEG or PNG images into {wanted}")


def read_crop(path: Path, p: Preprocessing) -> U8 | None:
    """A wide crop, None where it cannot be read; so small a file is read sooner than it is handed to a thread."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    except (OSError, cv2.error) as exc:
        log.warning("dataset.unreadable", path=str(path), reason=str(exc))
        return None
    if picture is None:
        log.warning("dataset.unreadable", path=str(path), reason="not an image")
        return None
    return wide(np.asarray(picture, np.uint8), p)


def _unique(crops: list[U8]) -> tuple[list[U8], list[int]]:
    """Exact repeats would leak from training into validation: the first of each stays, with its count."""
    counts = Counter(crop.tobytes() for crop in crops)
    first = {crop.tobytes(): crop for crop in reversed(crops)}
    return [first[key] for key in counts], list(counts.values())


def _digest(crops: U8) -> str:
    return hashlib.sha256(np.ascontiguousarray(crops).data).hexdigest()
