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
PLATE: Colour = (114, 141, 114)
HALO: Colour = (116, 149, 131)
CHANNEL: Colour = (99, 130, 120)
POOL: Colour = (121, 160, 147)
WALL: Colour = (101, 128, 116)
DROSS: Colour = (118, 146, 121)
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


def outline(well: Well, points: Iterable[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Points (x, y in box sizes from the centre, y towards the launder), mirrored left to right, as a polygon."""
    half = np.array([(x, y if well.upper else -y) for x, y in points])
    both = np.vstack([half, half[::-1] * (-1, 1)])
    return np.asarray(both * (well.w, well.h) + (well.x, well.y))


def dross_points(well: Well, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Where a well's dross lies: low in the oval as seen from the front, and out along the neck."""
    narrow, tilt = 0.24 + rng.uniform(-0.03, 0.03), rng.uniform(-0.06, 0.06)
    if not well.upper:  # a bell, hanging from the neck
        bell = [(0.46, -0.5), (0.46, -0.24), (0.39 + tilt, -0.06), (0.28 + tilt, 0.16), (narrow, 0.4), (narrow, 1.05)]
        return outline(well, bell)
    crown = rng.uniform(-0.2, 0.04)
    angle = np.linspace(-np.pi / 2, 0, 9)
    cap = [(float(0.42 * np.cos(a)), float(crown + 0.24 * (1 + np.sin(a)))) for a in angle]
    return outline(well, [*cap, (0.4, 0.34), (0.31, 0.48), (narrow, 0.65), (narrow, 1.05)])


def paint_hall(layout: Layout, rng: np.random.Generator) -> F32:
    """Floor, pit with its reflections, machine body and painted covers around the table."""
    shape = (layout.height, layout.width)
    canvas = np.empty((*shape, 3), np.float32)
    canvas[:] = HALL
    size = layout.unit
    stains = 4 * cloud(shape, grain=size * 4, rng=rng, stretch=2) + 2.5 * cloud(shape, grain=size / 2, rng=rng)
    canvas += (stains + 1.5 * cloud(shape, grain=2, rng=rng))[..., None] * SHADE
    end, front = layout.half_length, launder_v(LAUNDERS - 1) + 1.75
    stripes = [layout.place((s * (end + 3), -9), (s * (end + 3.5), -9), (s * (end + 4.4), 9), (s * (end + 3.9), 9))
               for s in (-1, 1)]  # fmt: skip
    worn = np.clip(0.3 + 0.3 * cloud(shape, grain=size * 0.7, rng=rng), 0, 0.7)
    lay(canvas, worn * polygon_mask(shape, stripes), PAINT)
    joints = [layout.place((u, -12), (u + 0.06, -12), (u + 0.06, 12), (u, 12)) for u in rng.uniform(-14, 14, 8)]
    joints += [layout.place((-20, v), (20, v), (20, v + 0.06), (-20, v + 0.06)) for v in rng.uniform(-8, -5, 3)]
    lay(canvas, 0.5 * polygon_mask(shape, joints), PIT)
    body = layout.place((-end - 1.6, -4.9), (end + 1.8, -4.9), (end + 1.8, front + 1.1), (-end - 1.6, front + 1.1))
    lay(canvas, 0.85 * polygon_mask(shape, [body], soft=1.5), (52, 64, 45))
    boxes = [layout.place((u, front + 0.35), (u + w, front + 0.35), (u + w, front + 0.85), (u, front + 0.85))
             for u, w in zip(rng.uniform(-end, end, 14), rng.uniform(0.2, 1, 14), strict=True)]  # fmt: skip
    lay(canvas, 0.5 * polygon_mask(shape, boxes, soft=1.2), PIT)
    lay(canvas, 0.5 * polygon_mask(shape, [_band(layout, front, front + 0.25, end + 1.4)]), PIT)
    paint_pit(canvas, layout, rng, top=front + 1.1)
    cover = layout.place((-end, front + 3.4), (end, front + 3.4), (end, front + 6), (-end, front + 6))
    worn = np.clip(0.5 + 0.2 * cloud(shape, grain=size * 0.5, rng=rng), 0, 0.9)
    lay(canvas, worn * polygon_mask(shape, [cover]), PAINT)
    return canvas


def paint_pit(canvas: F32, layout: Layout, rng: np.random.Generator, *, top: float) -> None:
    """The casting pit under the table, wet and black, with the lamps' reflections in it."""
    shape, end = (layout.height, layout.width), layout.half_length + 1
    pit = layout.place((-end, top), (end, top), (end, top + 1.6), (-end, top + 1.6))
    mask = polygon_mask(shape, [pit], soft=1.5)
    lay(canvas, mask, PIT)
    columns, rows = np.arange(layout.width, dtype=np.float32), np.arange(layout.height, dtype=np.float32)
    glow = np.zeros(shape, np.float32)
    for x in rng.uniform(pit[0, 0], pit[1, 0], 7):
        across = ((columns - np.float32(x)) / np.float32(layout.unit * rng.uniform(0.15, 0.5))) ** 2
        down = ((rows - np.float32(pit[:, 1].mean())) / np.float32(layout.unit * 0.7)) ** 2
        glow += np.float32(rng.uniform(0.1, 0.8)) * np.exp(-across)[None, :] * np.exp(-down)[:, None]
    lay(canvas, mask * np.clip(glow, 0, 0.9), (120, 165, 150))


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
    lip = polygon_mask(shape, [_band(layout, bottom - 0.75, bottom)])
    runs = cloud(shape, grain=size * 0.6, rng=rng, stretch=0.07)
    lay(canvas, 0.35 * lip, STEEL)
    canvas += (lip * 5 * runs)[..., None]
    halo = polygon_mask(shape, [oval_points(well, scale=1.5) for well in layout.wells], soft=size * 0.16)
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
    frame = layout.place((-end - 1.3, top - 0.5), (-end + 0.1, top - 0.5), (-end + 0.1, bottom + 0.6),
                         (-end - 1.3, bottom + 0.6))  # fmt: skip
    lay(canvas, polygon_mask(shape, [frame]), PLATE)
    pool = [layout.place((-end - 1.1, top - 0.35), (-end - 0.05, top - 0.35), (-end - 0.05, bottom + 0.45),
                         (-end - 1.1, bottom + 0.45)),
            layout.place((-end - 4, -1.2), (-end - 0.8, -1.2), (-end - 0.8, 0.1), (-end - 4, 0.1))]  # fmt: skip
    wet, shade = polygon_mask(shape, pool), np.array((0.0, layout.unit * 0.12))
    lay(canvas, 0.8 * polygon_mask(shape, [points + shade for points in pool], soft=2), SOOT)
    lay(canvas, wet, POOL)
    canvas += (wet * 4 * cloud(shape, grain=layout.unit, rng=rng, stretch=0.5))[..., None]
    lay(
        canvas,
        0.6 * np.clip(wet - polygon_mask(shape, [points + shade + shade[::-1] for points in pool], soft=2), 0, 1),
        CHANNEL,
    )
    beam = layout.place((end + 0.1, top - 1), (end + 0.55, top - 1), (end + 0.55, bottom + 1), (end + 0.1, bottom + 1))
    rust = np.clip(0.75 + 0.2 * cloud(shape, grain=layout.unit * 0.3, rng=rng), 0, 1)
    lay(canvas, rust * polygon_mask(shape, [beam]), STEEL)
    flaps = [layout.place((end + 0.3, v), (end + 1.1, v + 0.18), (end + 1.1, v + 0.42), (end + 0.3, v + 0.26))
             for v in np.arange(top - 0.8, bottom + 1, LAUNDER_PITCH / 2)]  # fmt: skip
    lay(canvas, 0.7 * polygon_mask(shape, [points + shade for points in flaps], soft=2), PIT)
    lay(canvas, 0.8 * rust * polygon_mask(shape, flaps), POOL)
    for row in range(LAUNDERS):
        v = launder_v(row)
        lay(canvas, polygon_mask(shape, [_band(layout, v - 0.22, v + 0.24)]), CHANNEL)
        lay(canvas, 0.35 * polygon_mask(shape, [_band(layout, v - 0.24, v - 0.18)], soft=1), SOOT)
        crust = np.clip(0.5 + 0.5 * cloud((shape[0], shape[1]), grain=layout.unit * 0.5, rng=rng, stretch=4), 0, 1)
        lay(canvas, 0.8 * crust * polygon_mask(shape, [_band(layout, v + 0.05, v + 0.2)]), PLATE)
        lay(canvas, 0.35 * crust * polygon_mask(shape, [_band(layout, v + 0.19, v + 0.25)], soft=1), SOOT)


def paint_wells(canvas: F32, layout: Layout, rng: np.random.Generator) -> F32:
    """Walls, rims and dross without its fine texture; returns how much that texture shows (0..1.5) at each pixel."""
    shape, size = (layout.height, layout.width), layout.unit
    ovals = polygon_mask(shape, [oval_points(well) for well in layout.wells], soft=size * 0.02)
    necks = [outline(well, [(0.34, 0.3), (0.28, 0.6), (0.27, 1.05)]) for well in layout.wells]
    region = np.maximum(ovals, polygon_mask(shape, necks, soft=size * 0.02))
    dross = region * polygon_mask(shape, [dross_points(well, rng) for well in layout.wells], soft=size * 0.03)
    ragged = 0.2 * cloud(shape, grain=size * 0.06, rng=rng) * (dross > 0.02)
    dross = np.clip((dross + ragged - 0.5) * 1.6 + 0.5, 0, 1)
    lay(canvas, ovals, WALL)
    canvas += (ovals * 2.5 * cloud(shape, grain=size * 0.15, rng=rng, stretch=3))[..., None]
    for scale, strength in ((1.0, 0.42), (0.84, 0.16)):  # the rim, and the ring of an old level
        rims = [polygon_mask(shape, [oval_points(well, scale=scale * grow, down=down) for well in layout.wells],
                             soft=size * 0.016) for grow, down in ((1.02, 0.0), (0.96, 0.035))]  # fmt: skip
        lay(canvas, strength * np.clip(rims[0] - rims[1], 0, 1), SOOT)
    shadow = cv2.GaussianBlur(dross, (0, 0), size * 0.05) * ovals
    lay(canvas, 0.45 * np.clip(shadow * 1.4, 0, 1) * (1 - dross), SOOT)
    lay(canvas, dross, DROSS)
    tone = 2.5 * cloud(shape, grain=size * 1.5, rng=rng) + 3 * cloud(shape, grain=size * 0.3, rng=rng)
    canvas += (dross * tone)[..., None] * SHADE
    notches = [outline(well, [(0.27, 0.5 + rng.uniform(0, 0.15)), (0.26, 0.95)])
               for well in layout.wells if not well.upper]  # fmt: skip
    notch = polygon_mask(shape, notches, soft=size * 0.05)
    notch *= np.clip(0.5 + 0.3 * cloud(shape, grain=size * 1.2, rng=rng), 0.1, 0.95)
    lay(canvas, notch, SOOT)
    contrast = np.clip(1 + 0.3 * cloud(shape, grain=size * 1.5, rng=rng), 0.5, 1.6)
    return np.asarray(dross * contrast, np.float32)


def dross_texture(layout: Layout, rng: np.random.Generator) -> F32:
    """Rough skin in grey levels: grains, lumps, dark cracks and a few glints."""
    shape, size = (layout.height, layout.width), layout.unit
    fine, lumps = (cloud(shape, grain=max(1.2, size * share), rng=rng) for share in (0.05, 0.12))
    cracks = np.clip(0.35 - np.abs(cloud(shape, grain=size * 0.16, rng=rng)), 0, 1)
    glints = np.clip(cloud(shape, grain=max(1.5, size * 0.06), rng=rng) - 2.1, 0, 1.5)
    return np.asarray(4.2 * fine + 3 * lumps - 20 * cracks + 24 * glints, np.float32)


def paint_keys(layout: Layout, rng: np.random.Generator, *, count: int) -> list[U8]:
    """The scene at rest at ``count`` moments, between which the dross creeps a little: fade from one to the next."""
    canvas = paint_hall(layout, rng)
    paint_plate(canvas, layout, rng)
    paint_launders(canvas, layout, rng)
    shows = paint_wells(canvas, layout, rng)
    cast = 1 + rng.uniform(-0.03, 0.03, 3)
    shape = (layout.height, layout.width)
    vignette = 1 - 0.09 * np.hypot(*np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[0]))) ** 2
    light = vignette[..., None].astype(np.float32) * (cast * rng.uniform(0.97, 1.05)).astype(np.float32)
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
