"""The picture at rest: hall, plate, launders, wells and their dross, as RGB in 0..255."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from line.layout import COLUMN_PITCH, LAUNDER_PITCH, LAUNDERS, launder_v

if TYPE_CHECKING:
    from collections.abc import Iterable

    from line.layout import Layout, Well

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]

# Measured by eye against photographs of real tables under green-tinged hall light.
HALL: Colour = (60, 74, 50)
PIT: Colour = (20, 33, 25)
PLATE: Colour = (111, 138, 114)
HALO: Colour = (114, 147, 124)
CHANNEL: Colour = (99, 130, 120)
POOL: Colour = (121, 160, 147)
WALL: Colour = (99, 124, 113)
DROSS: Colour = (119, 147, 119)
SOOT: Colour = (72, 88, 74)
BARE: Colour = (87, 118, 119)  # the smooth bottom of an empty well
STEEL: Colour = (92, 104, 82)
PAINT: Colour = (98, 104, 34)
SHADE: F32 = np.array((1.0, 1.0, 0.82), np.float32)  # texture is warmer than the light


def cloud(shape: tuple[int, int], *, grain: float, rng: np.random.Generator, stretch: float = 1.0) -> F32:
    """Smooth noise of mean 0 and deviation 1 with lumps of ``grain`` pixels, ``stretch`` times as wide."""
    small = (max(2, round(shape[0] / grain) + 2), max(2, round(shape[1] / (grain * stretch)) + 2))
    field = cv2.resize(rng.standard_normal(small, np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def lay(canvas: F32, mask: F32 | float, colour: Colour) -> None:
    """Blend a colour onto the canvas where the mask (0..1) says so."""
    amount = mask[..., None] if isinstance(mask, np.ndarray) else mask
    canvas += amount * (np.array(colour, np.float32) - canvas)


def polygon_mask(shape: tuple[int, int], polygons: Iterable[npt.ArrayLike], *, soft: float = 0.7) -> F32:
    """0..1, anti-aliased and softened as a lens would."""
    mask = np.zeros(shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(np.asarray(polygon) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return soften(mask, soft)


def soften(mask: U8, sigma: float) -> F32:
    """A drawn 0..255 mask as blurred 0..1."""
    blurred = cv2.GaussianBlur(mask, (0, 0), sigma) if sigma > 0.2 else mask
    return np.asarray(blurred.astype(np.float32) / 255)


def oval_points(well: Well, *, scale: float = 1.0, down: float = 0.0, squash: float = 1.0) -> npt.NDArray[np.float64]:
    """The outline of a well's oval, which fills 0.9 of its box; ``down`` is in box heights."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = well.x + 0.46 * scale * well.w * np.cos(angle)
    y = well.y + down * well.h + 0.46 * scale * squash * well.h * np.sin(angle)
    return np.column_stack([x, y])


def neck_points(well: Well, *, near: float, far: float, narrow: float, wide: float) -> npt.NDArray[np.float64]:
    """A tongue from inside the well (``near``) towards its launder (``far``), both in box heights from the centre."""
    side = 1 if well.upper else -1
    x, y, w, h = well.x, well.y, well.w, side * well.h
    outline = [(-wide, near), (wide, near), (narrow, (near + far) / 2), (narrow, far), (-narrow, far)]
    outline.append((-narrow, (near + far) / 2))
    return np.array([(x + dx * w, y + dy * h) for dx, dy in outline])


def dross_shapes(well: Well, rng: np.random.Generator) -> list[npt.NDArray[np.float64]]:
    """Where a well's dross lies: low in the oval seen from the front, and out along the neck."""
    jitter = rng.uniform(-0.04, 0.04, 3)
    neck = neck_points(well, near=0.1, far=0.85, narrow=0.24 + jitter[0] / 2, wide=0.36)
    if well.upper:
        return [oval_points(well, scale=0.8 + jitter[1], down=0.17 + jitter[2], squash=0.92), neck]
    return [oval_points(well, scale=0.88 + jitter[1], down=0.1 + jitter[2] / 2, squash=0.84), neck]


def paint_hall(layout: Layout, rng: np.random.Generator) -> F32:
    """Floor, pit with its reflections, machine body and painted covers around the table."""
    shape = (layout.height, layout.width)
    canvas = np.empty((*shape, 3), np.float32)
    canvas[:] = HALL
    size = layout.unit
    stains = 7 * cloud(shape, grain=size * 2.5, rng=rng) + 4 * cloud(shape, grain=size / 4, rng=rng)
    canvas += stains[..., None] * SHADE
    end, front = layout.half_length, launder_v(LAUNDERS - 1) + 1.75
    stripes = [layout.place((s * (end + 3), -9), (s * (end + 3.5), -9), (s * (end + 4.4), 9), (s * (end + 3.9), 9))
               for s in (-1, 1)]  # fmt: skip
    lay(canvas, 0.5 * polygon_mask(shape, stripes), PAINT)
    body = layout.place((-end - 1.6, -5), (end + 1.6, -5), (end + 1.6, front + 1.1), (-end - 1.6, front + 1.1))
    lay(canvas, 0.9 * polygon_mask(shape, [body], soft=1.5), (52, 62, 44))
    boxes = [layout.place((u, front + 0.3), (u + 0.7, front + 0.3), (u + 0.7, front + 0.9), (u, front + 0.9))
             for u in rng.uniform(-end, end, 9)]  # fmt: skip
    lay(canvas, 0.6 * polygon_mask(shape, boxes), (38, 46, 33))
    pit = layout.place((-end - 1, front + 1.1), (end + 1, front + 1.1), (end + 1, front + 2.3), (-end - 1, front + 2.3))
    pit_mask = polygon_mask(shape, [pit])
    lay(canvas, pit_mask, PIT)
    columns = np.arange(layout.width, dtype=np.float32)
    glow = np.zeros(layout.width, np.float32)
    for x in rng.uniform(pit[0, 0], pit[1, 0], 6):
        glow += np.float32(rng.uniform(0.1, 0.75)) * np.exp(-(((columns - np.float32(x)) / (0.22 * size)) ** 2))
    lay(canvas, pit_mask * np.clip(glow, 0, 0.9)[None, :], (120, 165, 150))
    cover = layout.place((-end, front + 3.4), (end, front + 3.4), (end, front + 6), (-end, front + 6))
    lay(canvas, 0.6 * polygon_mask(shape, [cover]), PAINT)
    return canvas


def paint_plate(canvas: F32, layout: Layout, rng: np.random.Generator) -> None:
    """The insulating plate: blotched between the wells, pale and clean around them, seams between its boards."""
    shape = canvas.shape[:2]
    end, top, bottom = layout.half_length, launder_v(0) - 1.45, launder_v(LAUNDERS - 1) + 1.75
    plate = polygon_mask(shape, [layout.place((-end, top), (end, top), (end, bottom), (-end, bottom))])
    lay(canvas, plate, PLATE)
    size = layout.unit
    blotch = 6 * cloud(shape, grain=size * 0.9, rng=rng, stretch=2) + 3 * cloud(shape, grain=size * 0.2, rng=rng)
    blotch += 1.5 * cloud(shape, grain=max(1.5, size * 0.05), rng=rng)
    blotch -= 9 * np.clip(cloud(shape, grain=size * 0.6, rng=rng, stretch=1.5) - 1.1, 0, 2)
    canvas += (plate * blotch)[..., None] * SHADE
    seams = [layout.place((u, top), (u + 0.03, top), (u + 0.03, bottom), (u, bottom))
             for u in np.arange(-end + COLUMN_PITCH * 1.5, end, COLUMN_PITCH * 2)]  # fmt: skip
    lay(canvas, 0.25 * polygon_mask(shape, seams), SOOT)
    halo = polygon_mask(shape, [oval_points(well, scale=1.42) for well in layout.wells], soft=size * 0.16)
    edges = [_band(layout, launder_v(row) - 0.5, launder_v(row) + 0.5) for row in range(LAUNDERS)]
    halo = np.maximum(halo, 0.8 * polygon_mask(shape, edges, soft=size * 0.12))
    lay(canvas, 0.85 * halo * plate, HALO)


def _band(layout: Layout, top: float, bottom: float, end: float | None = None) -> npt.NDArray[np.float64]:
    """A strip of the table between two depths, as long as the launders."""
    end = layout.half_length if end is None else end
    return layout.place((-end, top), (end, top), (end, bottom), (-end, bottom))


def paint_launders(canvas: F32, layout: Layout, rng: np.random.Generator) -> None:
    """Four channels, dark along their upper edge, crusted along the lower, and the trough that feeds them."""
    shape = canvas.shape[:2]
    end, top, bottom = layout.half_length, launder_v(0), launder_v(LAUNDERS - 1)
    frame = [layout.place((-end - 1.3, top - 0.5), (-end + 0.1, top - 0.5), (-end + 0.1, bottom + 0.6),
                          (-end - 1.3, bottom + 0.6)), _band(layout, bottom + 0.3, bottom + 0.45, end + 0.2)]  # fmt: skip
    lay(canvas, polygon_mask(shape, frame), PLATE)
    pool = [layout.place((-end - 1.1, top - 0.35), (-end - 0.05, top - 0.35), (-end - 0.05, bottom + 0.45),
                         (-end - 1.1, bottom + 0.45)),
            layout.place((-end - 4, -1.2), (-end - 0.8, -1.2), (-end - 0.8, 0.1), (-end - 4, 0.1))]  # fmt: skip
    lay(canvas, polygon_mask(shape, pool), POOL)
    flaps = [layout.place((end + 0.2, v), (end + 0.9, v + 0.12), (end + 0.9, v + 0.5), (end + 0.2, v + 0.3))
             for v in np.arange(top - 0.8, bottom + 1, LAUNDER_PITCH / 2)]  # fmt: skip
    lay(canvas, polygon_mask(shape, [_band(layout, top - 0.9, bottom + 1, end + 0.5)]) * 0.0, STEEL)
    lay(canvas, polygon_mask(shape, flaps), POOL)
    for row in range(LAUNDERS):
        v = launder_v(row)
        lay(canvas, polygon_mask(shape, [_band(layout, v - 0.22, v + 0.24)]), CHANNEL)
        lay(canvas, 0.5 * polygon_mask(shape, [_band(layout, v - 0.24, v - 0.18)]), SOOT)
        crust = np.clip(0.5 + 0.5 * cloud((shape[0], shape[1]), grain=layout.unit * 0.5, rng=rng, stretch=4), 0, 1)
        lay(canvas, 0.8 * crust * polygon_mask(shape, [_band(layout, v + 0.05, v + 0.2)]), PLATE)
        lay(canvas, 0.5 * polygon_mask(shape, [_band(layout, v + 0.19, v + 0.25)]), SOOT)


def paint_wells(canvas: F32, layout: Layout, rng: np.random.Generator) -> F32:
    """Walls, rims and dross without its fine texture; returns how much that texture shows (0..1.5) at each pixel."""
    shape = (layout.height, layout.width)
    soft = layout.unit * 0.022
    ovals = polygon_mask(shape, [oval_points(well) for well in layout.wells], soft=soft)
    lay(canvas, ovals, WALL)
    inner = polygon_mask(shape, [oval_points(well, down=0.06) for well in layout.wells], soft=soft * 1.5)
    lay(canvas, 0.35 * np.clip(ovals - inner, 0, 1), SOOT)  # the shadow under the rim
    shapes = [shape_ for well in layout.wells for shape_ in dross_shapes(well, rng)]
    ragged = cloud(shape, grain=layout.unit * 0.07, rng=rng) * 0.16
    dross = polygon_mask(shape, shapes, soft=layout.unit * 0.055)
    dross = np.clip((dross + ragged * (dross > 0.02) - 0.5) * 2.2 + 0.5, 0, 1)
    lay(canvas, dross, DROSS)
    tone = 5 * cloud(shape, grain=layout.unit * 1.5, rng=rng) + 3.5 * cloud(shape, grain=layout.unit * 0.3, rng=rng)
    canvas += (dross * tone)[..., None] * SHADE
    notches = [neck_points(well, near=0.55 + rng.uniform(0, 0.1), far=0.82, narrow=0.2, wide=0.26)
               for well in layout.wells if not well.upper]  # fmt: skip
    notch = polygon_mask(shape, notches, soft=layout.unit * 0.06)
    notch *= np.clip(0.45 + 0.35 * cloud(shape, grain=layout.unit * 1.2, rng=rng), 0.05, 0.95)
    lay(canvas, notch, SOOT)
    contrast = np.clip(1 + 0.3 * cloud(shape, grain=layout.unit * 1.5, rng=rng), 0.4, 1.6)
    return np.asarray(dross * contrast, np.float32)


def dross_texture(layout: Layout, rng: np.random.Generator) -> F32:
    """Rough skin in grey levels: grains, lumps, dark cracks and a few glints."""
    shape, size = (layout.height, layout.width), layout.unit
    fine, lumps = (cloud(shape, grain=max(1.2, size * share), rng=rng) for share in (0.05, 0.12))
    cracks = np.clip(0.35 - np.abs(cloud(shape, grain=size * 0.16, rng=rng)), 0, 1)
    glints = np.clip(cloud(shape, grain=max(1.5, size * 0.06), rng=rng) - 2.1, 0, 1.5)
    return np.asarray(2.6 * fine + 4.2 * lumps - 22 * cracks + 20 * glints, np.float32)


def paint_keys(layout: Layout, rng: np.random.Generator, *, count: int) -> list[U8]:
    """The scene at rest at ``count`` moments, between which the dross creeps a little: fade from one to the next."""
    canvas = paint_hall(layout, rng)
    paint_plate(canvas, layout, rng)
    paint_launders(canvas, layout, rng)
    shows = paint_wells(canvas, layout, rng)
    cast = 1 + rng.uniform(-0.03, 0.03, 3)
    shape = (layout.height, layout.width)
    vignette = 1 - 0.12 * np.hypot(*np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[0]))) ** 2
    light = vignette[..., None].astype(np.float32) * (cast * rng.uniform(0.95, 1.06)).astype(np.float32)
    texture = dross_texture(layout, rng)
    creep = [cloud(shape, grain=layout.unit * 1.5, rng=rng) * layout.unit * 0.01 for _ in range(2)]
    x, y = (grid.astype(np.float32) for grid in np.meshgrid(np.arange(shape[1]), np.arange(shape[0])))
    keys = []
    for step in range(count):
        moved = cv2.remap(texture, x + step * creep[0], y + step * creep[1], cv2.INTER_LINEAR, None,
                          cv2.BORDER_REFLECT)  # fmt: skip
        picture = (canvas + (shows * moved)[..., None] * SHADE) * light
        keys.append(np.clip(cv2.GaussianBlur(picture, (0, 0), 0.6), 0, 255).astype(np.uint8))
    return keys
