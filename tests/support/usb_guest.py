"""What test_usb.py does with the camera inside the guest: one line of JSON per story, in order."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from spillwatch.config import CameraSettings  # noqa: E402 - the path comes first
from spillwatch.errors import SourceError  # noqa: E402
from spillwatch.records import Frame, Gap  # noqa: E402
from spillwatch.sources.live import LiveCamera  # noqa: E402
from spillwatch.sources.usb import UsbSource  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

READ_TIMEOUT_S = 2.0
LOST_AFTER_S = 1.0


def source(device: str | int = "/dev/video0", **asked: Any) -> UsbSource:
    return UsbSource(
        CameraSettings(
            id="table", kind="usb", wells=Path("w.toml"), device=device, read_timeout_s=READ_TIMEOUT_S, **asked
        )
    )


def control(setting: str) -> None:
    subprocess.run(["v4l2-ctl", "-d", "/dev/video0", "-c", setting], check=True, capture_output=True)


def frames() -> dict[str, Any]:
    with source(0, width=640, height=360, fps=15, pixel_format="YUYV") as camera:
        taken = list(itertools.islice(camera, 5))
    times = [frame.time_s for frame in taken]
    return {
        "device": str(camera.device),
        "shapes": [taken[0].planes.y.shape, taken[0].planes.u.shape],
        "spread": float(taken[0].planes.y.std()),
        "moves": bool((taken[0].planes.y != taken[-1].planes.y).any()),
        "monotonic": times == sorted(times),
        "camera": taken[0].camera,
    }


def missing() -> None:
    with source("/dev/video9"):
        pass


def no_camera() -> None:
    with source("/dev/null"):
        pass


def wrong_size() -> None:
    with source(width=650, height=490):
        pass


def wrong_format() -> None:
    with source(width=640, height=360, pixel_format="MJPG"):
        pass


def busy() -> None:
    with source() as first:
        next(iter(first))
        with source() as second:
            next(iter(second))


def frozen() -> None:
    with source(width=640, height=360) as camera:
        pictures = iter(camera)
        next(pictures)
        control("percentage_of_dropped_buffers=100")
        try:
            for _ in pictures:
                pass
        finally:
            control("percentage_of_dropped_buffers=0")


def unplugged() -> None:
    with source(width=640, height=360) as camera:
        pictures = iter(camera)
        next(pictures)
        control("disconnect=1")
        for _ in pictures:
            pass


class Watch:
    """A camera that is watched for good, and what it gave, in order."""

    def __init__(self, **asked: Any) -> None:
        self.told: list[str] = []
        self.live = LiveCamera("table", lambda: source(**asked), lost_after_s=LOST_AFTER_S, wake=lambda: None)

    def until(self, kind: type[Frame] | type[Gap], *, of: str = "", within_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            taken = self.live.take()
            if isinstance(taken, kind) and of in getattr(taken, "reason", ""):
                self.told.append(getattr(taken, "reason", "frame"))
                return
            time.sleep(0.02)
        raise TimeoutError(f"no {kind.__name__} {of} after {self.told}: {self.live.counters}")


def unplugged_and_back() -> dict[str, Any]:
    """vivid's camera is plugged in again when the last program lets it go."""
    watch = Watch(width=640, height=360)
    with watch.live:
        watch.until(Frame)
        for _ in range(2):
            holder = os.open("/dev/video0", os.O_RDWR)
            control("disconnect=1")
            watch.until(Gap, of="unplugged")
            os.close(holder)
            watch.until(Frame)
    return {"told": watch.told, "abandoned": watch.live.counters.abandoned}


def frozen_and_back() -> dict[str, Any]:
    watch = Watch(width=640, height=360)
    with watch.live:
        watch.until(Frame)
        control("percentage_of_dropped_buffers=100")
        watch.until(Gap, of="frozen")
        control("percentage_of_dropped_buffers=0")
        watch.until(Frame)
    return {"told": watch.told, "abandoned": watch.live.counters.abandoned}


def busy_and_back() -> dict[str, Any]:
    watch = Watch()
    with source() as other:
        next(iter(other))
        with watch.live:
            watch.until(Gap, of="busy")
            other.__exit__()
            watch.until(Frame)
    return {"told": watch.told, "abandoned": watch.live.counters.abandoned}


def tell(story: Callable[[], Any]) -> None:
    began_s = time.monotonic()
    try:
        told: dict[str, Any] = {"result": story()}
    except SourceError as exc:
        told = {"error": str(exc)}
    except Exception as exc:  # noqa: BLE001 - the test shows it
        told = {"unexpected": repr(exc)}
    told.update(story=story.__name__, seconds=round(time.monotonic() - began_s, 1))
    print("STORY " + json.dumps(told), flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    for each in (frames, missing, no_camera, wrong_size, wrong_format, busy, frozen, frames, unplugged):
        tell(each)
    for each in (busy_and_back, frozen_and_back, unplugged_and_back):
        tell(each)
