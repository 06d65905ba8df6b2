"""The Sparkplug edge node against a real mosquitto, decoded from the wire by hand and held against the specification.

The names in comments are the specification's normative statements (Eclipse Sparkplug 3.0.0, chapter 10).
"""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from spillwatch.config import MqttSettings, SparkplugSettings
from spillwatch.publish.sparkplug import SparkplugPublisher
from spillwatch.records import SITE, AlarmState, CameraState, CameraStatus, Condition, Priority, WellState, WellStatus
from tests.support.publishers import AT, alarm_event, identity
from tools.rig import wait_until
from tools.rig.broker import Broker, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WELLS = {"cam1": ("3L4", "3L5"), SITE: ()}
TOPIC = "spBv1.0/plant/{}/line"
INT64, DOUBLE, BOOLEAN, STRING = 4, 10, 11, 12


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """A protobuf message without any library: (field number, value), bytes where it is length-delimited."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, varint()
        elif wire == 1:
            yield number, struct.unpack("<d", data[at : at + 8])[0]
            at += 8
        else:
            assert wire == 2, f"wire type {wire}"
            size = varint()
            yield number, data[at : at + size]
            at += size


@dataclass
class Heard:
    """One message of the node."""

    kind: str
    device: str | None
    retain: bool
    qos: int
    seq: int | None = None
    timestamp: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, message: MQTTMessage) -> Heard:
        _, _, kind, _, *device = message.topic.split("/")
        heard = cls(kind, device[0] if device else None, message.retain, message.qos)
        for number, value in fields(message.payload):
            if number == 1:
                heard.timestamp = value
            elif number == 3:
                heard.seq = value
            else:
                assert number == 2
                metric = dict(fields(value))
                name = metric[1].decode()
                heard.types[name], heard.stamps[name] = metric[4], metric[3]
                if metric.get(7):
                    heard.metrics[name] = None
                else:
                    raw = metric[{INT64: 11, DOUBLE: 13, BOOLEAN: 14, STRING: 15}[metric[4]]]
                    decode = {BOOLEAN: bool, STRING: bytes.decode}.get(metric[4], lambda value: value)
                    heard.metrics[name] = decode(raw)
        return heard


class Host:
    """A SCADA host: hears the whole group from the first message on, and can ask for a rebirth."""

    def __init__(self, port: int) -> None:
        self.heard: list[Heard] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.heard.append(Heard.of(message))
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(TOPIC.format(kind) + "/#", 1) for kind in
                                ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH")])  # fmt: skip

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask_rebirth(self, *, really: bool = True) -> None:
        # Payload { metrics { name: "Node Control/Rebirth" datatype: 11 boolean_value: ... } }, written out
        name = b"Node Control/Rebirth"
        metric = b"\x0a" + bytes([len(name)]) + name + b"\x20\x0b\x70" + bytes([really])
        self._client.publish(TOPIC.format("NCMD"), b"\x12" + bytes([len(metric)]) + metric)

    def say(self, payload: bytes) -> None:
        self._client.publish(TOPIC.format("NCMD"), payload)

    def kinds(self) -> list[str]:
        return [heard.kind for heard in self.heard]

    def last(self, kind: str) -> Heard:
        nothing = Heard(kind, None, retain=False, qos=0)
        return next((heard for heard in reversed(self.heard) if heard.kind == kind), nothing)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        yield broker


def edge_node(port: int) -> SparkplugPublisher:
    settings = SparkplugSettings(enabled=True, group="plant", node="line")
    node = SparkplugPublisher(settings, MqttSettings(host="127.0.0.1", port=port), identity=identity("site/line"))
    node.show(WELLS)
    return node


def status(state: CameraState = CameraState.WATCHING, reason: str | None = None, fps: float = 25.0) -> CameraStatus:
    return CameraStatus(camera="cam1", state=state, reason=reason, fps=fps, last_frame_age_s=0.04, at=AT)


def check_numbers(heard: list[Heard]) -> None:
    """From each birth on every message has the number after the one before (payloads-sequence-num-*)."""
    expected: int | None = None
    for message in heard:
        assert not message.retain
        assert message.timestamp is not None or message.kind == "NDEATH"
        if message.kind == "NDEATH":
            assert message.seq is None  # payloads-ndeath-seq
            expected = None
            continue
        expected = 0 if message.kind == "NBIRTH" else (expected + 1) % 256 if expected is not None else None
        assert message.seq == expected, message
        assert message.qos == 0  # payloads-*-qos


def test_births_data_and_an_orderly_death(broker: Broker) -> None:
    with Host(broker.port) as host:
        with edge_node(broker.port) as node:
            wait_until(lambda: host.kinds() == ["NBIRTH"])
            node.publish(WellStatus(camera="cam1", well="3L4", state=WellState.WATCHING, at=AT))
            node.publish(status())
            node.publish(status())
            node.publish(alarm_event(1))
            node.publish(alarm_event(2, state=AlarmState.ACKNOWLEDGED, acked=True))
            node.publish(alarm_event(3, test=True, well="3L5"))
            lost = {"well": None, "camera": SITE, "condition": Condition.STORAGE, "priority": Priority.MEDIUM}
            node.publish(alarm_event(4, **lost, score=None, threshold=None))
            wait_until(lambda: len(host.heard) == 6)
        wait_until(lambda: host.kinds()[-1] == "NDEATH")
    assert host.kinds() == ["NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDATA", "NDATA", "NDEATH"]
    check_numbers(host.heard)
    birth, device, now_sees, spill, acked, storage, death = host.heard
    assert birth.metrics["Node Control/Rebirth"] is False  # topics-nbirth-rebirth-metric
    assert birth.types["Node Control/Rebirth"] == BOOLEAN
    assert birth.types["bdSeq"] == death.types["bdSeq"] == INT64
    assert birth.metrics["bdSeq"] == death.metrics["bdSeq"]  # payloads-nbirth-bdseq, payloads-ndeath-bdseq
    assert death.qos == 1  # payloads-ndeath-will-message-qos
    assert birth.metrics["Cameras/cam1/State"] == "blind"
    assert now_sees.metrics == {"Cameras/cam1/State": "watching", "Cameras/cam1/Reason": ""}
    assert device.device == "cam1"
    assert device.metrics["Frames per second"] == 25.0
    assert device.metrics["Wells/3L4/State"] == "watching"
    assert device.metrics["Wells/3L5/spill/Active"] is False
    assert device.metrics["Wells/3L5/Score"] is None
    assert spill.metrics == {
        "Wells/3L4/spill/Active": True,
        "Wells/3L4/spill/State": "unacknowledged",
        "Wells/3L4/Score": pytest.approx(0.0421),
    }
    assert spill.stamps["Wells/3L4/spill/Active"] == int(alarm_event(1).at.timestamp() * 1000)
    assert acked.metrics == {"Wells/3L4/spill/State": "acknowledged"}
    assert storage.metrics == {"Alarms/storage/Active": True, "Alarms/storage/State": "unacknowledged"}
    for data, own in ((spill, device), (acked, device), (storage, birth)):
        assert data.metrics.keys() <= own.metrics.keys()  # topics-dbirth-metric-reqs
        assert all(data.types[name] == own.types[name] for name in data.types)


def test_a_blind_camera_is_a_dead_device_and_is_born_again_with_what_holds_then(broker: Broker) -> None:
    with Host(broker.port) as host, edge_node(broker.port) as node:
        node.publish(status())
        wait_until(lambda: "DBIRTH" in host.kinds())
        node.publish(status(CameraState.BLIND, "no frame for 2 s"))
        node.publish(alarm_event(1))
        wait_until(lambda: host.last("NDATA").metrics.get("Cameras/cam1/State") == "blind")
        node.publish(status(CameraState.DEGRADED, "common cause"))
        wait_until(lambda: host.kinds().count("DBIRTH") == 2)
    after = host.kinds()[host.kinds().index("DDEATH") :]
    assert "DDATA" not in after
    assert host.last("DDEATH").metrics == {}
    assert host.last("DBIRTH").metrics["Wells/3L4/spill/Active"] is True
    check_numbers(host.heard)


def test_a_host_that_asks_hears_everything_again(broker: Broker) -> None:
    with Host(broker.port) as host, edge_node(broker.port) as node:
        node.publish(status())
        wait_until(lambda: "DBIRTH" in host.kinds())
        host.ask_rebirth(really=False)
        host.say(b"\xff\xff nonsense")
        host.ask_rebirth()
        wait_until(lambda: host.kinds().count("DBIRTH") == 2)
        first, second = (heard for heard in host.heard if heard.kind == "NBIRTH")
        assert first.metrics["bdSeq"] == second.metrics["bdSeq"]  # payloads-nbirth-bdseq-repeat: the same connection
        node.publish(alarm_event(1))
        wait_until(lambda: host.kinds()[-1] == "DDATA")
    check_numbers(host.heard)


def test_numbers_go_from_255_to_0(broker: Broker) -> None:
    with Host(broker.port) as host, edge_node(broker.port) as node:
        wait_until(lambda: node.connected)
        for index in range(600):
            node.publish(status(fps=float(index)))
        wait_until(lambda: host.heard and host.heard[-1].metrics.get("Frames per second") == 599.0)
    assert {message.seq for message in host.heard} >= set(range(256))
    check_numbers(host.heard)


def test_a_broken_wire_kills_the_node_and_the_next_connection_has_the_next_number(broker: Broker) -> None:
    with Relay(broker.port) as relay, Host(broker.port) as host:
        with edge_node(relay.port) as node:
            node.publish(status())
            wait_until(lambda: "DBIRTH" in host.kinds())
            relay.cut()
            wait_until(lambda: "NDEATH" in host.kinds())
            node.publish(alarm_event(1))
            wait_until(lambda: host.kinds().count("DBIRTH") == 2, within_s=20)
        wait_until(lambda: host.kinds().count("NDEATH") == 2)
    births = [heard.metrics["bdSeq"] for heard in host.heard if heard.kind == "NBIRTH"]
    deaths = [heard.metrics["bdSeq"] for heard in host.heard if heard.kind == "NDEATH"]
    assert births == deaths == [0, 1]
    assert host.last("DBIRTH").metrics["Wells/3L4/spill/Active"] is True
    check_numbers(host.heard)


def test_wells_that_come_and_go_are_told_by_another_birth(broker: Broker) -> None:
    with Host(broker.port) as host, edge_node(broker.port) as node:
        wait_until(lambda: node.connected)
        node.publish(status())
        node.publish(alarm_event(1))
        wait_until(lambda: "DDATA" in host.kinds())
        node.show({"cam1": ("3L4", "3L6"), SITE: ()})
        wait_until(lambda: host.kinds().count("DBIRTH") == 2)
        again = host.last("DBIRTH").metrics
        assert ("Wells/3L6/State" in again, "Wells/3L5/State" in again) == (True, False)
        assert again["Wells/3L4/spill/Active"] is True
        node.show({SITE: ()})
        wait_until(lambda: host.kinds()[-1] == "NDATA" and "DDEATH" in host.kinds())
        node.publish(alarm_event(2))
        time.sleep(0.2)
        assert host.kinds()[-1] == "NDATA"
    check_numbers(host.heard)


@pytest.mark.logs_error("sparkplug.thread_died")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_client_thread_is_replaced(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    with Host(broker.port) as host, edge_node(broker.port) as node:
        wait_until(lambda: host.kinds() == ["NBIRTH"])
        with monkeypatch.context() as broken:
            broken.setattr("spillwatch.publish.sparkplug.asks", fail)
            host.ask_rebirth()
            name = "paho-mqtt-client-spillwatch-line-sparkplug"
            wait_until(lambda: not any(thread.name == name for thread in threading.enumerate()))
        node.publish(status())
        wait_until(lambda: "DBIRTH" in host.kinds())
