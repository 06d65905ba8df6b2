"""One broker, some cameras, one daemon, and somebody who hears everything."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tools.faults import oracle
from tools.faults.process import Holdings, holdings, settled
from tools.faults.recorder import BASE, Recorder, retained
from tools.faults.scene import FPS, Scene
from tools.rig import RigError
from tools.rig.broker import Broker, Relay
from tools.rig.daemon import DaemonProcess
from tools.rig.rtsp import RtspServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CALM_S = 4.0
"""So long after the last fault everything that was held up must have arrived."""


@dataclass
class Stage:
    """Entering starts it all and waits until every camera watches; ``close`` ends the daemon and judges."""

    folder: Path
    scenes: Mapping[str, Scene]
    relayed: bool = False
    state: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    streams: dict[str, RtspServer] = field(init=False, default_factory=dict)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self.state = self.state or self.folder / "state"
        self.state.mkdir(exist_ok=True)
        with ExitStack() as stack:
            self.broker = stack.enter_context(Broker(self.folder))
            self.relay = stack.enter_context(Relay(self.broker.port))
            for name, scene in self.scenes.items():
                self.streams[name] = stack.enter_context(RtspServer(scene.stream, fps=FPS, runs_on=True))
            self.recorder = stack.enter_context(Recorder(self.broker.port))
            self.broker.save()
            config = self._configure()
            self.daemon = DaemonProcess(config, self.folder, **self.environment)
            began_s = time.monotonic()
            stack.enter_context(self.daemon)
            self.wait_watching(since_s=began_s)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _configure(self) -> Path:
        port = self.relay.port if self.relayed else self.broker.port
        lines = ['site = "faults"', "[detection]", "off_delay_s = 0.5"]
        lines += ["[alarms]", "realarm_s = 0", "[state]", f'directory = "{self.state}"']
        lines += ["[mqtt]", 'host = "127.0.0.1"', f"port = {port}", "keepalive_s = 5"]
        lines += ["[events]", f'path = "{self.folder / "events.jsonl"}"']
        for name, scene in self.scenes.items():
            url = self.streams[name].url()
            lines += ["[[cameras]]", f'id = "{name}"', 'kind = "rtsp"', f'url = "{url}"', f'wells = "{scene.wells}"']
        path = self.folder / "config.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def wait_watching(self, *, since_s: float, within_s: float = 60) -> None:
        """Until every camera has said that it watches."""
        for name in self.scenes:
            if self.recorder.wait_state(name, "watching", since_s=since_s, within_s=within_s) is None:
                raise RigError(f"camera {name} does not watch after {within_s} s:\n{self.daemon.log()[-3000:]}")

    def holdings(self) -> Holdings:
        """What the daemon holds now."""
        return holdings(self.daemon.process.pid)

    def settled(self) -> Holdings:
        """The same, without what is in passing."""
        return settled(self.daemon.process.pid)

    def written(self) -> list[dict[str, Any]]:
        """The daemon's own events file; a torn last line is left out."""
        lines = (self.folder / "events.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line]

    def judge(self) -> list[str]:
        """End the daemon in order, then say what does not hold of all that was heard."""
        time.sleep(CALM_S)
        faults = []
        code = self.daemon.process.poll()
        if code is not None:
            faults.append(f"the daemon died with code {code}: {self.daemon.log()[-500:]}")
        else:
            self.daemon.terminate()
        time.sleep(1)
        events = self.recorder.events()
        spilling = {name: scene.spilling for name, scene in self.scenes.items()}
        faults += oracle.always(events, written=self.written(), spilling=spilling)
        faults += oracle.present(retained(self.broker.port), events)
        if "Traceback" in self.daemon.log():
            faults.append("a traceback in the daemon's log")
        if not any(heard.topic == f"{BASE}/status" for heard in self.recorder.heard):
            faults.append("the daemon never said that it is online")
        return faults
