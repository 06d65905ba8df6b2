"""Alarms and states to an MQTT 5 broker, and commands from it.

One message is under way at a time; the next leaves when the broker has acknowledged it. So events reach the broker
in the order in which they were published, whatever happens to the connection, and a lost acknowledgement repeats one
message, back to back, never a stretch. The queue is ours, since paho's own (2.2) cannot promise that: it sends what
it is given between CONNECT and CONNACK ahead of older messages, drops what exceeds 65 535 without a word, and is gone
with the process. The one message that paho holds it sends again after a reconnection by itself, so the broker needs to
keep no session for us.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import structlog

from spillwatch.errors import PublishError
from spillwatch.publish.base import Counters, Identity, Request
from spillwatch.publish.inbox import Inbox
from spillwatch.publish.link import Link, Will
from spillwatch.publish.outgoing import MemoryOutbox, Queue
from spillwatch.records import AlarmEvent, Answer, CameraStatus, Message, SiteStatus, WellStatus, encode, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from spillwatch.config import MqttSettings
    from spillwatch.publish.base import Outbox

LEAVE_TIMEOUT_S = 1.5  # all of leaving: a service that is told to stop must stop
DENIED_PAUSE_S = 30.0  # until events are tried again after the broker's access list denied them
UNANSWERED_S = 30.0  # for a broker that answers pings and acknowledges nothing; a busy one takes a second or two
LONGEST_RESPONSE_TOPIC = 256
MAX_ECHOES = 100

log = structlog.get_logger()


class MqttPublisher:
    """Publishes every message at QoS 1, from paho's thread; ``publish`` itself only queues and never waits.

    Entering raises PublishError for wrong settings. A broker that cannot be reached, or refuses the login, is tried
    again in the background and named in ``trouble``, unless ``wait_for_broker`` (replay), which makes it a PublishError
    too. Leaving gives what is queued a moment to arrive and logs what did not. Events come from ``outbox``; commands
    are listened to if there is somebody to ``wake`` for them.
    """

    def __init__(
        self,
        settings: MqttSettings,
        identity: Identity,
        *,
        outbox: Outbox | None = None,
        wake: Callable[[], None] | None = None,
        wait_for_broker: bool = False,
    ) -> None:
        self._identity = identity
        self._base = identity.base
        self._wait_for_broker = wait_for_broker
        self.outbox = outbox if outbox is not None else MemoryOutbox()
        self._inbox = Inbox(wake) if wake else None
        self._wake = wake
        self._listening = False
        self._echoes: deque[tuple[bytes, float]] = deque(maxlen=MAX_ECHOES)
        will = Will(topic=self._status_topic, payload=self._status(online=False, since=None))
        self._link = Link(settings, client_id=identity.client_id, will=lambda: will, owner=self)
        # Guards what follows; never held while paho is called, since paho calls back with locks of its own held
        self._changed = threading.Condition()
        self._queue = Queue(self.outbox, events_topic=self._events_topic)
        self._degraded: tuple[str, ...] = ()
        self._since: datetime | None = None
        self._denied: set[str] = set()
        self._sent_s = 0.0  # when what is under way last left
        self._unanswered = False
        self.counters = Counters()

    @property
    def connected(self) -> bool:
        """The broker has let us in and the connection stands, as far as is known."""
        return self._link.connected

    @property
    def trouble(self) -> str | None:
        """Why there is no connection, or nothing arrives by it, in a sentence."""
        if self._unanswered:
            return f"the broker at {self._link.where} acknowledges nothing; check its log and its disk"
        return self._link.trouble

    @property
    def pending(self) -> int:
        """Messages that the broker has not acknowledged."""
        with self._changed:
            return len(self._queue)

    def __enter__(self) -> Self:
        self._queue.begin_again()
        if self._wait_for_broker:
            self._link.start_now_or_never()
        else:
            self._link.start()
        return self

    def __exit__(self, *exc: object) -> None:
        start = time.monotonic()
        with self._changed:
            self._changed.wait_for(self._settled, LEAVE_TIMEOUT_S * 0.6)
            if self.connected:
                self._queue.retain(self._status_topic, self._status(online=False, since=datetime.now(UTC)))
        self._send_next()
        with self._changed:
            self._changed.wait_for(self._settled, start + LEAVE_TIMEOUT_S * 0.8 - time.monotonic())
            left = len(self._queue)
        self._link.stop(start + LEAVE_TIMEOUT_S - time.monotonic(), publish_will=left > 0)
        if left:
            write = log.error if isinstance(self.outbox, MemoryOutbox) else log.warning
            write("mqtt.undelivered", broker=self._link.where, messages=left, events=len(self.outbox))

    def publish(self, message: Message) -> None:
        """Queue it; events must come in the order of their ``seq``. Raises PublishError if nothing is sent now."""
        with self._changed:
            match message:
                case AlarmEvent(test=True):
                    self._queue.append(message)  # a standing alarm stays what the well's retained topic holds
                case AlarmEvent(camera=camera, well=well):
                    self._queue.retain(self._topic(camera, well, "alarm"), encode(message))
                    self._queue.append(message)
                case CameraStatus(camera=camera):
                    self._queue.retain(self._topic(camera, None, "status"), encode(message))
                case WellStatus(camera=camera, well=well):
                    self._queue.retain(self._topic(camera, well, "state"), encode(message))
                case SiteStatus(degraded=degraded):
                    self._degraded = degraded
                    if self.connected:
                        self._queue.retain(self._status_topic, self._status(online=True, since=self._since))
        if not self._link.alive:
            raise PublishError(f"the MQTT client for {self._link.where} does not run, so nothing is published")
        self._send_next()

    def revive(self) -> None:
        """To be called now and then. Should the broker acknowledge nothing, connect anew; should paho's thread have
        died of a fault, begin again with a new one."""
        if self._link.alive:
            self._look_after_answer()
            return
        log.error("mqtt.thread_died", broker=self._link.where)
        with self._changed:
            self._queue.begin_again()
        self._link.start()

    def _look_after_answer(self) -> None:
        with self._changed:
            waits = self.connected and self._queue.waits and time.monotonic() - self._sent_s > UNANSWERED_S
            self._sent_s = time.monotonic() if waits else self._sent_s
        if waits:
            if not self._unanswered:
                log.error("mqtt.unanswered", broker=self._link.where, waited_s=UNANSWERED_S)
            self._unanswered = True
            self._link.break_off()

    def recall(self, camera: str, well: str | None, payload: str) -> None:
        """Before entering: the latest event of a well, or of the camera itself, from before a restart."""
        self._queue.retain(self._topic(camera, well, "alarm"), payload)

    def forget(self, camera: str, well: str) -> None:
        """The well is no more: its retained state, which would say for ever that it is watched, is removed."""
        self.retain(self._topic(camera, well, "state"), "")

    def retain(self, topic: str, payload: str) -> None:
        """Somebody else's value that shall stand at the broker; an empty one removes what stands there."""
        with self._changed:
            self._queue.retain(topic, payload)
        self._send_next()

    def listen(self, *, on: bool) -> None:
        """Hear the topic of all events too, as anybody would who is told by the broker."""
        self._listening = on
        if on:
            self._echoes.clear()
            self._link.subscribe(self._events_topic)
        else:
            self._link.unsubscribe(self._events_topic)

    def echoes(self) -> list[tuple[bytes, float]]:
        """What has come on that topic since the last call, and when (monotonic seconds)."""
        return [self._echoes.popleft() for _ in range(len(self._echoes))]

    def requests(self) -> list[Request]:
        """The commands that have come since the last call."""
        return self._inbox.take() if self._inbox else []

    def answer(self, request: Request, answer: Answer) -> None:
        """Tell who asked what became of it."""
        topic = request.response_topic
        if topic is None or not self._may_answer_on(topic):
            topic = f"{self._base}/cmd/result"
        with self._changed:
            self._queue.answer(topic, encode(answer), request.correlation)
        self._send_next()

    # Topics and payloads

    @property
    def _status_topic(self) -> str:
        return f"{self._base}/status"

    @property
    def _events_topic(self) -> str:
        return f"{self._base}/alarms"

    def _topic(self, camera: str, well: str | None, last: str) -> str:
        levels = [camera, last] if well is None else [camera, well, last]
        for level in levels:
            if not level or set(level) & set("/+#\0"):
                raise PublishError(f"{level!r} cannot be part of an MQTT topic; rename it without '/', '+' and '#'")
        return "/".join([self._base, *levels])

    def _may_answer_on(self, topic: str) -> bool:
        """Nobody may make us speak on a topic that has another meaning, such as that of the alarms."""
        foreign = not f"{topic}/".startswith(f"{self._base}/") or topic.startswith(f"{self._base}/cmd/")
        return (
            foreign
            and len(topic) <= LONGEST_RESPONSE_TOPIC
            and not topic.startswith("$")
            and not set(topic) & set("+#\0")
        )

    def _status(self, *, online: bool, since: datetime | None) -> str:
        """A will cannot know when it will be sent, hence no "since"; leaving in order gives one."""
        status: dict[str, object] = {"online": online, "version": self._identity.version}
        status["since"] = since and rfc3339(since)
        if online:
            status["degraded"] = self._degraded
        return json.dumps(status, ensure_ascii=False, separators=(",", ":"))

    def _settled(self) -> bool:
        return not self.connected or not len(self._queue)

    # From here on also on paho's thread

    def _send_next(self) -> None:
        with self._changed:
            outgoing = self._queue.take() if self.connected else None
            self._sent_s = time.monotonic() if outgoing else self._sent_s
        if outgoing:
            self.counters.sent += 1
            self._link.send(outgoing)

    def on_up(self) -> None:
        """The link's owner: connected."""
        self.counters.connections += 1
        with self._changed:
            self._since, self._sent_s = datetime.now(UTC), time.monotonic()  # paho sends again what was under way
            if self._status_topic not in self._denied:
                self._queue.retain(self._status_topic, self._status(online=True, since=self._since))
            self._queue.retain_all_again(first=self._status_topic)
            self._changed.notify_all()
        if self._inbox:
            self._link.subscribe(f"{self._base}/cmd")
        if self._listening:
            self._link.subscribe(self._events_topic)
        self._send_next()

    def on_down(self) -> None:
        """The link's owner: disconnected."""
        with self._changed:
            self._changed.notify_all()

    def on_acknowledged(self, reason: ReasonCode) -> None:
        """The link's owner: what was under way has arrived, or the broker's access list forbids its topic."""
        with self._changed:
            self._unanswered = False
            denied = self._queue.denied(hold_s=DENIED_PAUSE_S) if reason.is_failure else None
            if not reason.is_failure:
                self._queue.acknowledged()
                self.counters.acknowledged += 1
            self._changed.notify_all()
        if denied:
            self.counters.denied += 1
            if denied.topic not in self._denied:
                self._denied.add(denied.topic)
                log.error("mqtt.denied", broker=self._link.where, topic=denied.topic, reason=str(reason))
        self._send_next()

    def on_message(self, message: MQTTMessage) -> None:
        """The link's owner: a command, or an event that we listen for."""
        if message.topic == self._events_topic:
            self._echoes.append((bytes(message.payload), time.monotonic()))
            if self._wake:
                self._wake()
            return
        if not self._inbox:
            return
        properties = message.properties
        request = Request(
            payload=bytes(message.payload),
            retained=message.retain,
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
        )
        self.counters.commands += 1
        if refused := self._inbox.put(request):
            self.counters.commands_refused += 1
            self.answer(request, Answer(ok=False, refused=refused, request={}, at=datetime.now(UTC)))
