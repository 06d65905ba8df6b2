"""A small site with a spill that does not end: a broker, a camera, somebody who listens and commands."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.conftest import ROOT
from tools.rig import program, wait_until
from tools.rig.broker import Broker, Subscriber
from tools.rig.daemon import DaemonProcess
from tools.rig.rtsp import RtspServer, annex_b

if TYPE_CHECKING:
    from pathlib import Path

BASE = "spillwatch/cast1"
FPS = 12.5


class Scene:
    """A clip to be repeated in which one well spills from the first picture to the last."""

    def __init__(self, folder: Path) -> None:
        video, part = folder / "line.mp4", folder / "part.mp4"
        size = ("--size", "640x400", "--seconds", "24", "--spills", "1", "--spill-s", "16", "--seed", "5")
        subprocess.run([sys.executable, ROOT / "tools/simulate_line.py", video, *size], check=True, capture_output=True)
        (spill,) = json.loads(video.with_suffix(".json").read_text())["spills"]
        begin, end = spill["start_s"] + 1, spill["end_s"] - 1
        cut = [program("ffmpeg"), "-v", "error", "-ss", str(begin), "-t", str(end - begin), "-i", video, part]
        subprocess.run(cut, check=True)
        self.well = spill["well"]
        self.wells = video.with_suffix(".wells.toml")
        self.stream = annex_b(part, folder / "part.h264")


class Site:
    """Entering starts broker, camera and listener; daemons are the test's own."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        self.folder, self.scene = folder, scene
        self.broker = Broker(folder)
        self.camera = RtspServer(scene.stream, fps=FPS)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self.broker)
            stack.enter_context(self.camera)
            self.subscriber = stack.enter_context(Subscriber(self.broker.port, f"{BASE}/#", session="crew"))
            self._stack = stack.pop_all()
        self.configure()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def configure(self, *more: str, cameras: tuple[str, ...] = ("table",), on_s: float = 0.35) -> None:
        """Write the settings file."""
        lines = ['site = "cast1"', "[mqtt]", 'host = "127.0.0.1"', f"port = {self.broker.port}"]
        lines += ["[events]", 'path = "events.jsonl"', "[detection]", f"on_s = {on_s}", *more]
        for name in cameras:
            lines += ["[[cameras]]", f'id = "{name}"', 'kind = "rtsp"', f'url = "{self.camera.url()}"']
            lines += [f'wells = "{self.scene.wells}"']
        self.config.write_text("\n".join(lines) + "\n")

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def daemon(self, **environment: str) -> DaemonProcess:
        return DaemonProcess(self.config, self.folder, **environment)

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        """What was heard on the topic of all events, each id once, of these values."""
        heard = [json.loads(text) for text in self.subscriber.on(f"{BASE}/alarms")]
        once = {event["id"]: event for event in heard}.values()
        return [event for event in once if all(event[name] == value for name, value in wanted.items())]

    def said(self, topic: str) -> list[dict[str, Any]]:
        """The payloads on a topic below the base."""
        return [json.loads(text) for text in self.subscriber.on(f"{BASE}/{topic}")]

    def wait(self, condition: Any, daemon: DaemonProcess, *, within_s: float = 30) -> None:
        """Until it holds; the daemon's log tells why it did not."""
        try:
            wait_until(condition, within_s=within_s)
        except Exception as exc:
            raise AssertionError(f"{exc}\n{self.events()}\n{daemon.log()[-4000:]}") from exc

    def command(self, **command: Any) -> dict[str, Any]:
        """Send one and give its answer."""
        before = len(self.said("cmd/result"))
        words = ["-V", "5", "-p", str(self.broker.port), "-q", "1", "-t", f"{BASE}/cmd", "-m", json.dumps(command)]
        subprocess.run([program("mosquitto_pub"), *words], check=True)
        wait_until(lambda: len(self.said("cmd/result")) > before)
        return self.said("cmd/result")[before]
