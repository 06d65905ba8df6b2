"""What a camera, a crew and a crack can do to a well's picture, drawn at random for training.

Pictures are (crops, 3, height, width) float32 RGB in 0..1, resized and blurred but not yet centre-cropped. All chance
comes from the generator handed in.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

Span = tuple[float, float]

VISIBLE = 0.25  # share of a spill in sight that any one thing before it must leave so
MISLOCATED = 0.15  # share of the normal wells


def uniform(g: Generator, count: int, low: float, high: float, *, channels: int = 1) -> Tensor:
    """(count, channels, 1, 1) in low..high."""
    return torch.empty((count, channels, 1, 1), device=g.device).uniform_(low, high, generator=g)


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
    return pictures.index_select(0, torch.randint(len(pictures), (count,), generator=g, device=g.device))


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
    y, x = _grid(pictures)
    upright = uniform(g, count, 0, 1) < 0.6
    along, size = torch.where(upright, y, x), torch.where(upright, float(height), float(width))
    shift = uniform(g, count, 0.1, 0.6) * size
    strip = uniform(g, count, 0, 1) * torch.where(upright, 16.0, 12.0)
    # Towards the end of each axis only: the whole is turned about at times.
    beyond = along - (size - shift)  # pixels past the first crop's end, negative inside it
    place = torch.where(beyond < strip / 2, along + shift, beyond - strip).clamp(min=0).minimum(size - 1)
    rows = torch.where(upright, place, y)[:, 0, :, 0]
    columns = torch.where(upright, x, place)[:, 0, 0, :]
    first, second = (_resampled(p, _taps(rows, height), _taps(columns, width)) for p in (pictures, others))
    tints = [uniform(g, count, *span) for span in ((0.65, 1.0), (0.85, 1.05), (0.9, 1.25))]
    colour = pictures.mean((2, 3), keepdim=True) * torch.cat(tints, 1) * uniform(g, count, 0.6, 1.25)
    colour = colour * (1 + _clouds(g, pictures, cells=(3, 4), strength=0.04))
    sharp = uniform(g, count, 1.3, 4)
    result = torch.lerp(first, colour, torch.sigmoid(beyond * sharp))
    result = torch.lerp(result, second, torch.sigmoid((beyond - strip) * sharp))
    return torch.where(uniform(g, count, 0, 1) < 0.5, result.flip(2, 3), result)


def occluded(pictures: Tensor, g: Generator, *, share: float, where: Tensor | None = None) -> Tensor:
    """Gloves, sleeves, hoses: each well stays what it is behind a blob, a bar, both or neither.

    ``share`` is that of the wells that get each of the two. Neither is put there if the two would leave in sight less
    than ``VISIBLE`` of ``where`` (crops, 1, height, width): a spill that is wholly hidden is none to the eye.
    """
    pictures = pictures.clone()
    seen = None if where is None else where.clone()
    for shape in (_blob, _bar):
        chosen = torch.randperm(len(pictures), generator=g, device=g.device)[: round(len(pictures) * share)]
        behind = pictures.index_select(0, chosen)
        colour, shade, cover = _thing(behind, shape(behind, g), g)
        if where is not None and seen is not None:
            left = seen[chosen] * (1 - cover)
            enough = left.sum((2, 3), keepdim=True) >= VISIBLE * where[chosen].sum((2, 3), keepdim=True)
            cover = cover * enough
            seen[chosen] = torch.where(enough, left, seen[chosen])
        pictures[chosen] = (behind * (1 - cover)).addcmul_(colour, shade * cover)
    return pictures


def _thing(pictures: Tensor, signed: Tensor, g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, shade and cover of something opaque where ``signed`` is negative, its edge from sharp to blurred."""
    count = len(pictures)
    # Any brightness; a tint that may be skin or rubber but seldom a drained well's.
    strength = torch.tensor([1.0, 0.7, 1.0], device=g.device).view(1, 3, 1, 1) * uniform(g, count, 0, 0.35)
    colour = uniform(g, count, 0.02, 0.85) * (1 + uniform(g, count, -1, 1, channels=3) * strength)
    y, x = _grid(pictures)
    angle, pitch = uniform(g, count, 0, 2 * math.pi), uniform(g, count, 0.15, 0.9)
    folds = torch.sin(torch.cos(angle) * pitch * x + torch.sin(angle) * pitch * y)
    folded = uniform(g, count, -0.35, 0.35) * (uniform(g, count, 0, 1) < 0.5)
    shade = (1 + _clouds(g, pictures, cells=(5, 7), strength=0.08)) * (1 + folds * folded)
    return colour, shade, torch.sigmoid(signed * -uniform(g, count, -0.5, 2.0).exp())


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


def filmed(pictures: Tensor, g: Generator, *, size: int, shift: float, zoom: float, gain: float) -> Tensor:
    """Another moment of the camera: a ``size`` window near the middle, and other light.

    It is moved by up to ``shift`` pixels, scaled by up to ``zoom``, mirrored or not, softer or sharper, brighter or
    darker by up to ``gain`` (as log), with a cast of colour and noise. All that is done along rows and columns is one
    matrix for each, which is several times quicker than a general warp.
    """
    count, _, height, width = pictures.shape
    ahead = torch.arange(size, device=g.device) - (size - 1) / 2
    flip = torch.where(_each(g, count, 0, 1) < 0.5, -1.0, 1.0)
    rows = (height - 1) / 2 + _each(g, count, -shift, shift) + ahead * (1 + _each(g, count, -zoom, zoom))
    columns = (width - 1) / 2 + _each(g, count, -shift, shift) + ahead * (1 + _each(g, count, -zoom, zoom)) * flip
    soft = _each(g, count, -0.3, 0.6)[..., None]
    result = _resampled(pictures, *(_softened(_taps(*axis), soft) for axis in ((rows, height), (columns, width))))
    light = uniform(g, count, -gain, gain) + uniform(g, count, -0.05, 0.05, channels=3)
    result = result.mul_(light.exp()).add_(uniform(g, count, -0.03, 0.03))
    return result.addcmul_(_noise(g, result), uniform(g, count, 0, 0.012)).clamp_(0, 1)


def _each(g: Generator, count: int, low: float, high: float) -> Tensor:
    return uniform(g, count, low, high)[:, :, 0, 0]


def _taps(places: Tensor, length: int) -> Tensor:
    """(..., places, length): what each pixel weighs at each place, by linear interpolation, edges repeated."""
    pixels = torch.arange(length, device=places.device)
    return (1 - (places.clamp(0, length - 1)[..., None] - pixels).abs_()).clamp_(min=0)


def _softened(taps: Tensor, soft: Tensor) -> Tensor:
    """The same, then drawn by ``soft`` towards the mean of three neighbours, or away from it."""
    spread = (torch.cat([taps[:, :1], taps[:, :-1]], 1) + taps + torch.cat([taps[:, 1:], taps[:, -1:]], 1)) / 3
    return torch.lerp(taps, spread, soft)


def _resampled(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(crops, channels, height, width) through ``_taps`` of its rows and columns."""
    across = torch.bmm(pictures.flatten(1, 2), columns.transpose(1, 2))
    return torch.matmul(rows[:, None], across.view(*pictures.shape[:3], columns.shape[1]))


def _noise(g: Generator, pictures: Tensor) -> Tensor:
    """Even noise of deviation 1 from random bytes, which cost a sixth of normal deviates."""
    words = torch.randint(-(2**63), 2**63 - 1, (-(-pictures.numel() // 8),), generator=g, device=g.device)
    levels = words.view(torch.int8)[: pictures.numel()].view(pictures.shape)
    return levels.to(pictures.dtype).mul_(math.sqrt(12) / 256)


def _grid(pictures: Tensor) -> tuple[Tensor, Tensor]:
    height, width = (torch.arange(side, device=pictures.device, dtype=torch.float32) for side in pictures.shape[-2:])
    return height[:, None], width[None, :]


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
    coarse = torch.randn((len(pictures), 1, *cells), generator=g, device=g.device).mul_(strength)
    sides = zip(pictures.shape[-2:], cells, strict=True)
    rows, columns = (_taps(torch.linspace(0, n - 1, side, device=g.device), n) for side, n in sides)
    return rows @ coarse @ columns.T
