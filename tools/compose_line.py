"""Composes a line clip from real pictures: a real table, real wells, real pours, and things that befall a camera.

    python -m tools.compose_line OUT.mp4 --shared ../shared --seed 7

Wells get crops of ``train/`` and pours of ``proliv/`` set into them, never one of ``test/``. Drained wells are painted:
none was filmed. Beside OUT.mp4 stand its wells file and its truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import click
import cv2
import numpy as np
import numpy.typing as npt

from spillwatch.sources.file import FileSource
from spillwatch.truth import wells_of_truth
from spillwatch.wells import wellmap
from spillwatch.wells.finding import median_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spillwatch.records import Wells

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

FPS = 12.5
RATE = Fraction(25, 2)
RAMP_S = 0.2
BLOCKED = ("1L1",)  # a rod stands in it, so it is out of service
CREEP_S = 15.0  # the dross of a well turns into another in this time


@dataclass(frozen=True, slots=True)
class Spill:
    """One spill: ``well`` is an index, times are in seconds."""

    well: int
    start_s: float
    end_s: float
    kind: str


class RealLine:
    """One clip's story, drawn from its seed, and its frames."""

    def __init__(self, shared: Path, *, seed: int, seconds: float) -> None:
        self.seed, self.seconds = seed, seconds
        self._rng = rng = np.random.default_rng(seed)
        clip = shared / "clips/line_normal.mp4"
        self.wells: Wells = wells_of_truth(clip.with_suffix(".json"))
        with FileSource(clip) as source:
            self._table = median_frame(frame.planes for frame in source)
        self._normal = _crops(shared / "data/wells/train", rng, 400)
        self._pours = _crops(shared / "data/wells/proliv", rng, 154)
        self.faults = self._draw_faults()
        self._people = [self._draw_person() for _ in range(int(rng.integers(0, 4)))]
        self.spills = self._draw_spills()
        self._grain = rng.normal(0, rng.uniform(1.5, 3.0), (1400, 2200, 1)).astype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._table.shape[0], self._table.shape[1]

    def _draw_faults(self) -> dict[str, float]:
        rng = self._rng
        quarter = self.seconds / 4
        kinds = ["flash_s", "dark_s", "freeze_s", "shift_s"]
        at = {kind: round(quarter * slot + rng.uniform(1, quarter - 4), 2) for slot, kind in enumerate(kinds)}
        return {kind: at_s if rng.random() < 0.5 else -1.0 for kind, at_s in at.items()}

    def _draw_person(self) -> tuple[float, float, float, float, tuple[int, int, int]]:
        """Start, speed in pixels a second, feet's y, size, colour: who walks past, at 0.3 to 1 s a well."""
        rng = self._rng
        coat = ((40, 44, 48), (30, 90, 200), (150, 90, 40), (20, 130, 240))[int(rng.integers(0, 4))]
        speed = float(rng.uniform(70, 260)) * (1 if rng.random() < 0.5 else -1)
        return (
            float(rng.uniform(0, self.seconds)),
            speed,
            float(rng.uniform(250, 620)),
            float(rng.uniform(0.7, 1.3)),
            coat,
        )

    def _draw_spills(self) -> list[Spill]:
        rng = self._rng
        found: list[Spill] = []
        for slot in range(int(rng.integers(1, 4))):
            start_s = 0.0 if slot == 0 and rng.random() < 0.2 else float(rng.uniform(1, self.seconds - 6))
            well = int(rng.integers(len(self.wells)))
            if (
                self.wells.ids[well] in BLOCKED
                or any(s.well == well for s in found)
                or not self._in_sight(well, start_s)
            ):
                continue
            end_s = min(start_s + float(rng.uniform(4, 8)), self.seconds)
            found.append(Spill(well, start_s, end_s, "drained" if rng.random() < 0.3 else "pour"))
        return found

    def _in_sight(self, well: int, start_s: float) -> bool:
        """Nobody stands before it and the camera sees, from just before the onset until an alarm may be due."""
        x, y = self.wells.centres[well]
        for t in np.arange(start_s - 0.3, start_s + 2.5, 0.1):
            if any(abs(self._blind_at(kind, float(t))) for kind in ("dark_s", "freeze_s")):
                return False
            for person in self._people:
                px, feet = _place(person, float(t))
                size = 180 * person[3]
                if abs(px - x) < 0.35 * size + 30 and feet - size - 60 < y < feet + 30:
                    return False
        jumps = (self.faults[kind] for kind in ("flash_s", "shift_s"))
        return not any(at_s >= 0 and abs(at_s - start_s) < 2 for at_s in jumps)

    def _blind_at(self, kind: str, t: float) -> bool:
        return 0 <= self.faults[kind] <= t < self.faults[kind] + 3

    def frames(self) -> Iterator[U8]:
        """(H, W, 3) uint8 BGR."""
        rng, count = self._rng, len(self.wells)
        dressed = rng.random(count) < 0.7
        before, after = (rng.integers(len(self._normal), size=count) for _ in range(2))
        step = float(rng.choice([0.72, 0.8, 1.2, 1.3]))
        knock = rng.uniform(-1, 1, 2) * rng.choice([6, 20, 50])
        shaking = rng.uniform(0.1, 0.8)
        last: U8 | None = None
        for index in range(round(self.seconds * FPS)):
            t = index / FPS
            if last is not None and self._blind_at("freeze_s", t):
                yield last
                continue
            picture = self._table.copy()
            share = min(t / CREEP_S, 1.0)
            for i in np.flatnonzero(dressed):
                crop = cv2.addWeighted(self._normal[before[i]], 1 - share, self._normal[after[i]], share, 0)
                _set_in(picture, np.asarray(crop, np.uint8), self.wells.centres[i], self.wells.sizes[i], 1.0)
            for spill in self.spills:
                if spill.start_s <= t < spill.end_s:
                    strength = 1.0 if spill.start_s == 0 else min((t - spill.start_s) / RAMP_S + 0.3, 1.0)
                    self._spill(picture, spill, strength)
            for person in self._people:
                _draw(picture, person, t)
            last = self._take(picture, t, step=step, knock=knock, shaking=shaking)
            yield last

    def _spill(self, picture: U8, spill: Spill, strength: float) -> None:
        centre, size = self.wells.centres[spill.well], self.wells.sizes[spill.well]
        if spill.kind == "pour":
            crop = self._pours[int(self._rng.integers(len(self._pours)))]
        else:
            x, y = (int(v) for v in centre)
            plate = picture[y - 20 : y + 20, x - 30 : x + 30].mean((0, 1))
            crop = np.empty((32, 48, 3), np.uint8)
            crop[:] = np.clip(plate * (1.15, 0.92, 0.78) + np.linspace(4, -4, 32)[:, None, None], 0, 255)
        _set_in(picture, crop, centre, size, strength)

    def _take(self, picture: U8, t: float, *, step: float, knock: Any, shaking: float) -> U8:
        rng = self._rng
        shift = rng.normal(0, shaking, 2) + (knock if 0 <= self.faults["shift_s"] <= t else 0)
        gain = 1 + 0.02 * np.sin(7.1 * t) + rng.normal(0, 0.005)
        gain *= step if 0 <= self.faults["flash_s"] <= t else 1
        gain *= 0.04 if self._blind_at("dark_s", t) else 1
        moved = cv2.warpAffine(
            picture,
            np.array([[1, 0, shift[0]], [0, 1, shift[1]]]),
            picture.shape[1::-1],
            borderMode=cv2.BORDER_REPLICATE,
        )
        y, x = rng.integers(0, 200), rng.integers(0, 280)
        noise = self._grain[y : y + picture.shape[0], x : x + picture.shape[1]]
        return np.clip(moved * np.float32(gain) + noise, 0, 255).astype(np.uint8)

    def truth(self) -> dict[str, Any]:
        """The truth file's content."""
        spills = [
            {"well": self.wells.ids[s.well], "start_s": s.start_s, "end_s": s.end_s, "kind": s.kind}
            for s in self.spills
        ]
        wells = [
            {"id": name, "x": float(x), "y": float(y), "w": float(w), "h": float(h)}
            for name, (x, y), (w, h) in zip(self.wells.ids, self.wells.centres, self.wells.sizes, strict=True)
        ]
        return {"fps": FPS, "seed": self.seed, "wells": wells, "spills": spills, "occluded": [], **self.faults}


def _crops(folder: Path, rng: np.random.Generator, count: int) -> list[U8]:
    paths = sorted(folder.glob("*.jpg"))
    chosen = rng.choice(len(paths), min(count, len(paths)), replace=False)
    return [np.asarray(cv2.resize(cv2.imread(str(paths[i])), (48, 32)), np.uint8) for i in chosen]


def _set_in(picture: U8, crop: U8, centre: Any, size: Any, strength: float) -> None:
    """Into the oval, with a soft edge and the light of the place."""
    width, height = (round(float(v)) for v in size)
    left, top = round(float(centre[0]) - width / 2), round(float(centre[1]) - height / 2)
    place = picture[top : top + height, left : left + width]
    crop = np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    inside = 1.08 - np.hypot((x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1)
    mask = np.clip(inside * 6, 0, 1)[..., None] * strength
    lit = crop * (float(place.mean()) / max(float(crop.mean()), 1.0)) ** 0.7
    place[:] = np.clip(place + mask * (lit - place), 0, 255).astype(np.uint8)


def _place(person: tuple[float, float, float, float, tuple[int, int, int]], t: float) -> tuple[float, float]:
    start_s, speed, feet, _size, _coat = person
    begin = 300.0 if speed > 0 else 1600.0
    return begin + speed * (t - start_s), feet


def _draw(picture: U8, person: tuple[float, float, float, float, tuple[int, int, int]], t: float) -> None:
    x, feet = _place(person, t)
    if not 250 < x < 1650:
        return
    size = 180 * person[3]
    cv2.ellipse(
        picture, (round(x), round(feet - size / 2)), (round(0.2 * size), round(size / 2)), 0, 0, 360, person[4], -1
    )
    cv2.circle(picture, (round(x), round(feet - size)), round(0.13 * size), (40, 130, 230), -1)


def write(line: RealLine, out: Path) -> None:
    """The clip, its wells file and its truth."""
    with av.open(str(out), "w") as container:
        stream = container.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "crf": "20", "threads": "1"}
        )
        stream.height, stream.width = line.shape
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 13
        for index, bgr in enumerate(line.frames()):
            image = av.VideoFrame.from_ndarray(
                np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8), "yuv420p"
            )
            image.pts, image.time_base = index, 1 / RATE
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    in_service = np.array([name not in BLOCKED for name in line.wells.ids])
    wellmap.save(replace(line.wells, in_service=in_service), out.with_suffix(".wells.toml"))
    out.with_suffix(".json").write_text(json.dumps(line.truth(), indent=1) + "\n", encoding="utf-8")


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--shared", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of data/, clips/."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--seconds", default=30.0, show_default=True)
def main(out: Path, shared: Path, seed: int, seconds: float) -> None:
    """Write a clip composed from real pictures to OUT (MP4)."""
    write(RealLine(shared, seed=seed, seconds=seconds), out)
    click.echo(out)


if __name__ == "__main__":
    main()
