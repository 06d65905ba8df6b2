"""What a veil before the lens and too little light do to a camera: the origin of the levels of `camera_blurred`,
`camera_dark` and the weak sight that a status tells of.

    python -m tools.bench_veil [CLIP]

Pictures of a real clip with spills are blurred, fogged, lit, made noisy and coded anew. For each: how bright the bright
parts are (90th percentile of luma), the share of the table that is veiled, whether frames can be aligned, and how many
of the spilling wells' pictures stay above the model's threshold.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import click
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from spillwatch import build, truth
from spillwatch.config import ModelSettings
from spillwatch.records import Frame, Planes
from spillwatch.sources.decoding import planes_of
from spillwatch.sources.file import FileSource
from spillwatch.wells.cropping import Cropper
from spillwatch.wells.looking import Looker
from spillwatch.wells.registration import Registrar
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.records import U8

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SPILLWATCH_SHARED", ROOT.parent / "shared"))
GREY, BLACK = 150, 16
EVERY = 5  # frames of the clip


def blur(plane: U8, sigma: float) -> U8:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.uint8)


def on_luma(planes: Planes, change: Callable[[U8], U8]) -> Planes:
    return replace(planes, y=change(planes.y))


def blurred(planes: Planes, sigma: float) -> Planes:
    u, v = (blur(plane, max(sigma / 2, 0.3)) for plane in (planes.u, planes.v))
    return replace(planes, y=blur(planes.y, sigma), u=u, v=v)


def fogged(planes: Planes, share: float) -> Planes:
    y, u, v = ((p * (1 - share) + g * share).astype(np.uint8) for p, g in
               ((planes.y, GREY), (planes.u, 128), (planes.v, 128)))  # fmt: skip
    return replace(planes, y=y, u=u, v=v)


def lit(planes: Planes, gain: float) -> Planes:
    return on_luma(planes, lambda y: np.clip((y.astype(float) - BLACK) * gain + BLACK, 0, 235).astype(np.uint8))


def noisy(planes: Planes, sigma: float) -> Planes:
    rng = np.random.default_rng(1)
    return on_luma(planes, lambda y: np.clip(y + rng.normal(0, sigma, y.shape), 0, 255).astype(np.uint8))


def half_covered(planes: Planes, share: float) -> Planes:
    covered = planes.y.copy()
    covered[:, : int(planes.width * share)] = 90
    return replace(planes, y=covered)


def coded(pictures: list[Planes], **options: str) -> list[Planes]:
    """Through H.264 and back."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(25, 2), options={"preset": "veryfast", **options})
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
        for planes in pictures:
            whole = np.concatenate([np.ascontiguousarray(p).ravel() for p in (planes.y, planes.u, planes.v)])
            shape = (planes.height * 3 // 2, planes.width)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(whole.reshape(shape), format="yuv420p")))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as again:
        return [planes_of(picture) for picture in again.decode(video=0)]


@dataclass
class Bench:
    """A clip's pictures that show spills, and what judges them."""

    clip: Path

    def __post_init__(self) -> None:
        self.wells = wells_of_truth(self.clip.with_suffix(".json"), ("1L1",))
        self.judge = build.judge(ModelSettings())
        self.crop = Cropper(self.wells, self.judge.bundle.preprocessing)
        spills = truth.load(self.clip.with_suffix(".json")).spills
        self.pictures: list[Planes] = []
        self.spilling: list[list[int]] = []
        with FileSource(self.clip) as source:
            for number, frame in enumerate(source):
                now = [self.wells.ids.index(s.well) for s in spills if s.start_s + 0.5 < frame.time_s < s.end_s - 0.5]
                if number == 0:
                    self.frame = frame
                if now and number % EVERY == 0:
                    self.pictures.append(frame.planes)
                    self.spilling.append(now)
        self.first = np.ascontiguousarray(self.frame.planes.y)

    def row(self, name: str, pictures: list[Planes]) -> list[str]:
        look, align = Looker(self.wells, None), Registrar(self.wells, self.first)
        look(self.frame)
        sights, trusted, seen = [], [], []
        for number, (planes, spilling) in enumerate(zip(pictures, self.spilling, strict=True)):
            frame = Frame("bench", self.frame.at, (number + 1) * EVERY / 12.5, planes)
            sights.append(look(frame))
            alignment = align(frame)
            trusted.append(alignment.trusted)
            scores = self.judge.scorer.score(self.crop(frame, (alignment.dx, alignment.dy)))
            seen += [bool(scores[well] > self.judge.scale.threshold) for well in spilling]
        levels, shares = ([getattr(sight, what) for sight in sights] for what in ("level", "veiled"))
        level = f"{np.min(levels):.0f} .. {np.max(levels):.0f}"
        veiled = f"{np.min(shares):.2f} .. {np.max(shares):.2f}"
        return [name, level, veiled, f"{np.mean(trusted):.0%}", f"{np.mean(seen):.0%}"]


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path), default=SHARED / "clips/line_spills.mp4")
def main(clip: Path) -> None:
    """Print the table."""
    build.one_core_each()
    bench, console = Bench(clip), Console()
    table = Table("picture", "level", "veiled share", "aligned", "spills above threshold", title=f"{clip.name}")
    cases: list[tuple[str, Callable[[Planes, float], Planes], tuple[float, ...]]] = [
        ("blur, sigma {:g} px", blurred, (1, 2, 3, 4, 6, 10)),
        ("fog, {:.0%}", fogged, (0.3, 0.4, 0.5, 0.7)),
        ("cloth over {:.0%}", half_covered, (0.3, 0.5, 0.7)),
        ("light x {:g}", lit, (0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 1.5)),
        ("noise, sigma {:g}", noisy, (5,)),
    ]
    table.add_row(*bench.row("as it is", bench.pictures))
    for name, change, amounts in cases:
        for amount in amounts:
            table.add_row(*bench.row(name.format(amount), [change(planes, amount) for planes in bench.pictures]))
    for options in ({"crf": "35"}, {"crf": "45"}, {"b": "300000"}):
        named = " ".join(f"{key} {value}" for key, value in options.items())
        table.add_row(*bench.row(f"H.264, {named}", coded(bench.pictures, **options)))
    console.print(table)


if __name__ == "__main__":
    main()
