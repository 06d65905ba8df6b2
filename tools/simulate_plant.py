"""The MQTT traffic of a plant against one real mosquitto on loopback: what it costs the broker, and how late it comes.

    python -m tools.simulate_plant --cameras 100 --boxes 25
    python -m tools.simulate_plant --pace 50                     heartbeats fifty times as often: how far is the limit?

Every box is the daemon's own publisher with its own connection, in a few processes. Three phases: all boxes start at
once; heartbeats, and an alarm now and then; a flood, in which every well of some cameras raises at the same moment.
Panels subscribe to everything at QoS 1. Latency is from the making of a message to a panel, on this machine's clock.
"""

from __future__ import annotations

import itertools
import json
import logging
import multiprocessing
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import psutil
import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from spillwatch.config import MqttSettings
from spillwatch.publish.mqtt import Identity, MqttPublisher
from spillwatch.records import (
    HEARTBEAT_S,
    AlarmEvent,
    AlarmState,
    CameraState,
    CameraStatus,
    Condition,
    Priority,
    WellState,
    WellStatus,
)
from tools.rig import RigError, wait_until
from tools.rig.broker import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

SETTLE_S = 120.0
PHASES = ("start", "calm", "flood")
mp = multiprocessing.get_context("spawn")


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is played; ``alarms_per_hour`` and ``pace`` hold for each camera in the calm phase."""

    cameras: int
    boxes: int
    wells: int
    seconds: float
    processes: int
    panels: int
    flood_cameras: int
    alarms_per_hour: float
    pace: float
    queue: int = 0

    def cameras_of(self, box: int) -> list[str]:
        """Cameras are dealt out to the boxes in turn."""
        return [f"cam{number:03}" for number in range(box, self.cameras, self.boxes)]

    def floods(self, camera: str) -> bool:
        return int(camera[3:]) < self.flood_cameras


@dataclass
class Box:
    """One daemon's side of MQTT."""

    number: int
    plant: Plant
    port: int
    sequence: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        identity = Identity(base=f"spillwatch/box{self.number:02}", client_id=f"box{self.number}", version="0")
        self.publisher = MqttPublisher(MqttSettings(host="127.0.0.1", port=self.port), identity)
        self.wells = [f"{number // 12 + 1}L{number % 12 + 1}" for number in range(self.plant.wells)]

    def begin(self) -> None:
        """Every well and camera tells its state, as after a start."""
        for camera in self.plant.cameras_of(self.number):
            for well in self.wells:
                at = datetime.now(UTC)
                status = WellStatus(camera=camera, well=well, state=WellState.WATCHING, at=at, since=at)
                self.publisher.publish(status)
            self.heartbeat(camera)

    def heartbeat(self, camera: str) -> None:
        at = datetime.now(UTC)
        status = CameraStatus(
            camera=camera,
            state=CameraState.WATCHING,
            reason=None,
            fps=25.0,
            last_frame_age_s=0.04,
            at=at,
            since=at,
            last_score_age_s=0.04,
            wells={kind: self.plant.wells * (kind == WellState.WATCHING) for kind in WellState},
        )
        self.publisher.publish(status)

    def alarm(self, camera: str, well: str) -> None:
        seq, at = next(self.sequence), datetime.now(UTC)
        event = AlarmEvent(
            id=f"{camera}/{well}/spill/{at:%Y%m%dT%H%M%S.%f}Z-{seq}.1",
            seq=seq,
            camera=camera,
            well=well,
            condition=Condition.SPILL,
            state=AlarmState.UNACKNOWLEDGED,
            active=True,
            acked=False,
            priority=Priority.HIGH,
            at=at,
            score=0.0421,
            threshold=0.0187,
            model="default-00000000",
            delay_ms=38.5,
        )
        self.publisher.publish(event)


def play_boxes(plant: Plant, port: int, first: int, phase: Barrier, counts: Connection) -> None:
    """One process with every so-manieth box, through all phases; sends how many events they made."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    boxes = [Box(number, plant, port) for number in range(first, plant.boxes, plant.processes)]
    with ExitStack() as stack:
        for box in boxes:
            stack.enter_context(box.publisher)
        wait_until(lambda: all(box.publisher.connected for box in boxes), within_s=SETTLE_S)
        for act in (begin, calm, flood):
            phase.wait(SETTLE_S)
            act(plant, boxes)
            wait_until(lambda: not any(box.publisher.pending for box in boxes), within_s=SETTLE_S)
            phase.wait(SETTLE_S + plant.seconds)
        phase.wait(SETTLE_S)  # leaving is no part of the flood
    counts.send(sum(next(box.sequence) - 1 for box in boxes))


def begin(_plant: Plant, boxes: list[Box]) -> None:
    """All boxes start at once."""
    for box in boxes:
        box.begin()


def flood(plant: Plant, boxes: list[Box]) -> None:
    """Every well of some cameras raises at the same moment."""
    for box in boxes:
        for camera in filter(plant.floods, plant.cameras_of(box.number)):
            for well in box.wells:
                box.alarm(camera, well)


def calm(plant: Plant, boxes: list[Box]) -> None:
    """Heartbeats of each camera at its own moment, alarms at random."""
    rng = np.random.default_rng(boxes[0].number)
    every_s = HEARTBEAT_S / plant.pace
    due = [(rng.uniform(0, every_s), box, camera) for box in boxes for camera in plant.cameras_of(box.number)]
    chance = plant.alarms_per_hour * plant.pace * every_s / 3600
    began_s = time.monotonic()
    for turn in itertools.count():
        for at_s, box, camera in sorted(due, key=lambda row: row[0]):
            wait_s = began_s + turn * every_s + at_s - time.monotonic()
            if time.monotonic() - began_s >= plant.seconds:
                return
            if wait_s > 0:
                time.sleep(wait_s)
            box.heartbeat(camera)
            if rng.random() < chance:
                box.alarm(camera, box.wells[rng.integers(len(box.wells))])


def play_panel(port: int, pipe: Connection) -> None:
    """A panel of the crew: everything at QoS 1. Answers "ready", then to every word sent to it with what came since."""
    came: list[tuple[float, str, bool, bytes]] = []
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)

    def keep(_client: Client, _data: object, message: MQTTMessage) -> None:
        came.append((time.time(), message.topic, message.retain, message.payload))

    client.on_message = keep
    client.on_connect = lambda *_: client.subscribe("spillwatch/#", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    if not ready.wait(SETTLE_S):
        raise RigError("the broker does not take a panel's subscription")
    pipe.send("ready")
    while pipe.recv() == "count":
        pipe.send(len(came))
        if pipe.recv() == "take":
            taken, came = came, []
            pipe.send(summary(taken))
        else:
            pipe.send(None)
    client.disconnect()
    client.loop_stop()


def summary(came: list[tuple[float, str, bool, bytes]]) -> dict[str, Any]:
    """Latencies in ms by kind (alarms twice: as they come, and retained), and the ids of events."""
    late: dict[str, list[float]] = {"alarms": [], "others": []}
    ids: list[str] = []
    for at, topic, retained, payload in came:
        values = json.loads(payload)
        is_event = topic.endswith("/alarms")
        if is_event:
            ids.append(topic + values["id"])
        if "at" in values and not retained:
            late["alarms" if is_event else "others"].append(
                1000 * (at - datetime.fromisoformat(values["at"]).timestamp())
            )
    return {"messages": len(came), "late": late, "ids": ids}


@dataclass
class Panel:
    """The panel's process, from here."""

    process: Any
    pipe: Connection

    def count(self, *, take: bool = False) -> tuple[int, dict[str, Any] | None]:
        self.pipe.send("count")
        number = self.pipe.recv()
        self.pipe.send("take" if take else "go on")
        return number, self.pipe.recv()

    def end(self) -> None:
        self.pipe.send("end")
        self.process.join(10)


def open_panel(port: int) -> Panel:
    ours, theirs = mp.Pipe()
    process = mp.Process(target=play_panel, args=(port, theirs), daemon=True)
    process.start()
    if ours.recv() != "ready":
        raise RigError("a panel did not start")
    return Panel(process, ours)


def quiet(panels: list[Panel]) -> list[dict[str, Any]]:
    """What has come to each panel, once nothing more comes."""
    before = None
    while (now := [panel.count()[0] for panel in panels]) != before:
        before = now
        time.sleep(0.3)
    return [taken for panel in panels if (taken := panel.count(take=True)[1]) is not None]


@dataclass(frozen=True)
class Phase:
    """Figures of one phase: how long it took, the broker's CPU seconds in it, what the panels saw."""

    name: str
    seconds: float
    cpu_s: float
    seen: list[dict[str, Any]]

    def late(self, kind: str, quantile: float) -> float:
        return float(np.quantile([value for seen in self.seen for value in seen["late"][kind]], quantile))

    def row(self) -> str:
        messages = self.seen[0]["messages"] if self.seen else 0
        parts = [
            f"{self.name:<6} {self.seconds:7.2f} s  {messages / self.seconds:8.0f} messages/s to each panel",
            f"broker {100 * self.cpu_s / self.seconds:5.1f} % of a core",
        ]
        parts += [
            f"{kind} p50 {self.late(kind, 0.5):.1f} ms, p99 {self.late(kind, 0.99):.1f} ms"
            for kind in ("alarms", "others")
            if any(seen["late"][kind] for seen in self.seen)
        ]
        return "  ".join(parts)


def play(plant: Plant, folder: Path) -> tuple[list[Phase], dict[str, float]]:
    """All phases, and figures besides: of the panels' events, how many were lost and how many came twice at worst."""
    with Broker(folder, max_queued_messages=plant.queue) as broker:
        process = next(child for child in psutil.Process().children() if child.name() == "mosquitto")
        panels = [open_panel(broker.port) for _ in range(plant.panels)]
        phase = mp.Barrier(plant.processes + 1)
        pipes, workers = [], []
        for first in range(plant.processes):
            ours, theirs = mp.Pipe()
            workers.append(mp.Process(target=play_boxes, args=(plant, broker.port, first, phase, theirs), daemon=True))
            pipes.append(ours)
            workers[-1].start()
        phases = []
        for name in PHASES:
            cpu_s = sum(process.cpu_times()[:2])
            phase.wait(SETTLE_S)
            began_s = time.monotonic()
            phase.wait(SETTLE_S + plant.seconds)
            lasted_s = time.monotonic() - began_s
            seen = quiet(panels)
            phases.append(Phase(name, lasted_s, sum(process.cpu_times()[:2]) - cpu_s, seen))
        figures = {"broker_mib": process.memory_info().rss / 2**20} | joining(broker.port)
        phase.wait(SETTLE_S)
        figures["events"] = made = sum(pipe.recv() for pipe in pipes)
        lost = twice = 0
        for seen in zip(*(phase.seen for phase in phases), strict=True):
            ids = [event for part in seen for event in part["ids"]]
            lost, twice = max(lost, made - len(set(ids))), max(twice, len(ids) - len(set(ids)))
        figures |= {"lost": lost, "twice": twice}
        for panel in panels:
            panel.end()
        for worker in workers:
            worker.join(SETTLE_S)
    return phases, figures


def joining(port: int) -> dict[str, float]:
    """How long one more panel takes to learn what holds, from its subscription on."""
    panel = open_panel(port)
    began_s = last_s = time.monotonic()
    count = 0
    while time.monotonic() - last_s < 0.5:
        number, _nothing = panel.count()
        if number != count:
            count, last_s = number, time.monotonic()
        time.sleep(0.01)
    panel.end()
    return {"retained": count, "joined_s": last_s - began_s}


@click.command()
@click.option("--cameras", type=click.IntRange(1, 999), default=100, show_default=True)
@click.option("--boxes", type=click.IntRange(1, 999), default=25, show_default=True, help="Each a client of its own.")
@click.option("--wells", type=click.IntRange(1, 500), default=84, show_default=True, help="Of each camera.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=30.0, show_default=True, help="The calm phase.")
@click.option("--processes", type=click.IntRange(1, 16), default=4, show_default=True, help="That play the boxes.")
@click.option("--panels", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--flood-cameras", type=click.IntRange(0, 999), default=10, show_default=True, help="All wells of them.")
@click.option("--alarms-per-hour", type=click.FloatRange(0, 3600), default=12.0, show_default=True, help="A camera.")
@click.option("--pace", type=click.FloatRange(0.1, 500), default=1.0, show_default=True, help="Heartbeats and alarms.")
@click.option("--queue", type=click.IntRange(0), default=0, show_default=True, help="max_queued_messages; 0: no limit.")
def main(**options: Any) -> None:
    """Play a plant's MQTT traffic against a real broker on loopback and print what it costs."""
    plant = Plant(**options | {"processes": min(options["processes"], options["boxes"])})
    with tempfile.TemporaryDirectory() as folder:
        phases, figures = play(plant, Path(folder))
    print(
        f"{plant.cameras} cameras of {plant.wells} wells, {plant.boxes} boxes, {plant.panels} panels, "
        f"pace {plant.pace:g}"
    )
    for phase in phases:
        print(phase.row())
    at_worst = f"{figures['lost']:.0f} lost, {figures['twice']:.0f} twice at the worst panel"
    print(f"{figures['events']:.0f} events, {at_worst}; broker {figures['broker_mib']:.0f} MiB")
    print(f"one more panel learns {figures['retained']:.0f} retained values in {figures['joined_s']:.2f} s")


if __name__ == "__main__":
    main()
