"""The connection to the broker: paho-mqtt, its thread, and what can be wrong with the way there."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import structlog
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from spillwatch.errors import ConfigError, PublishError
from spillwatch.publish.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import MQTTMessage

    from spillwatch.config import MqttSettings
    from spillwatch.publish.outgoing import Outgoing

CONNECT_TIMEOUT_S = 5.0  # for the network and the TLS handshake, and again for the broker's answer
RETRY_MIN_S, RETRY_MAX_S = 1, 5  # paho doubles the delay between attempts; one client per site needs no jitter
MAX_PACKET_BYTES = 16 * 1024  # of what the broker may send us: commands are the longest
LOGIN_REFUSALS = {0x86, 0x87}  # bad user name or password; not authorised
NO_ANSWER = "it ended the connection without an answer, as one does that wants TLS or a certificate"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says in our place when the connection breaks."""

    topic: str
    payload: str | bytes
    retain: bool = True


class Owner(Protocol):
    """Who is told what happens on the connection; on paho's thread, which must not be kept."""

    def on_up(self) -> None: ...

    def on_down(self) -> None: ...

    def on_acknowledged(self, reason: ReasonCode) -> None: ...

    def on_message(self, message: MQTTMessage) -> None: ...


class Link:
    """One client. It reconnects for as long as it takes, and logs each trouble once until it changes.

    ``will`` is asked before each connection. With ``clean_start`` the broker forgets what an earlier one left.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        will: Callable[[], Will],
        owner: Owner,
        clean_start: bool = False,
    ) -> None:
        self.connected = False
        self.trouble: str | None = None
        self.where = f"{settings.host}:{settings.resolved_port}"
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._owner = owner
        # paho's own way: only the first connection starts anew, so that what was under way is sent again
        self._clean_start: bool | Literal[3] = clean_start or MQTT_CLEAN_START_FIRST_ONLY
        self._client: Client | None = None
        self._thread: threading.Thread | None = None
        self._leaving = False
        self._answered = threading.Event()
        self._answer: ReasonCode | str | None = None  # the broker's latest

    @property
    def alive(self) -> bool:
        """Its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Connect in the background. Raises PublishError for settings that no waiting can mend."""
        self.connected = False
        client = self._client = self._new_client()
        client.connect_async(*self._address, clean_start=self._clean_start, properties=_limits())
        self._loop(client)

    def start_now_or_never(self) -> None:
        """Be connected upon return; whatever prevents it is a PublishError."""
        client = self._client = self._new_client()
        try:
            client.connect(*self._address, clean_start=self._clean_start, properties=_limits())
        except OSError as exc:
            raise PublishError(self._sentence(exc)) from exc
        self._loop(client)
        self._answered.wait(CONNECT_TIMEOUT_S)
        answer = self._answer or f"no answer within {CONNECT_TIMEOUT_S:g} s"
        if isinstance(answer, ReasonCode) and not answer.is_failure:
            return
        self.stop(1.0)
        raise PublishError(self._refusal(answer) if isinstance(answer, ReasonCode) else self._unreachable(answer))

    def send(self, outgoing: Outgoing) -> None:
        """Should the connection break just now, paho sends this one again after the next CONNACK."""
        properties = None
        if outgoing.correlation is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = outgoing.correlation
        if self._client:
            payload = outgoing.payload
            self._client.publish(outgoing.topic, payload, qos=1, retain=outgoing.retain, properties=properties)

    def send_once(self, topic: str, payload: bytes) -> None:
        """At QoS 0: it arrives now or never, and nobody is told."""
        if self._client:
            self._client.publish(topic, payload, qos=0)

    def subscribe(self, topic: str) -> None:
        if self._client:
            self._client.subscribe(topic, qos=1)

    def break_off(self) -> None:
        """End this connection; paho makes another, by which it sends again what was under way."""
        connection = self._client.socket() if self._client else None
        if isinstance(connection, socket.socket):
            with suppress(OSError, ValueError):  # gone already
                # Not TLS's own shutdown, which takes the session from under paho's thread
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def unsubscribe(self, topic: str) -> None:
        if self._client:
            self._client.unsubscribe(topic)

    def stop(self, within_s: float, *, publish_will: bool = False) -> None:
        """Disconnect and end paho's thread; ``publish_will`` lets the broker say in our place that we are gone."""
        self._leaving = True
        if self._client is None:
            return
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=0x04) if publish_will else None)
        # loop_stop() joins without a bound, and paho may be in the midst of a connection attempt; its thread is a
        # daemon and ends with that attempt or with the process
        stopper = threading.Thread(target=self._client.loop_stop, name="mqtt-stop", daemon=True)
        stopper.start()
        stopper.join(max(within_s, 0.1))

    # Making it

    @property
    def _address(self) -> tuple[str, int, int]:
        return self._settings.host, self._settings.resolved_port, self._settings.keepalive_s

    def _new_client(self) -> Client:
        try:
            self._settings.host.encode("idna")
        except UnicodeError as exc:  # in paho's thread it would end that thread
            raise PublishError(f"mqtt.host {self._settings.host!r} is not a host name: {exc}") from exc
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.reconnect_delay_set(RETRY_MIN_S, RETRY_MAX_S)
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.password())
        if self._settings.tls:
            client.tls_set_context(tls_context(self._settings))
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _loop(self, client: Client) -> None:
        client.loop_start()
        self._thread = next(t for t in threading.enumerate() if t.name == f"paho-mqtt-client-{self._client_id}")

    # Troubles

    def _sentence(self, exc: BaseException | None) -> str:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return (
                f"the certificate of the broker at {self.where} is not accepted: {exc.verify_message}; "
                "check mqtt.ca_file, and that mqtt.host is a name in the certificate"
            )
        if isinstance(exc, ssl.SSLError):
            return (
                f"TLS with the broker at {self.where} failed: {exc.reason or exc}; "
                "check mqtt.port, mqtt.tls, mqtt.cert_file and mqtt.key_file"
            )
        return self._unreachable(getattr(exc, "strerror", None) or str(exc) or type(exc).__name__)

    def _unreachable(self, reason: str) -> str:
        return (
            f"the broker at {self.where} cannot be reached: {reason}; "
            "check mqtt.host and mqtt.port, and that the broker runs"
        )

    def _refusal(self, reason: ReasonCode) -> str:
        text = str(reason).lower().replace("authorized", "authorised")
        if reason.value not in LOGIN_REFUSALS:
            return f"the broker at {self.where} refused client {self._client_id!r}: {text}"
        user = self._settings.username
        who = f"user {user!r}" if user else "a login without a name"
        return f"the broker at {self.where} refused {who}: {text}; check mqtt.username and the password_file"

    def _report(self, event: str, reason: str) -> None:
        """Log it once per change: a broker that is down for a night is one line, not thousands."""
        if self._leaving or reason == self.trouble:
            return
        self.trouble = reason
        write = log.error if event == "mqtt.refused" else log.warning
        write(event, broker=self.where, client=self._client_id, reason=reason)

    # On paho's thread

    def _on_pre_connect(self, client: Client, _data: object) -> None:
        """A password may have been changed since the last attempt."""
        will = self._will()
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        with suppress(ConfigError):  # unreadable at the moment: the one we have may do
            if self._settings.username:
                client.username_pw_set(self._settings.username, self._settings.password())

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _more: Any) -> None:
        self._answer = reason
        self._answered.set()
        if self._leaving:
            client.disconnect()
        elif reason.is_failure:
            self._report("mqtt.refused", self._refusal(reason))
        else:
            self.connected, self.trouble = True, None
            log.info("mqtt.connected", broker=self.where, client=self._client_id)
            self._owner.on_up()

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        # paho calls from its except clause and says no more than this
        self._report("mqtt.unreachable", self._sentence(sys.exception()))

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: ReasonCode, _more: Any) -> None:
        was_connected, self.connected = self.connected, False  # paho may call twice
        answer, self._answer = self._answer, self._answer or NO_ANSWER
        self._answered.set()
        if was_connected:
            self._report("mqtt.disconnected", str(reason))
        elif answer is None:
            self._report("mqtt.unreachable", self._unreachable(NO_ANSWER))
        self._owner.on_down()

    def _on_publish(self, _client: Client, _data: object, _mid: int, reason: ReasonCode, _more: Any) -> None:
        self._owner.on_acknowledged(reason)

    def _on_subscribe(self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _more: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("mqtt.subscription_denied", broker=self.where, reason=str(reason))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._owner.on_message(message)


def _limits() -> Properties:
    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    limits.MaximumPacketSize = MAX_PACKET_BYTES
    return limits
