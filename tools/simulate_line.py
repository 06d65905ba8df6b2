"""Draws a casting line that never was: a video with its wells file and the truth about its spills.

Everything is computed from the seed; no photograph, texture or other outside data is used.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import click
import cv2
import numpy as np
import numpy.typing as npt
import tomlkit
from line.layout import Layout, draw_layout
from line.lens import Lens
from line.moving import Camera, Person, SpillPainter, Steam
from line.plan import Plan, Wish, draw_plan
from line.scene import paint_keys
from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator

U8 = npt.NDArray[np.uint8]

KEY_S = 4.0  # the dross creeps from one painted state to the next in this time
BRIGHTER = 1.25  # the lighting step
DARK_GAIN = 0.03


class Line:
    """One simulated line: its layout, its story, and its frames in order."""

    def __init__(self, wish: Wish) -> None:
        # A stream of its own for each part: more spills or faults leave the table as it was.
        layout_rng, person_rng, plan_rng, self._rng = np.random.default_rng(wish.seed).spawn(4)
        self.layout: Layout = draw_layout(layout_rng, width=wish.size[0], height=wish.size[1])
        self._person = Person(self.layout, person_rng, fps=wish.fps)
        self.plan: Plan = draw_plan(plan_rng, self.layout, self._person, wish)

    def frames(self) -> Iterator[U8]:
        """(H, W, 3) uint8 RGB, one per frame."""
        plan, (scene_rng, steam_rng, camera_rng, spill_rng, lens_rng) = self.plan, self._rng.spawn(5)
        keys = paint_keys(self.layout, scene_rng, count=int(plan.frames / plan.fps / KEY_S) + 2)
        steam = Steam(self.layout, steam_rng)
        lens = Lens(self.layout, lens_rng)
        camera = Camera(self.layout, camera_rng, frames=plan.frames, fps=plan.fps)
        painters = [SpillPainter(self.layout.wells[spill.well], spill.kind, rng)
                    for spill, rng in zip(plan.spills, spill_rng.spawn(len(plan.spills)), strict=True)]  # fmt: skip
        taken: U8 | None = None
        for frame in range(plan.frames):
            at_s = frame / plan.fps
            if taken is None or not plan.faults.frozen(at_s):
                key, share = divmod(at_s / KEY_S, 1)
                picture = np.asarray(cv2.addWeighted(keys[int(key)], 1 - share, keys[int(key) + 1], share, 0), np.uint8)
                for spill, painter in zip(plan.spills, painters, strict=True):
                    if spill.first <= frame < spill.last:
                        painter.draw(picture, spill.strength(frame, fps=plan.fps))
                if 0 <= frame - plan.person_first < self._person.frames:
                    self._person.draw(picture, frame - plan.person_first)
                gain = DARK_GAIN if plan.faults.dark(at_s) else BRIGHTER if plan.faults.stepped(at_s) else 1.0
                picture = steam.draw(picture, at_s)
                if plan.faults.greased(at_s):
                    picture = lens.greased(picture)
                if plan.faults.covered(at_s):
                    picture = lens.covered(picture)
                taken = camera.take(picture, frame, gain=gain, knocked=plan.faults.shifted(at_s))
            yield taken


def write_video(path: Path, frames: Iterator[U8], *, plan: Plan, size: tuple[int, int]) -> None:
    """H.264 with a key frame each second; one thread, since the coder's output depends on their number."""
    rate = Fraction(plan.fps).limit_denominator(1000)
    options = {"preset": "ultrafast", "crf": "20", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = max(1, round(plan.fps))
        shown = track(frames, "drawing", total=plan.frames, console=Console(stderr=True),
                      disable=not sys.stderr.isatty())  # fmt: skip
        for number, picture in enumerate(shown):
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
            image = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
            image.pts, image.time_base = number, 1 / rate
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))


def write_wells(path: Path, layout: Layout) -> None:
    """The wells file; it names no reference, so the first good frame is the reference."""
    tables = tomlkit.aot()
    for well in layout.wells:
        table = tomlkit.table()
        values = {"id": well.id, "x": well.x, "y": well.y, "width": well.w, "height": well.h, "out_of_service": False}
        table.update(values)
        tables.append(table)
    document = tomlkit.document()
    document.add("wells", tables)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")


def parse_size(_context: click.Context, _option: click.Parameter, value: str) -> tuple[int, int]:
    """1280x800 as (1280, 800)."""
    try:
        width, height = (int(part) for part in value.lower().split("x"))
    except ValueError as exc:
        raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT, such as 1280x800") from exc
    if min(width, height) < 160 or width % 2 or height % 2:
        raise click.BadParameter(f"{value!r}: both sides must be even and at least 160 pixels")
    return width, height


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Everything follows from it.")
@click.option("--seconds", type=click.FloatRange(min=1), default=40.0, show_default=True)
@click.option("--fps", type=click.FloatRange(min=1, max=60), default=12.5, show_default=True)
@click.option("--size", default="1280x800", show_default=True, callback=parse_size, help="Pixels, WIDTHxHEIGHT.")
@click.option("--wells-out", type=click.Path(dir_okay=False, path_type=Path), help="Default: OUT.wells.toml.")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Default: OUT.json.")
@click.option(
    "--spills", type=click.IntRange(0, 20), default=3, show_default=True, help="Two of three pour, one drains."
)
@click.option("--spill-s", type=click.FloatRange(min=0.2), help="How long a spill lasts at most. Default: 5 to 8 s.")
@click.option("--faults", is_flag=True, help="Also a lighting step, darkness, a freeze and a knock.")
@click.option("--lens", is_flag=True, help="Also a greasy lens and a cloth over it.")
def main(out: Path, wells_out: Path | None, truth: Path | None, **options: object) -> None:
    """Write a simulated casting line to OUT (MP4)."""
    line = Line(Wish(**options))  # type: ignore[arg-type]  # click has checked them
    wells_out, truth = wells_out or out.with_suffix(".wells.toml"), truth or out.with_suffix(".json")
    write_video(out, line.frames(), plan=line.plan, size=(line.layout.width, line.layout.height))
    write_wells(wells_out, line.layout)
    truth.write_text(json.dumps(line.plan.truth(line.layout), indent=1) + "\n", encoding="utf-8")
    for path in (out, wells_out, truth):
        click.echo(path)


if __name__ == "__main__":
    main()
