"""Alarms and states to an MQTT 5 broker.

One message is under way at a time; the next leaves when the broker has acknowledged it. So events reach the broker
in the order in which they were published, whatever happens to the connection, and a lost acknowledgement repeats one
message, back to back, never a stretch. The queue is ours, since paho's own (2.2) cannot promise that: it sends what
it is given between CONNECT and CONNACK ahead of older messages, and drops what exceeds 65 535 without a word. The one
message that paho holds it sends again after a reconnection by itself, so the broker needs to keep no session for us.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from spillwatch.errors import PublishError
from spillwatch.publish.outgoing import Queue
from spillwatch.publish.tls import tls_context
from spillwatch.records import AlarmEvent, CameraStatus, Message, WellStatus, encode, rfc3339

if TYPE_CHECKING:
    from spillwatch.config import MqttSettings

CONNECT_TIMEOUT_S = 5.0  # for the network and the TLS handshake, and again for the broker's answer
LEAVE_TIMEOUT_S = 1.5  # all of leaving: a service that is told to stop must stop
RETRY_MIN_S, RETRY_MAX_S = 1, 30  # paho doubles the delay between attempts; one client per site needs no jitter

LOGIN_REFUSALS = {0x86, 0x87}  # bad user name or password; not authorised
# Refusals that waiting does not mend: also protocol version, client id, banned, authentication method, topic name,
# retain or QoS not supported (MQTT 5, table 3-1). Others, such as "server busy", may pass.
FINAL_REFUSALS = LOGIN_REFUSALS | {0x84, 0x85, 0x8A, 0x8C, 0x90, 0x9A, 0x9B}

log = structlog.get_logger()


class MqttPublisher:
    """Publishes every message at QoS 1, from paho's thread; ``publish`` itself only queues and never waits.

    Entering raises PublishError for what will not mend itself: a refused login, a certificate, a wrong setting. A
    broker that merely cannot be reached is waited for in the background, unless ``wait_for_broker`` (replay), which
    makes it a PublishError too. Leaving gives what is queued a moment to arrive and logs what did not.
    """

    def __init__(
        self, settings: MqttSettings, *, base: str, site: str, version: str, wait_for_broker: bool = False
    ) -> None:
        self._settings = settings
        self._base = base
        self._client_id = settings.client_id or f"spillwatch-{site}"
        self._version = version
        self._wait_for_broker = wait_for_broker
        self._where = f"{settings.host}:{settings.resolved_port}"
        self._client: Client | None = None
        self._thread: threading.Thread | None = None
        # Guards what follows; never held while paho is called, since paho calls back with locks of its own held
        self._changed = threading.Condition()
        self._queue = Queue()
        self._connected = False
        self._leaving = False
        self._answer: ReasonCode | str | None = None  # the broker's first
        self._trouble: tuple[str, str] | None = None  # the latest that was logged
        self._denied: set[str] = set()

    @property
    def connected(self) -> bool:
        """The broker has let us in and the connection stands, as far as is known."""
        return self._connected

    @property
    def pending(self) -> int:
        """Messages that the broker has not acknowledged."""
        with self._changed:
            return len(self._queue)

    def __enter__(self) -> Self:
        client = self._client = self._new_client()
        address = self._settings.host, self._settings.resolved_port, self._settings.keepalive_s
        unreachable = None
        try:
            client.connect(*address)
        except (OSError, ValueError) as exc:
            if final := self._final_fault(exc):
                raise final from exc
            unreachable = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            if self._wait_for_broker:
                raise self._unreachable(unreachable) from exc
            client.connect_async(*address)  # the loop then tries until it succeeds
        client.loop_start()
        self._thread = next(t for t in threading.enumerate() if t.name == f"paho-mqtt-client-{self._client_id}")
        self._await_answer(unreachable)
        return self

    def __exit__(self, *exc: object) -> None:
        start = time.monotonic()
        with self._changed:
            self._changed.wait_for(self._settled, LEAVE_TIMEOUT_S * 0.6)
            if self._connected:
                self._queue.retain(self._status_topic, self._status(online=False, since=datetime.now(UTC)))
        self._send_next()
        with self._changed:
            self._changed.wait_for(self._settled, start + LEAVE_TIMEOUT_S * 0.8 - time.monotonic())
            left = len(self._queue)
        self._stop(start + LEAVE_TIMEOUT_S - time.monotonic(), publish_will=left > 0)
        if left:
            log.error("mqtt.undelivered", broker=self._where, messages=left)

    def publish(self, message: Message) -> None:
        """Queue it; alarm events must come in the order of their ``seq``."""
        if self._thread is None or not self._thread.is_alive():
            raise PublishError(f"the MQTT client for {self._where} does not run, so nothing can be published")
        payload = encode(message)
        with self._changed:
            match message:
                case AlarmEvent(camera=camera, well=well):
                    self._queue.retain(self._topic(camera, well, "alarm"), payload)
                    self._queue.append(f"{self._base}/alarms", payload)
                case CameraStatus(camera=camera):
                    self._queue.retain(self._topic(camera, None, "status"), payload)
                case WellStatus(camera=camera, well=well):
                    self._queue.retain(self._topic(camera, well, "state"), payload)
        self._send_next()

    # Topics and payloads

    @property
    def _status_topic(self) -> str:
        return f"{self._base}/status"

    def _topic(self, camera: str, well: str | None, last: str) -> str:
        levels = [camera, last] if well is None else [camera, well, last]
        for level in levels:
            if not level or set(level) & set("/+#\0"):
                raise PublishError(f"{level!r} cannot be part of an MQTT topic; rename it without '/', '+' and '#'")
        return "/".join([self._base, *levels])

    def _status(self, *, online: bool, since: datetime | None) -> str:
        status = {"online": online, "version": self._version, "since": since and rfc3339(since)}
        return json.dumps(status, ensure_ascii=False, separators=(",", ":"))

    # Connecting and leaving

    def _new_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.reconnect_delay_set(RETRY_MIN_S, RETRY_MAX_S)
        # A will cannot know when it will be sent, hence no "since"; leaving in order gives one
        client.will_set(self._status_topic, self._status(online=False, since=None), qos=1, retain=True)
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.password())
        if self._settings.tls:
            client.tls_set_context(tls_context(self._settings))
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _await_answer(self, unreachable: str | None) -> None:
        """Wait for the broker's first answer, unless it could not even be asked; raise what will not mend itself."""
        if unreachable is None:
            with self._changed:
                self._changed.wait_for(lambda: self._answer is not None, CONNECT_TIMEOUT_S)
                answer = self._answer
            if isinstance(answer, ReasonCode):
                if answer.is_failure and (self._wait_for_broker or answer.value in FINAL_REFUSALS):
                    self._stop(1.0)
                    raise self._refused(answer)
                return
            unreachable = answer or f"no answer within {CONNECT_TIMEOUT_S:g} s"
            if self._wait_for_broker:
                self._stop(1.0)
                raise self._unreachable(unreachable)
        self._report("mqtt.unreachable", unreachable)

    def _stop(self, within_s: float, *, publish_will: bool = False) -> None:
        """Disconnect and end paho's thread; ``publish_will`` lets the broker say in our place that we are gone."""
        assert self._client is not None  # noqa: S101 -- for mypy: entered before
        self._leaving = True
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=0x04) if publish_will else None)
        # loop_stop() joins without a bound, and paho may be in the midst of a connection attempt; its thread is a
        # daemon and ends with that attempt or with the process
        stopper = threading.Thread(target=self._client.loop_stop, name="mqtt-stop", daemon=True)
        stopper.start()
        stopper.join(max(within_s, 0.1))

    def _settled(self) -> bool:
        return not self._connected or not len(self._queue)

    # Troubles

    def _final_fault(self, exc: OSError | ValueError) -> PublishError | None:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return PublishError(
                f"the certificate of the broker at {self._where} is not accepted: {exc.verify_message}; "
                "check mqtt.ca_file, and that mqtt.host is a name in the certificate"
            )
        if isinstance(exc, ssl.SSLError):
            return PublishError(
                f"TLS with the broker at {self._where} failed: {exc.reason or exc}; "
                "check mqtt.port, mqtt.tls, mqtt.cert_file and mqtt.key_file"
            )
        if isinstance(exc, ValueError):  # UnicodeError
            return PublishError(f"mqtt.host {self._settings.host!r} is not a host name: {exc}")
        return None

    def _unreachable(self, reason: str) -> PublishError:
        return PublishError(
            f"the broker at {self._where} cannot be reached: {reason}; "
            "check mqtt.host and mqtt.port, and that the broker runs"
        )

    def _refused(self, reason: ReasonCode) -> PublishError:
        text = str(reason).lower().replace("authorized", "authorised")
        if reason.value not in LOGIN_REFUSALS:
            return PublishError(f"the broker at {self._where} refused client {self._client_id!r}: {text}")
        user, mend = self._settings.username, "check mqtt.username and the password_file"
        if not user:
            return PublishError(f"the broker at {self._where} refused a login without a name: {text}; {mend}")
        return PublishError(f"the broker at {self._where} refused user {user!r}: {text}; {mend}")

    def _report(self, event: str, reason: str) -> None:
        """Log it once per change: a broker that is down for a night is one line, not thousands."""
        if self._trouble != (event, reason) and not self._leaving:
            self._trouble = (event, reason)
            write = log.error if event == "mqtt.refused" else log.warning
            write(event, broker=self._where, reason=reason, pending=self.pending)

    # From here on also on paho's thread

    def _send_next(self) -> None:
        with self._changed:
            outgoing = self._queue.take() if self._connected else None
        if outgoing and self._client:
            # Should the connection break just now, paho sends this one again after the next CONNACK
            self._client.publish(outgoing.topic, outgoing.payload, qos=1, retain=outgoing.retain)

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _more: Any) -> None:
        with self._changed:
            self._answer = reason
            if not reason.is_failure and not self._leaving:
                self._connected = True
                if self._status_topic not in self._denied:
                    self._queue.retain(self._status_topic, self._status(online=True, since=datetime.now(UTC)))
                self._queue.retain_all_again(first=self._status_topic)
            self._changed.notify_all()
        if self._leaving:
            client.disconnect()
        elif reason.is_failure:
            self._report("mqtt.refused", str(reason))
        else:
            self._trouble = None
            log.info("mqtt.connected", broker=self._where, pending=self.pending)
            self._send_next()

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        exc = sys.exception()  # paho calls from its except clause and says no more than this
        self._report("mqtt.unreachable", getattr(exc, "strerror", None) or str(exc))

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: ReasonCode, _more: Any) -> None:
        with self._changed:
            was_connected, self._connected = self._connected, False  # paho may call twice
            if self._answer is None:
                self._answer = "it ended the connection without an answer, as one does that wants TLS or a certificate"
            self._changed.notify_all()
        if was_connected:
            self._report("mqtt.disconnected", str(reason))

    def _on_publish(self, _client: Client, _data: object, _mid: int, reason: ReasonCode, _more: Any) -> None:
        with self._changed:
            arrived = self._queue.acknowledged()
            self._changed.notify_all()
        if arrived and reason.is_failure:
            self._denied_by_broker(arrived.topic, str(reason))
        self._send_next()

    def _denied_by_broker(self, topic: str, reason: str) -> None:
        """Its access list forbids the topic. The next value is tried again, so a corrected list needs no restart."""
        with self._changed:
            # mosquitto 2.0 closes the connection upon this: the same value again would close it for ever
            self._queue.forget(topic)
            known = topic in self._denied
            self._denied.add(topic)
        if not known:
            log.error("mqtt.denied", broker=self._where, topic=topic, reason=reason)
