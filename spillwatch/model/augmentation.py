"""What a camera, a crew and a crack can do to a well's picture, drawn at random for training.

Pictures are (crops, 3, height, width) float32 RGB in 0..1, resized and blurred but not yet centre-cropped. All chance
comes from the generator handed in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Generator, Tensor

Span = tuple[float, float]

VISIBLE = 0.25  # share of a spill in sight that any one thing before it must leave so
MISLOCATED = 0.15  # share of the normal wells


def uniform(g: Generator, count: int, low: float, high: float, *, channels: int = 1) -> Tensor:
    """(count, channels, 1, 1) in low..high."""
    return torch.rand((count, channels, 1, 1), generator=g) * (high - low) + low


def working(wells: Tensor, normal: Tensor, g: Generator, *, share: float) -> Tensor:
    """Normal wells as a line shows them: some with a neighbour, of ``normal``, in view; a ``share`` behind things."""
    count = round(len(wells) * MISLOCATED)
    astray = mislocated(wells[:count], _some(normal, count, g), g)
    return occluded(torch.cat([astray, wells[count:]]), g, share=share)


def spilt(normal: Tensor, spill: Tensor, count: int, g: Generator) -> Tensor:
    """``count`` spills of each kind, as filmed, set into other wells, drained; most behind things."""
    poured, set_in = (upended(_some(spill, count, g), g) for _ in range(2))
    moved, stream = transferred(_some(normal, count, g), set_in, g)
    emptied, oval = drained(_some(normal, count, g), g)
    return occluded(torch.cat([poured, moved, emptied]), g, share=0.5, where=torch.cat([middle(poured), stream, oval]))


def _some(pictures: Tensor, count: int, g: Generator) -> Tensor:
    return pictures[torch.randint(len(pictures), (count,), generator=g)]


def drained(normal: Tensor, g: Generator) -> tuple[Tensor, Tensor]:
    """Normal wells turned into empty ones: a smooth grey-blue oval with a faint rim, in the light of its own crop.

    With them, (crops, 1, height, width), where the oval is.

    No training folder holds such a spill. A line's empty wells are bluer than the crop's mean and lack all texture.
    """
    count = len(normal)
    signed, mask = _oval(g, normal, centre=((21, 27), (12, 18)), radii=((17, 26), (9, 16)), soft=0.6)
    tints = [uniform(g, count, *span) for span in ((0.65, 0.92), (0.82, 1.0), (1.0, 1.25))]
    colour = normal.mean((2, 3), keepdim=True) * torch.cat(tints, 1) * uniform(g, count, 0.8, 1.15)
    y, x = _grid(normal)
    slope = (x / x.max() - 0.5) * uniform(g, count, -0.12, 0.12) + (y / y.max() - 0.5) * uniform(g, count, -0.2, 0.2)
    fill = colour * (1 + slope + _clouds(g, normal, cells=(3, 4), strength=0.02))
    rim = torch.exp(-((signed / uniform(g, count, 0.8, 2.0)) ** 2)) * uniform(g, count, -0.2, 0.2)
    upper_only = (uniform(g, count, 0, 1) < 0.5) & (y > uniform(g, count, 6, 16))
    fill = fill * (1 + rim * ~upper_only)
    return torch.lerp(normal, fill, mask * uniform(g, count, 0.85, 1.0)), mask


def transferred(normal: Tensor, pour: Tensor, g: Generator) -> tuple[Tensor, Tensor]:
    """Pours set into other wells, so that it is the stream that counts and not the one cast it was seen in; and where.

    ``where`` is (crops, 1, height, width) in 0..1, as for ``drained``.
    """
    count = len(normal)
    _, mask = _oval(g, normal, centre=((20, 28), (13, 21)), radii=((7, 16), (8, 17)), soft=1.5, tilt=0.6)
    light = normal.mean((2, 3), keepdim=True) / pour.mean((2, 3), keepdim=True).clamp(min=1e-3)
    return torch.lerp(normal, pour * (1 + (light - 1) * uniform(g, count, 0, 1)), mask), mask


def middle(pictures: Tensor) -> Tensor:
    """Where a filmed pour is thought to be: (crops, 1, height, width) in 0..1, highest in the middle."""
    height, width = pictures.shape[-2:]
    y, x = _grid(pictures)
    near = torch.exp(-(((x / width - 0.5) / 0.2) ** 2) - ((y / height - 0.5) / 0.28) ** 2)
    return near.expand(len(pictures), 1, height, width)


def upended(pictures: Tensor, g: Generator) -> Tensor:
    """Half of them upside down: all known pours have their neck above, half of a table's wells have it below."""
    return torch.where(uniform(g, len(pictures), 0, 1) < 0.5, pictures.flip(2), pictures)


def mislocated(pictures: Tensor, others: Tensor, g: Generator) -> Tensor:
    """Crops off by up to half a well, with a strip of plate or launder and then another well coming into view."""
    count, _, height, width = pictures.shape
    y, x = (axis.expand(height, width) for axis in _grid(pictures))
    upright = uniform(g, count, 0, 1) < 0.6
    along, size = torch.where(upright, y, x), torch.where(upright, float(height), float(width))
    shift = uniform(g, count, 0.1, 0.6) * size
    strip = uniform(g, count, 0, 1) * torch.where(upright, 16.0, 12.0)
    # Towards the end of each axis only: the whole is turned about at times.
    beyond = along - (size - shift)  # pixels past the first crop's end, negative inside it
    place = torch.where(beyond < strip / 2, along + shift, beyond - strip).clamp(min=0).minimum(size - 1)
    columns, rows = torch.where(upright, x, place), torch.where(upright, place, y)
    grid = torch.cat([(columns * 2 + 1) / width - 1, (rows * 2 + 1) / height - 1], 1).permute(0, 2, 3, 1)
    first, second = (F.grid_sample(p, grid, padding_mode="border", align_corners=False) for p in (pictures, others))
    tints = [uniform(g, count, *span) for span in ((0.65, 1.0), (0.85, 1.05), (0.9, 1.25))]
    colour = pictures.mean((2, 3), keepdim=True) * torch.cat(tints, 1) * uniform(g, count, 0.6, 1.25)
    colour = colour * (1 + _clouds(g, pictures, cells=(3, 4), strength=0.04))
    sharp = uniform(g, count, 1.3, 4)
    result = torch.lerp(first, colour, torch.sigmoid(beyond * sharp))
    result = torch.lerp(result, second, torch.sigmoid((beyond - strip) * sharp))
    return torch.where(uniform(g, count, 0, 1) < 0.5, result.flip(2, 3), result)


def occluded(pictures: Tensor, g: Generator, *, share: float, where: Tensor | None = None) -> Tensor:
    """Gloves, sleeves, hoses: each well stays what it is behind a blob, a bar, both or neither.

    ``share`` is the chance of each of the two. Neither is put there if it would leave in sight less than ``VISIBLE`` of
    what was of ``where`` (crops, 1, height, width): a spill that is wholly hidden is none to the eye.
    """
    for shape in (_blob, _bar):
        colour, cover = _thing(pictures, shape(pictures, g), g, share=share)
        if where is not None:
            left = where * (1 - cover)
            cover = cover * (left.sum((2, 3), keepdim=True) >= VISIBLE * where.sum((2, 3), keepdim=True))
            where = where * (1 - cover)
        pictures = torch.lerp(pictures, colour, cover)
    return pictures


def _thing(pictures: Tensor, signed: Tensor, g: Generator, *, share: float) -> tuple[Tensor, Tensor]:
    """Colour and cover of something opaque where ``signed`` is negative, its edge anywhere from sharp to blurred."""
    count = len(pictures)
    # Any brightness; a tint that may be skin or rubber but seldom a drained well's.
    strength = torch.tensor([1.0, 0.7, 1.0]).view(1, 3, 1, 1) * uniform(g, count, 0, 0.35)
    colour = uniform(g, count, 0.02, 0.85) * (1 + uniform(g, count, -1, 1, channels=3) * strength)
    colour = colour * (1 + _clouds(g, pictures, cells=(5, 7), strength=0.08))
    y, x = _grid(pictures)
    angle, pitch = uniform(g, count, 0, 2 * math.pi), uniform(g, count, 0.15, 0.9)
    folds = torch.sin((torch.cos(angle) * x + torch.sin(angle) * y) * pitch)
    colour = colour * (1 + folds * uniform(g, count, -0.35, 0.35) * (uniform(g, count, 0, 1) < 0.5))
    return colour, torch.sigmoid(-signed * uniform(g, count, -0.5, 2.0).exp()) * (uniform(g, count, 0, 1) < share)


def _blob(pictures: Tensor, g: Generator) -> Tensor:
    """An oval from the edge inwards, as a signed distance."""
    count, _, height, width = pictures.shape
    around, reach = uniform(g, count, 0, 2 * math.pi), uniform(g, count, 0.5, 1.25)
    y, x = _grid(pictures)
    dx = x - width / 2 * (1 + 0.75 * reach * torch.cos(around))
    dy = y - height / 2 * (1 + reach * torch.sin(around))
    return _signed(dx, dy, uniform(g, count, 2, 14), uniform(g, count, 3, 30), uniform(g, count, 0, math.pi))


def _bar(pictures: Tensor, g: Generator) -> Tensor:
    """A straight band across the crop, or all that lies beyond a line, as a signed distance."""
    count, _, height, width = pictures.shape
    y, x = _grid(pictures)
    angle = uniform(g, count, 0, 2 * math.pi)
    beyond = torch.cos(angle) * (x - width / 2) + torch.sin(angle) * (y - height / 2) - uniform(g, count, 0, 24)
    breadth = torch.where(uniform(g, count, 0, 1) < 0.5, uniform(g, count, 2, 13), 2.0 * width)
    return torch.maximum(-beyond, beyond - breadth)


def window(pictures: Tensor, g: Generator, *, size: int, shift: float, zoom: float) -> Tensor:
    """A ``size`` window near the middle, moved by up to ``shift`` pixels, scaled by up to ``zoom``, mirrored or not."""
    count, _, height, width = pictures.shape
    flip = torch.where(torch.rand(count, generator=g) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = (1 + uniform(g, count, -zoom, zoom).flatten()) * flip * size / width
    matrix[:, 1, 1] = (1 + uniform(g, count, -zoom, zoom).flatten()) * size / height
    matrix[:, 0, 2] = uniform(g, count, -shift, shift).flatten() * 2 / width
    matrix[:, 1, 2] = uniform(g, count, -shift, shift).flatten() * 2 / height
    grid = F.affine_grid(matrix, [count, 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def filmed(pictures: Tensor, g: Generator, *, gain: float) -> Tensor:
    """Another moment of the camera: softer or sharper, brighter or darker, a cast of colour, noise."""
    count = len(pictures)
    soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    pictures = torch.lerp(pictures, soft, uniform(g, count, -0.3, 0.6))
    light = uniform(g, count, -gain, gain) + uniform(g, count, -0.05, 0.05, channels=3)
    pictures = pictures * light.exp() + uniform(g, count, -0.03, 0.03)
    noise = torch.randn(pictures.shape, generator=g) * uniform(g, count, 0, 0.012)
    return (pictures + noise).clamp(0, 1)


def _grid(pictures: Tensor) -> tuple[Tensor, Tensor]:
    height, width = pictures.shape[-2:]
    return torch.arange(height).float()[:, None], torch.arange(width).float()[None, :]


def _signed(dx: Tensor, dy: Tensor, rx: Tensor, ry: Tensor, tilt: Tensor) -> Tensor:
    """About the distance in pixels to an ellipse's edge, negative inside."""
    cos, sin = torch.cos(tilt), torch.sin(tilt)
    radius = torch.sqrt(((cos * dx + sin * dy) / rx) ** 2 + ((cos * dy - sin * dx) / ry) ** 2)
    return (radius - 1) * torch.minimum(rx, ry)


def _oval(
    g: Generator,
    pictures: Tensor,
    *,
    centre: tuple[Span, Span],
    radii: tuple[Span, Span],
    soft: float,
    tilt: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Signed distance and soft mask of random ovals; spans are pixels of a 32x48 crop, scaled to the picture's size."""
    count, _, height, width = pictures.shape
    rows, columns = _grid(pictures)
    dx = columns * (48 / width) - uniform(g, count, *centre[0])
    dy = rows * (32 / height) - uniform(g, count, *centre[1])
    angle = uniform(g, count, -tilt, tilt)
    signed = _signed(dx, dy, uniform(g, count, *radii[0]), uniform(g, count, *radii[1]), angle)
    return signed, torch.sigmoid(-signed / soft)


def _clouds(g: Generator, pictures: Tensor, *, cells: tuple[int, int], strength: float) -> Tensor:
    """Slow variations of brightness around 0."""
    coarse = torch.randn((len(pictures), 1, *cells), generator=g) * strength
    return F.interpolate(coarse, pictures.shape[-2:], mode="bilinear", align_corners=True)
