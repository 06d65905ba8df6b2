"""The site as an edge node of Sparkplug B 3.0, for SCADA; each camera is one of its devices.

A node says everything at its birth and afterwards only what changes, in messages that are numbered 0 to 255. A camera
that is blind is a dead device, so that a host shows its wells as stale and not as calm; why it is blind says the node.
Values that change while nobody can hear are told at the next birth: the history is what ``{base}/alarms`` keeps.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import structlog

from spillwatch.publish.link import Link, Will
from spillwatch.publish.tahu import Kind, Metric, asks, encode
from spillwatch.records import SITE, AlarmEvent, AlarmState, CameraState, CameraStatus, Condition, Message, WellStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from paho.mqtt.client import MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from spillwatch.config import MqttSettings, SparkplugSettings
    from spillwatch.publish.base import Identity

LEAVE_TIMEOUT_S = 1.0
REBIRTH = "Node Control/Rebirth"
NO_WORD = "no word yet"

_OF_WELLS = (Condition.SPILL, Condition.OBSTRUCTED)
_OF_SITE = (Condition.STORAGE,)
_OF_CAMERAS = tuple(condition for condition in Condition if condition not in _OF_WELLS + _OF_SITE)

log = structlog.get_logger()


@dataclass(slots=True)
class _Values:
    """The metrics of a node or device by name, and which of them the host does not know yet."""

    now: dict[str, Metric] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)
    alive: bool = False

    def begin(self, name: str, kind: Kind, value: bool | float | str | None, at: datetime) -> None:
        """There is such a metric; what is known of it stays."""
        self.now.setdefault(name, Metric(name, kind, value, at))

    def put(self, name: str, value: bool | float | str | None, at: datetime) -> None:
        """A metric has a value; only what the birth had may follow."""
        old = self.now.get(name)
        if old is not None and old.value != value:
            self.now[name] = Metric(name, old.kind, value, at)
            self.changed[name] = None

    def take(self) -> list[Metric]:
        """What has changed since the last call or the birth."""
        changed, self.changed = [self.now[name] for name in self.changed], {}
        return changed


class SparkplugPublisher:
    """A connection of its own, since the node's death is that connection's will; ``publish`` never waits.

    ``show`` says which wells there are, before entering and whenever that changes.
    """

    def __init__(self, settings: SparkplugSettings, mqtt: MqttSettings, *, identity: Identity) -> None:
        self._topic = f"spBv1.0/{settings.group}/{{}}/{settings.node}"
        self._node = _Values()
        self._devices: dict[str, _Values] = {}
        # Held while paho is called: at QoS 0 it takes none of the locks that it holds while it calls back
        self._lock = threading.RLock()
        self._up = False
        self._seq = 0
        self._births = -1  # bdSeq: which connection this is, modulo 256
        self._link = Link(
            mqtt, client_id=f"{identity.client_id}-sparkplug", will=self._will, owner=self, clean_start=True
        )
        now = datetime.now(UTC)
        self._node.begin(REBIRTH, Kind.BOOLEAN, False, now)
        self._node.begin("Properties/Version", Kind.STRING, identity.version, now)
        _begin_alarms(self._node, "Alarms", _OF_SITE, now)

    @property
    def connected(self) -> bool:
        """The broker has let us in, and the birth was sent."""
        return self._up

    @property
    def trouble(self) -> str | None:
        """Why there is no connection, in a sentence."""
        return self._link.trouble

    def __enter__(self) -> Self:
        self._link.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._link.stop(LEAVE_TIMEOUT_S, publish_will=True)

    def show(self, wells: Mapping[str, Collection[str]]) -> None:
        """The cameras and their wells are these; devices whose metrics are others now are born again."""
        with self._lock:
            for camera in self._devices.keys() - wells.keys():
                self._die(camera)
                del self._devices[camera]
                self._put_camera(camera, CameraState.BLIND, "the camera is no longer configured", datetime.now(UTC))
            new = False
            for camera, ids in wells.items():
                if camera != SITE:
                    new |= self._begin_camera(camera, ids)
            if new and self._up:
                self._bear()
            self._tell()

    def publish(self, message: Message) -> None:
        """Tell what of it has changed. Should paho's thread have died of a fault, begin again with a new one."""
        if not self._link.alive:
            log.error("sparkplug.thread_died", broker=self._link.where)
            self._link.start()
        with self._lock:
            match message:
                case AlarmEvent(test=False):
                    self._take_event(message)
                case CameraStatus():
                    self._take_camera(message)
                case WellStatus(camera=camera, well=well) if camera in self._devices:
                    self._devices[camera].put(f"Wells/{well}/State", str(message.state), message.at)
            self._tell()

    # What is known

    def _begin_camera(self, camera: str, wells: Collection[str]) -> bool:
        """Whether its metrics, or the node's, are others than before."""
        now, old = datetime.now(UTC), self._devices.get(camera, _Values())
        device = _Values(alive=old.alive)
        device.begin("Frames per second", Kind.DOUBLE, None, now)
        _begin_alarms(device, "Alarms", _OF_CAMERAS, now)
        for well in wells:
            device.begin(f"Wells/{well}/State", Kind.STRING, NO_WORD, now)
            device.begin(f"Wells/{well}/Score", Kind.DOUBLE, None, now)
            _begin_alarms(device, f"Wells/{well}", _OF_WELLS, now)
        new = device.now.keys() != old.now.keys()
        device.now |= {name: metric for name, metric in old.now.items() if name in device.now}
        self._devices[camera] = device
        for name, value in (("State", str(CameraState.BLIND)), ("Reason", NO_WORD)):
            new |= f"Cameras/{camera}/{name}" not in self._node.now
            self._node.begin(f"Cameras/{camera}/{name}", Kind.STRING, value, now)
        return new

    def _take_event(self, event: AlarmEvent) -> None:
        values = self._node if event.camera == SITE else self._devices.get(event.camera)
        if values is None:
            return
        folder = "Alarms" if event.well is None else f"Wells/{event.well}"
        values.put(f"{folder}/{event.condition}/Active", event.active, event.at)
        values.put(f"{folder}/{event.condition}/State", str(event.state), event.at)
        if event.score is not None:
            values.put(f"{folder}/Score", float(event.score), event.at)

    def _take_camera(self, status: CameraStatus) -> None:
        self._put_camera(status.camera, status.state, status.reason or "", status.at)
        if device := self._devices.get(status.camera):
            device.put("Frames per second", float(status.fps), status.at)
            if status.state == CameraState.BLIND:
                self._die(status.camera)
            elif self._up and not device.alive:
                self._bear_device(status.camera)
            device.alive = status.state != CameraState.BLIND

    def _put_camera(self, camera: str, state: CameraState, reason: str, at: datetime) -> None:
        self._node.put(f"Cameras/{camera}/State", str(state), at)
        self._node.put(f"Cameras/{camera}/Reason", reason, at)

    # What is said; under the lock

    def _will(self) -> Will:
        """Every connection has another number, and its birth and death share it."""
        with self._lock:
            self._up = False
            self._births = (self._births + 1) % 256
            death = encode([self._birth_number()], at=datetime.now(UTC), seq=None)
        return Will(topic=self._topic.format("NDEATH"), payload=death, retain=False)

    def _birth_number(self) -> Metric:
        return Metric("bdSeq", Kind.INT64, self._births, datetime.now(UTC))

    def _bear(self) -> None:
        """The node, then each device whose camera sees."""
        self._seq = -1
        self._node.changed = {}
        self._say("NBIRTH", [self._birth_number(), *self._node.now.values()])
        for camera, device in self._devices.items():
            if device.alive:
                self._bear_device(camera)

    def _bear_device(self, camera: str) -> None:
        device = self._devices[camera]
        device.changed = {}
        self._say("DBIRTH", device.now.values(), camera)

    def _die(self, camera: str) -> None:
        device = self._devices[camera]
        if device.alive and self._up:
            self._say("DDEATH", (), camera)
        device.alive = False

    def _tell(self) -> None:
        if not self._up:
            return
        if changed := self._node.take():
            self._say("NDATA", changed)
        for camera, device in self._devices.items():
            if device.alive and (changed := device.take()):
                self._say("DDATA", changed, camera)

    def _say(self, kind: str, metrics: Iterable[Metric], device: str | None = None) -> None:
        self._seq = (self._seq + 1) % 256
        topic = self._topic.format(kind) + (f"/{device}" if device else "")
        self._link.send_once(topic, encode(metrics, at=datetime.now(UTC), seq=self._seq))

    # The link's owner, on paho's thread

    def on_up(self) -> None:
        """Connected: commands are listened to before anybody can answer the birth."""
        self._link.subscribe(self._topic.format("NCMD"))
        with self._lock:
            self._up = True
            self._bear()

    def on_down(self) -> None:
        """Disconnected."""
        with self._lock:
            self._up = False

    def on_acknowledged(self, reason: ReasonCode) -> None:
        """Nothing is waited for: Sparkplug's data are sent once."""

    def on_message(self, message: MQTTMessage) -> None:
        """A host has lost track and wants to hear everything again."""
        if asks(bytes(message.payload), REBIRTH):
            log.info("sparkplug.rebirth", broker=self._link.where)
            with self._lock:
                if self._up:
                    self._bear()


def _begin_alarms(values: _Values, folder: str, conditions: Iterable[Condition], at: datetime) -> None:
    for condition in conditions:
        values.begin(f"{folder}/{condition}/Active", Kind.BOOLEAN, False, at)
        values.begin(f"{folder}/{condition}/State", Kind.STRING, str(AlarmState.NORMAL), at)
