"""Small pictures of what cameras see, made only while somebody looks."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spillwatch.pictures import to_bgr
from spillwatch.records import U8, Planes

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.page.base import Plan, Sighting, Site

WIDEST = 1280  # pixels: more than a screen with a list beside it can show
EVERY_S = 0.2  # of one camera, however many look
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 72]


@dataclass(frozen=True, slots=True)
class Shot:
    """A JPEG of a frame that is ``width`` x ``height``, whose wells have moved by ``shift`` pixels of it."""

    jpeg: bytes
    width: int
    height: int
    shift: tuple[float, float]
    time_s: float


class Shots:
    """The newest shot of each camera; one that was just made serves everybody."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._locks = {plan.camera: threading.Lock() for plan in site.plans()}
        self._made: dict[str, tuple[float, Shot]] = {}

    def newest(self, camera: str) -> Shot | None:
        """None before the camera's first frame. May be called from any thread."""
        with self._locks[camera]:
            made_s, shot = self._made.get(camera, (0.0, None))
            if shot is not None and time.monotonic() - made_s < EVERY_S:
                return shot
            sighting = self._site.sighting(camera)
            if sighting is None:
                return None
            if shot is None or shot.time_s != sighting.frame.time_s:
                shot = _shoot(sighting, widest=WIDEST)
            self._made[camera] = (time.monotonic(), shot)
            return shot

    def reference(self, plan: Plan) -> Shot | None:
        """The picture that the wells were located on, in full; without one, the newest frame."""
        path = plan.wells.reference
        if path is not None and (bgr := _read(path)) is not None:
            height, width = bgr.shape[:2]
            return Shot(_encode(bgr), width, height, (0.0, 0.0), 0.0)
        sighting = self._site.sighting(plan.camera)
        return _shoot(sighting, widest=1 << 14) if sighting else None


def _shoot(sighting: Sighting, *, widest: int) -> Shot:
    planes = sighting.frame.planes
    small = _shrink(planes, widest) if planes.width > widest else planes
    return Shot(_encode(to_bgr(small)), planes.width, planes.height, sighting.shift, sighting.frame.time_s)


def _shrink(planes: Planes, width: int) -> Planes:
    """Each plane made small before colours are computed, so that no full frame ever is."""
    height = round(planes.height * width / planes.width)
    half = ((width + 1) // 2, (height + 1) // 2)
    y, u, v = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane, size in ((planes.y, (width, height)), (planes.u, half), (planes.v, half))
    )
    return Planes(y=y, u=u, v=v, full_range=planes.full_range)


def _encode(bgr: U8) -> bytes:
    _, jpeg = cv2.imencode(".jpg", bgr, _QUALITY)
    return jpeg.tobytes()


def _read(path: Path) -> U8 | None:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return None if bgr is None else np.asarray(bgr, np.uint8)
