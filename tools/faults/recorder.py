"""A client with a session that outlives everything, which keeps whatever is published and when it came."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tools.rig import RigError

BASE = "spillwatch/faults"


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as it came."""

    at_s: float  # monotonic
    wall_s: float
    topic: str
    payload: Any
    retained: bool


class Recorder:
    """Everything under the base topic, at QoS 1. It may also give commands."""

    def __init__(self, port: int, *, session: str = "recorder") -> None:
        self.heard: list[Heard] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=session, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{BASE}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_disconnect = lambda *_: self._ready.clear()
        self._client.on_message = self._keep
        expiry = Properties(PacketTypes.CONNECT)
        expiry.SessionExpiryInterval = 86400
        # mosquitto 2.0.11 does not save a session that began with a clean start
        self._client.connect("127.0.0.1", port, keepalive=30, clean_start=False, properties=expiry)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self.wait_connected()
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_connected(self, within_s: float = 20) -> None:
        """Return when it hears again."""
        if not self._ready.wait(within_s):
            raise RigError(f"the recorder is not connected within {within_s} s")

    def _keep(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        text = message.payload.decode(errors="replace")
        payload: Any = text
        with contextlib.suppress(ValueError, RecursionError):  # our own hostile commands are heard, too
            payload = json.loads(text)
        self.heard.append(Heard(time.monotonic(), time.time(), message.topic, payload, message.retain))

    def command(self, payload: dict[str, Any] | bytes) -> None:
        """Ask the daemon for something."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload)
        self._client.publish(f"{BASE}/cmd", body, qos=1)

    def events(self) -> list[dict[str, Any]]:
        """The alarm events in order of arrival, repeats and all."""
        return [heard.payload for heard in list(self.heard) if heard.topic == f"{BASE}/alarms"]

    def wait_state(self, camera: str, state: str, *, since_s: float, within_s: float) -> float | None:
        """Seconds after ``since_s`` (monotonic) at which the camera's status said ``state``; None if it did not."""
        return self.wait_for(f"{BASE}/{camera}/status", state, since_s=since_s, within_s=within_s)

    def wait_for(self, topic: str, state: str, *, since_s: float, within_s: float = 20) -> float | None:
        """The same for any topic with a state."""
        while True:
            for heard in list(self.heard):
                news = heard.at_s >= since_s and not heard.retained
                if news and heard.topic == topic and heard.payload["state"] == state:
                    return heard.at_s - since_s
            if time.monotonic() > since_s + within_s:
                return None
            time.sleep(0.02)


def retained(port: int, *, for_s: float = 1.0) -> dict[str, Any]:
    """What a newcomer is told at once."""
    with Recorder(port, session=f"newcomer-{time.monotonic_ns()}") as newcomer:
        time.sleep(for_s)
        return {heard.topic: heard.payload for heard in newcomer.heard if heard.retained}
