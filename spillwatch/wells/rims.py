"""Where a picture shows what may be the rim of a well, whatever its brightness: the first step of finding wells.

A well is an oval whose shaded inside is darker than the pale plate around it, and dross runs from it over its neck into
the launder. So its left and right rims are always dark within; the rim away from the viewer is dark within at an upper
well (the launder lies below it) and bright within at a lower one (there the neck comes in).
Edges are compared by direction, not by strength, after C. Steger, "Occlusion, clutter, and illumination invariant
object recognition" (2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from spillwatch.records import F32, F64, U8, Bools

TEMPLATE = 28.0  # px: a well's width in the picture that is searched; finer gains nothing, at 22 clutter wins
ASPECT = 0.65  # height over width of the oval; a tenth more or less still answers
_STEP = 1.17  # between scales; the rim is about a tenth of the width thick
_WIDEST, _NARROWEST = 15, 70  # a well's width is between these parts of the picture's width
_LEAST = 16.0  # px: in narrower wells no rim is to be seen
_QUOTA = 220  # marks of a kind kept at a scale: a table of 100 wells and as much clutter


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Places that look like wells: ``xy`` (n, 2) and ``width`` (n,) float64 px, ``score`` (n,), ``upper`` (n,) bool."""

    xy: F64
    width: F64
    score: F64
    upper: Bools


def find_marks(grey: U8) -> Marks:
    """Likely wells of every size in an (H, W) uint8 picture."""
    found = []
    width = max(grey.shape[1] / _NARROWEST, _LEAST)
    while width < grey.shape[1] / _WIDEST:
        found += _marks_of_width(grey, width)
        width *= _STEP
    rows = np.array(found, np.float64).reshape(-1, 5)
    return Marks(xy=rows[:, :2], width=rows[:, 2], score=rows[:, 3], upper=rows[:, 4] > 0)


def _marks_of_width(grey: U8, width: float) -> list[tuple[float, float, float, float, float]]:
    """x, y, width, score, upper of the best peaks at one scale."""
    shrink = TEMPLATE / width
    method = cv2.INTER_AREA if shrink < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=method), np.uint8)
    near = np.ones((round(TEMPLATE * 0.3) | 1, round(TEMPLATE * 0.6) | 1), np.uint8)
    found = []
    gx, gy = directions(small)
    answers = rim_answers(gx, gy, width=TEMPLATE, height=ASPECT * TEMPLATE)
    for upper, answer in zip((1.0, 0.0), map(_without_lines, answers), strict=True):
        ys, xs = np.nonzero((answer == cv2.dilate(answer, near)) & (answer > 0.1))
        best = np.argsort(-answer[ys, xs])[:_QUOTA]
        found += [((x + 0.5) / shrink - 0.5, (y + 0.5) / shrink - 0.5, width, float(answer[y, x]), upper)
                  for x, y in zip(xs[best], ys[best], strict=True)]  # fmt: skip
    return found


def _without_lines(answer: F32) -> F32:
    """An edge that runs on to the left and right answers everywhere along it; a well only at its centre."""
    tall, aside = cv2.dilate(answer, np.ones((5, 1), np.uint8)), round(TEMPLATE / 2)
    along = np.minimum(np.roll(tall, aside, 1), np.roll(tall, -aside, 1))
    return np.asarray(answer - 0.5 * np.maximum(along, 0), np.float32)


def rim_answers(gx: F32, gy: F32, *, width: float, height: float) -> tuple[F32, F32]:
    """(H, W) float32 each, about -1..1: how much an upper, and a lower, well's rim of this size is centred there."""
    left, right, top = (filter_with(kernel, gx, gy) for kernel in arc_kernels(width, height)[:3])
    sides, sum_ = np.minimum(left, right), left + right
    upper = np.minimum(sides, top) / 2 + (sum_ + top) / 6
    lower = np.minimum(sides, -top) / 2 + (sum_ - top) / 6
    return np.asarray(upper, np.float32), np.asarray(lower, np.float32)


def hole_answer(gx: F32, gy: F32, *, width: float, height: float) -> F32:
    """(H, W) float32, about -1..1: how much an oval that is dark on the left, the right and below is centred there."""
    left, right, _, bottom = (filter_with(kernel, gx, gy) for kernel in arc_kernels(width, height))
    return np.asarray(np.minimum(np.minimum(left, right), bottom) / 2 + (left + right + bottom) / 6, np.float32)


def filter_with(kernel: tuple[F32, F32], gx: F32, gy: F32) -> F32:
    """(H, W) float32: how well edges of these directions run along an arc centred there."""
    return np.asarray(cv2.filter2D(gx, -1, kernel[0]) + cv2.filter2D(gy, -1, kernel[1]), np.float32)


def directions(grey: U8) -> tuple[F32, F32]:
    """(H, W) float32 each: the gradient of log brightness, of length 1 where it stands out, less in noise."""
    log = cv2.GaussianBlur(np.log(grey.astype(np.float32) + 30), (0, 0), 0.7)
    gx, gy = cv2.Sobel(log, cv2.CV_32F, 1, 0), cv2.Sobel(log, cv2.CV_32F, 0, 1)
    size = cv2.magnitude(gx, gy)
    size = size + 0.5 * cv2.blur(size, (61, 61)) + np.float32(0.3 * size.mean() + 1e-6)
    return np.asarray(gx / size, np.float32), np.asarray(gy / size, np.float32)


def arc_kernels(width: float, height: float) -> list[tuple[F32, F32]]:
    """Kernels (x and y part) of an oval's outward normals along its left, right, top and bottom arcs."""
    a, b = width / 2, height / 2
    y, x = np.mgrid[-int(b + 3) : int(b + 3) + 1, -int(a + 3) : int(a + 3) + 1].astype(np.float64)
    nx, ny = x / a**2, y / b**2
    length = np.hypot(nx, ny) + 1e-9
    off = ((x / a) ** 2 + (y / b) ** 2 - 1) / (2 * length)  # px from the outline, to first order
    weight, angle = np.exp(-0.5 * (off / 0.8) ** 2), np.degrees(np.arctan2(x / a, -y / b))
    arcs = []
    sectors = ((angle > -115) & (angle < -42), (angle < 115) & (angle > 42), np.abs(angle) < 42, np.abs(angle) > 138)
    for inside in sectors:
        share = weight * inside / (weight * inside).sum() / length
        arcs.append((np.asarray(share * nx, np.float32), np.asarray(share * ny, np.float32)))
    return arcs
