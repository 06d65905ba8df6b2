"""What moves in the picture: spills, a passer-by, steam, the camera and its noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from line.layout import LAUNDER_PITCH, LAUNDERS, REFERENCE_WIDTH, launder_v
from line.scene import BARE, DROSS, SOOT, WALL, cloud, lay

if TYPE_CHECKING:
    from line.layout import Layout, Well

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

PASS_S = 0.44  # a passer-by hides no well for longer
METAL = (196.0, 224.0, 202.0)
STEAM = (158.0, 178.0, 166.0)


class SpillPainter:
    """Draws one spilling well into each frame."""

    def __init__(self, well: Well, kind: str, rng: np.random.Generator) -> None:
        self._rng = rng
        self._kind = kind
        left, top = int(well.x - 0.62 * well.w), int(well.y - 0.72 * well.h)
        width, height = int(1.24 * well.w) + 1, int(1.44 * well.h) + 1
        self._where = np.s_[max(top, 0) : top + height, max(left, 0) : left + width]
        ys, xs = np.mgrid[max(top, 0) : top + height, max(left, 0) : left + width].astype(np.float32)
        self._x = (xs - np.float32(well.x)) / np.float32(well.w)
        # Towards the launder is positive, so that upper and lower wells share one drawing.
        self._y = (ys - np.float32(well.y)) / np.float32(well.h)
        self._to_launder = self._y if well.upper else -self._y
        self._pixel = 1.6 / well.h  # the softness of an edge, in box heights
        self._grain = well.w / 48
        self._lean = rng.uniform(-0.12, 0.12)
        self._side = rng.choice([-1, 1])  # where the stream casts its shadow
        self._streaks = np.zeros(xs.shape, np.float32)
        self._pulse = 0.0

    def draw(self, picture: U8, strength: float) -> None:
        """Blend the spill into an RGB frame with a strength of 0..1."""
        patch = picture[self._where]
        spilt = patch.astype(np.float32)
        (self._pour if self._kind == "pour" else self._drain)(spilt)
        patch[:] = np.clip(patch + strength * (spilt - patch), 0, 255).astype(np.uint8)

    def _edge(self, inside: F32) -> F32:
        """0..1 over a soft edge where ``inside`` (in box heights) passes 0."""
        return np.asarray(np.clip(inside / self._pixel + 0.5, 0, 1), np.float32)

    def _oval(self, *, down: float = 0.0) -> F32:
        """The well's oval."""
        return self._edge((1 - np.hypot(self._x / 0.46, (self._y - down) / 0.46)) * 0.42)

    def _drain(self, patch: F32) -> None:
        """An empty well: smooth bottom seen through the oval and out to the neck, under a thin dark rim."""
        oval = self._oval()
        tongue = self._edge(0.33 - 0.12 * np.clip(self._to_launder, 0, 1) - np.abs(self._x))
        tongue *= self._edge(self._to_launder) * self._edge(0.66 - self._to_launder)
        bare = np.maximum(oval, tongue)
        lay(patch, bare, BARE)
        patch += (bare * (3 - 5 * self._y))[..., None]
        lay(patch, 0.35 * oval * (1 - self._oval(down=0.05)), SOOT)

    def _pour(self, patch: F32) -> None:
        """A restless stream from the sooty neck, widening over the washed-out oval and glittering in every colour."""
        rng, shape, grain = self._rng, self._x.shape, self._grain
        self._pulse = 0.7 * self._pulse + 0.3 * rng.uniform(-1, 1)
        lay(patch, 0.9 * self._oval(), (WALL[0] - 8, WALL[1] - 7, WALL[2] + 1))
        along = np.clip(0.62 - self._to_launder, 0, 1.1)  # 0 at the neck, 1.1 at the far rim
        ragged = 0.03 * cloud(shape, grain=4 * grain, rng=rng)
        half = 0.13 + 0.13 * along + 0.04 * self._pulse + ragged
        across = self._x - self._lean * along
        ends = self._edge(0.62 - self._to_launder) * self._edge(0.45 + self._to_launder + ragged)
        shadow = ends * np.exp(-(((across - self._side * (half + 0.04)) / 0.08) ** 2)) * np.clip(1.4 * along, 0, 1)
        lay(patch, 0.6 * shadow * self._oval(), SOOT)
        stream = ends * self._edge(half - np.abs(across))
        far = np.clip((along - 0.25) * 1.8, 0, 1)
        lay(patch, stream, (DROSS[0] + 6, DROSS[1] + 10, DROSS[2] + 8))
        lay(patch, 0.7 * stream * (1 - far), SOOT)
        fresh = cloud(shape, grain=6 * grain, rng=rng, stretch=0.4) + 0.7 * cloud(shape, grain=3 * grain, rng=rng)
        self._streaks = 0.5 * self._streaks + 0.7 * fresh
        lay(patch, stream * (0.3 + 0.7 * far) * np.clip(0.6 * self._streaks + 0.1 + 0.3 * self._pulse, 0, 1), METAL)
        lay(patch, stream * np.clip(-0.75 * self._streaks - 0.55, 0, 0.9), (38, 50, 48))
        # Glints smaller than a sensor cell light one colour of it only: saturated streaks and specks, always new.
        glow = stream * (0.3 + 0.7 * far) * np.clip(cloud(shape, grain=8 * grain, rng=rng) + 0.4 + self._pulse, 0, 1.5)
        amber = cloud(shape, grain=7 * grain, rng=rng, stretch=0.45)
        patch += (14 * glow * amber)[..., None] * np.array((0.9, 0.9, -1.1), np.float32)
        specks = np.stack([cloud(shape, grain=3 * grain, rng=rng, stretch=0.6) for _ in range(3)], axis=-1)
        patch += 34 * glow[..., None] * np.clip(np.abs(specks) - 0.9, 0, 1.6) * np.sign(specks + 0.4)
        patch[:] = cv2.GaussianBlur(patch, (0, 0), 0.5)


class Person:
    """Someone walking past between two launders, with an arm out over the wells."""

    def __init__(self, layout: Layout, rng: np.random.Generator, *, fps: float) -> None:
        gap = int(rng.integers(1, LAUNDERS + 1))
        v = launder_v(0) + (gap - 0.5) * LAUNDER_PITCH
        end = layout.half_length + 1.5
        self._from, self._to = layout.place((-end, v), (end, v))
        if rng.random() < 0.5:
            self._from, self._to = self._to, self._from
        self._sprites = [_sprite(layout.unit, phase, rng=rng) for phase in (0, 1)]
        jacket = (150, 82, 36) if rng.random() < 0.4 else (42, 50, 46)
        self._colours = tuple(_dress(sprite, jacket) for sprite in self._sprites)
        self._height, self._width = self._sprites[0].shape
        widest = max(well.w for well in layout.wells)
        self._step = (self._width + widest) / (PASS_S * fps)
        self.frames = int(abs(self._to[0] - self._from[0]) / self._step) + 1

    def _corner(self, index: int) -> tuple[int, int]:
        """Left and top of the sprite in the ``index``-th frame of the walk."""
        x, y = self._from + (self._to - self._from) * (index / max(1, self.frames - 1))
        return int(x - self._width / 2), int(y - self._height * (0.62 + 0.02 * (index % 2)))

    def _clip(self, index: int, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part of the picture that the sprite covers, and that part of the sprite."""
        left, top = self._corner(index)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = max(x0, min(shape[1], left + self._width)), max(y0, min(shape[0], top + self._height))
        return np.s_[y0:y1, x0:x1], np.s_[y0 - top : y1 - top, x0 - left : x1 - left]

    def draw(self, picture: U8, index: int) -> None:
        """Draw the ``index``-th frame of the walk."""
        here, part = self._clip(index, picture.shape)
        alpha = self._sprites[index // 2 % 2][part][..., None]
        patch = picture[here]
        patch[:] = (patch + alpha * (self._colours[index // 2 % 2][part] - patch)).astype(np.uint8)

    def occluded(self, layout: Layout, *, first: int, frames: int) -> tuple[tuple[int, int, int], ...]:
        """Each well that is hidden, with the first hidden frame and the first free one after."""
        seen: dict[int, list[int]] = {}
        for index in range(min(self.frames, frames - first)):
            cover = np.zeros((layout.height, layout.width), np.float32)
            here, part = self._clip(index, cover.shape)
            cover[here] = self._sprites[index // 2 % 2][part]
            for number, (x, y, w, h) in enumerate(layout.boxes()):
                box = cover[max(0, int(y - h / 2)) : int(y + h / 2) + 1, max(0, int(x - w / 2)) : int(x + w / 2) + 1]
                if box.mean() > 0.01:
                    seen.setdefault(number, []).append(first + index)
        return tuple((well, min(at), max(at) + 1) for well, at in sorted(seen.items()))


def _sprite(unit: float, phase: int, *, rng: np.random.Generator) -> F32:
    """The outline (0..1) of a person seen steeply from above."""
    width, height = int(1.7 * unit), int(2.9 * unit)
    mask = np.zeros((height, width), np.uint8)

    def blob(x: float, y: float, size: tuple[float, float], angle: float = 0.0) -> None:
        axes = (int(size[0] * width), int(size[1] * height))
        cv2.ellipse(mask, (int(x * width), int(y * height)), axes, angle, 0, 360, 255, -1, cv2.LINE_AA)

    blob(0.48, 0.13, (0.15, 0.085))
    blob(0.48, 0.4, (0.29, 0.23))
    stride = 0.1 if phase else 0.03
    blob(0.44 - stride, 0.76, (0.09, 0.2), 90 * stride)
    blob(0.52 + stride, 0.73, (0.09, 0.2), -90 * stride)
    blob(0.74, 0.38 + stride, (0.24, 0.035), 25 + rng.uniform(-10, 10))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.6, unit / 40)).astype(np.float32) / 255)


def _dress(sprite: F32, jacket: tuple[int, int, int]) -> F32:
    """Colours of the clothes: dark helmet and trousers, a jacket, light from above."""
    height, width = sprite.shape
    colour = np.empty((height, width, 3), np.float32)
    colour[:] = (36, 42, 38)
    colour[int(0.2 * height) : int(0.58 * height)] = jacket
    colour[int(0.05 * height) : int(0.12 * height), int(0.38 * width) : int(0.5 * width)] += 26
    shade = np.linspace(1.15, 0.8, width, dtype=np.float32)[None, :, None]
    return np.asarray(cv2.GaussianBlur(colour * shade, (0, 0), max(0.6, width / 60)), np.float32)


class Steam:
    """Two layers of thin cloud that drift past each other, computed small and enlarged."""

    SHRINK = 8

    def __init__(self, layout: Layout, rng: np.random.Generator) -> None:
        self._size = (layout.width, layout.height)
        self._small = (-(-layout.height // self.SHRINK), -(-layout.width // self.SHRINK))
        room = (3 * self._small[0], 3 * self._small[1])
        grain = layout.unit / self.SHRINK
        self._layers = [cloud(room, grain=max(2.0, grain * share), rng=rng) for share in (3.0, 1.5)]
        heading = rng.uniform(-1, 1, 2)
        speed = layout.unit / self.SHRINK  # about a well's width per second
        self._drift = np.array([[heading[0] * speed, -0.5 * speed], [heading[1] * speed, -1.1 * speed]])
        self._rise = np.linspace(1.3, 0.8, self._small[0], dtype=np.float32)[:, None]

    def draw(self, picture: U8, at_s: float) -> U8:
        """The frame seen through the steam."""
        total = np.zeros(self._small, np.float32)
        for layer, drift, weight in zip(self._layers, self._drift, (1.0, 0.6), strict=True):
            rows, columns = layer.shape
            shift = np.array([[1, 0, -((drift[0] * at_s) % columns)], [0, 1, -((drift[1] * at_s) % rows)]])
            total += weight * cv2.warpAffine(layer, shift, self._small[::-1], borderMode=cv2.BORDER_WRAP)
        alpha = np.clip(0.045 * self._rise * (total - 0.2), 0, 0.18)
        clear = np.repeat((255 * (1 - alpha))[..., None], 3, axis=2).astype(np.uint8)
        added = (alpha[..., None] * np.array(STEAM, np.float32)).astype(np.uint8)
        seen = cv2.multiply(picture, cv2.resize(clear, self._size), scale=1 / 255)
        return np.asarray(cv2.add(seen, cv2.resize(added, self._size)), np.uint8)


class Camera:
    """Vibration, flicker of the light it sees, and sensor noise."""

    def __init__(self, layout: Layout, rng: np.random.Generator, *, frames: int, fps: float) -> None:
        self._rng = rng
        scale = layout.width / REFERENCE_WIDTH
        self.knock_px = rng.choice([-1, 1], 2) * rng.uniform(4, 8, 2) * scale
        shake = rng.normal(0, 0.25, (frames, 2))
        gusts = np.repeat(np.abs(rng.normal(0, 0.6, frames // 12 + 1)), 12)[:frames, None]
        self._shake = np.clip(shake * (1 + gusts), -1, 1) * min(1.0, scale)
        at_s = np.arange(frames) / fps
        self._gain = 1 + 0.008 * np.sin(2 * np.pi * 1.7 * at_s) + rng.normal(0, 0.005, frames)
        room = (layout.height + 64, layout.width + 64, 3)
        grain = rng.normal(0, 2.0, room).astype(np.float32)
        self._noise = np.clip(np.round(cv2.GaussianBlur(grain, (0, 0), 0.5) * 1.4) + 32, 0, 64).astype(np.uint8)

    def take(self, picture: U8, frame: int, *, gain: float, knocked: bool) -> U8:
        """What the sensor gives for a scene."""
        dx, dy = self._shake[frame] + (self.knock_px if knocked else 0)
        rows, columns = picture.shape[:2]
        moved = cv2.warpAffine(picture, np.array([[1, 0, dx], [0, 1, dy]]), (columns, rows),
                               borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        left, top = self._rng.integers(0, 64, 2)
        noise = self._noise[top : top + rows, left : left + columns]
        return np.asarray(cv2.addWeighted(moved, gain * self._gain[frame], noise, 1, -32), np.uint8)
