"""Home Assistant's side of discovery, played on what a real broker holds: its keys, and its templates by jinja2."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import Environment, StrictUndefined

from spillwatch.config import MqttSettings
from spillwatch.publish.homeassistant import HomeAssistant
from spillwatch.publish.mqtt import MqttPublisher
from spillwatch.records import SITE, AlarmState, CameraState, CameraStatus, Condition
from tests.support.asyncapi import Contract
from tests.support.publishers import AT, alarm_event, identity
from tools.rig import wait_until
from tools.rig.broker import Broker, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = "site/line"
CONFIG = "homeassistant/device/site_line_cam_1/config"
WELLS = {"cam.1": ("3L4", "3L5"), SITE: ()}

# What Home Assistant documents: for a device (MQTT, "Device discovery payload") and for a binary sensor
DEVICE_KEYS = {"device", "origin", "components", "state_topic", "availability", "availability_mode", "qos"}
SENSOR_KEYS = {"platform", "unique_id", "name", "device_class", "state_topic", "value_template", "availability",
               "json_attributes_topic", "expire_after"}  # fmt: skip


class Listener:
    """What Home Assistant makes of the retained messages that a broker holds: it knows nothing of spillwatch."""

    def __init__(self, port: int) -> None:
        with Subscriber(port, "#") as subscriber:
            wait_until(lambda: [topic for topic, *_ in subscriber.received if topic == f"{BASE}/status"])
            count = -1
            while count != len(subscriber.received):  # nothing says which retained message is the last
                count = len(subscriber.received)
                time.sleep(0.2)
        self.held = {topic: text for topic, text, _ in subscriber.received if text}
        self.config: dict[str, Any] = json.loads(self.held[CONFIG])

    def state(self, component: str) -> str | None:
        """ON, OFF, unavailable, or None: unknown."""
        shared = {key: self.config[key] for key in ("availability", "state_topic")}
        own = shared | self.config["components"][component]
        available = [self._render(item["topic"], item["value_template"]) for item in own["availability"]]
        if any(said != "online" for said in available):
            return "unavailable"
        return self._render(own["state_topic"], own["value_template"])

    def _render(self, topic: str, template: str) -> str | None:
        if topic not in self.held:
            return None
        value = json.loads(self.held[topic])
        return Environment(undefined=StrictUndefined).from_string(template).render(value_json=value)  # noqa: S701


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        yield broker


class Site:
    """A publisher with discovery, fed by hand."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mqtt = MqttPublisher(MqttSettings(host="127.0.0.1", port=port), identity(BASE))
        self.discovery = HomeAssistant("homeassistant", identity(BASE), self.mqtt.retain)

    def __enter__(self) -> Site:
        self.mqtt.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.mqtt.__exit__(*exc)

    def tell(self, message: Any) -> None:
        self.mqtt.publish(message)
        self.discovery.publish(message)

    def heard(self) -> Listener:
        wait_until(lambda: self.mqtt.connected and self.mqtt.pending == 0)
        return Listener(self.port)


def status(state: CameraState = CameraState.WATCHING) -> CameraStatus:
    return CameraStatus(camera="cam.1", state=state, reason=None, fps=25.0, last_frame_age_s=0.04, at=AT, since=AT)


def spill(seq: int, **changes: Any) -> Any:
    return alarm_event(seq, camera="cam.1", **changes)


def test_the_discovery_message_has_the_keys_that_are_documented(broker: Broker) -> None:
    with Site(broker.port) as site:
        site.discovery.show(WELLS)
        config = site.heard().config
    assert config.keys() == DEVICE_KEYS
    assert config["device"]["identifiers"]
    assert config["origin"]["name"] == "spillwatch"
    assert config["components"].keys() == {"3L4_spill", "3L5_spill", "problem"}
    for component in config["components"].values():
        assert {"platform", "unique_id", "name", "device_class", "value_template"} <= component.keys() <= SENSOR_KEYS
        assert (component["platform"], component["device_class"]) == ("binary_sensor", "problem")
    ids = [component["unique_id"] for component in config["components"].values()]
    assert len(set(ids)) == len(ids)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", CONFIG.split("/")[-2])


def test_templates_on_what_was_sent_say_what_holds(broker: Broker) -> None:
    with Site(broker.port) as site:
        site.discovery.show(WELLS)
        assert site.heard().state("3L4_spill") == "unavailable"  # no word of the camera yet
        site.tell(status())
        calm = site.heard()
        assert [calm.state(name) for name in ("3L4_spill", "3L5_spill", "problem")] == ["OFF", "OFF", "OFF"]
        site.tell(spill(1))
        site.tell(spill(2, condition=Condition.OBSTRUCTED))  # now the well's latest event is about something else
        site.tell(spill(3, well="3L5", test=True))
        spilling = site.heard()
        assert [spilling.state(name) for name in ("3L4_spill", "3L5_spill", "problem")] == ["ON", "OFF", "OFF"]
        assert "3L4" in site.heard().held[f"{BASE}/cam.1/spills"]
        site.tell(spill(4, state=AlarmState.SHELVED))
        assert site.heard().state("3L4_spill") == "OFF"
        site.tell(spill(5))
        site.tell(status(CameraState.DEGRADED))
        degraded = site.heard()
        assert [degraded.state(name) for name in ("3L4_spill", "problem")] == ["ON", "ON"]
        site.tell(status(CameraState.BLIND))
        blind = site.heard()
        assert [blind.state(name) for name in ("3L4_spill", "3L5_spill", "problem")] == ["unavailable"] * 2 + ["ON"]
        site.tell(status())
        site.tell(spill(6, active=False, state=AlarmState.NORMAL))
        assert site.heard().state("3L4_spill") == "OFF"
        spills = {topic: text for topic, text in site.heard().held.items() if topic.endswith("/spills")}
    assert not Contract(BASE).faults(*spills.popitem())
    gone = Listener(broker.port)
    assert {gone.state(name) for name in ("3L4_spill", "problem")} == {"unavailable"}


def test_wells_and_cameras_that_go_are_taken_away(broker: Broker) -> None:
    with Site(broker.port) as site:
        site.discovery.show(WELLS | {"second": ("1L1",)})
        site.tell(spill(1))
        site.discovery.show({"cam.1": ("3L5", "3L6"), SITE: ()})
        heard = site.heard()
        assert heard.config["components"]["3L4_spill"] == {"platform": "binary_sensor"}
        assert "unique_id" in heard.config["components"]["3L6_spill"]
        assert not [topic for topic in heard.held if "second" in topic]
        assert json.loads(heard.held[f"{BASE}/cam.1/spills"])["wells"] == []
        site.discovery.show(WELLS)
        assert "unique_id" in site.heard().config["components"]["3L4_spill"]
        assert site.heard().config["components"]["3L6_spill"] == {"platform": "binary_sensor"}


def test_a_spill_that_stood_before_a_restart_is_on(broker: Broker) -> None:
    with Site(broker.port) as site:
        site.discovery.show(WELLS)
        site.discovery.publish(spill(1))  # not to the broker: it was told long ago
        site.tell(status())
        assert site.heard().state("3L4_spill") == "ON"
