"""The MQTT publisher against a real mosquitto."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from structlog.testing import capture_logs

from spillwatch.config import MqttSettings, StateSettings
from spillwatch.errors import PublishError
from spillwatch.publish import link, mqtt
from spillwatch.publish.mqtt import MqttPublisher
from spillwatch.records import Answer, CameraState, CameraStatus, Condition, WellState, WellStatus
from spillwatch.store.keeping import Store
from tests.support.publishers import AT, alarm_event, identity
from tools.rig import free_port, program, wait_until
from tools.rig.broker import Broker, Certificates, Relay, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spillwatch.publish.base import Request

ONLINE = re.compile(r'^\{"online":true,"version":"0\.1\.0","since":"20\d\d-[\d-]+T[\d:.]+Z","degraded":\[\]\}$')
OFFLINE = re.compile(r'^\{"online":false,"version":"0\.1\.0","since":"20\d\d-[\d-]+T[\d:.]+Z"\}$')
WILL = '{"online":false,"version":"0.1.0","since":null}'


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def publisher(port: int, *, wait_for_broker: bool = False, **settings: Any) -> MqttPublisher:
    values = {"host": "127.0.0.1", "port": port} | settings
    return MqttPublisher(MqttSettings(**values), identity("site/line"), wait_for_broker=wait_for_broker)


def refusal(subject: MqttPublisher) -> str:
    """What entering it says."""
    with pytest.raises(PublishError) as caught, subject:
        pass
    return str(caught.value)


def well_status(well: str, state: WellState = WellState.WATCHING) -> WellStatus:
    return WellStatus(camera="cam1", well=well, state=state, at=AT, since=AT)


def camera_status(state: CameraState = CameraState.WATCHING) -> CameraStatus:
    return CameraStatus(
        camera="cam1",
        state=state,
        reason=None,
        fps=25.0,
        last_frame_age_s=0.04,
        at=AT,
        since=AT,
        last_score_age_s=0.04,
        wells={WellState.WATCHING: 84, WellState.OBSTRUCTED: 0},
    )


def numbers(subscriber: Subscriber) -> list[int]:
    return [json.loads(text)["seq"] for text in subscriber.on("site/line/alarms")]


def named(logs: list[Any], event: str) -> list[Any]:
    return [entry for entry in logs if entry["event"] == event]


# What subscribers see


def test_topics_and_payloads_to_the_letter(broker: Broker) -> None:
    address = ["-V", "5", "-p", str(broker.port)]
    subprocess.run([program("mosquitto_pub"), *address, "-r", "-t", "site/ready", "-m", "yes"], check=True)
    command = [program("mosquitto_sub"), *address, "-q", "1", "-t", "site/#", "-v"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        try:
            assert listener.stdout.readline() == "site/ready yes\n"
            with publisher(broker.port) as subject:
                wait_until(lambda: subject.connected and subject.pending == 0)
                subject.publish(camera_status())
                subject.publish(well_status("3L4"))
                subject.publish(alarm_event(1))
                subject.publish(alarm_event(2, well=None, condition=Condition.CAMERA_DARK, score=None, threshold=None))
            lines = [listener.stdout.readline().rstrip("\n") for _ in range(8)]
        finally:
            listener.kill()

    spill = (
        '{"id":"line-cam1-7.1","seq":1,"camera":"cam1","well":"3L4","condition":"spill","state":"unacknowledged",'
        '"active":true,"acked":false,"priority":"high","at":"2026-11-24T10:00:01.125Z","media_time_s":null,'
        '"score":0.0421,"threshold":0.0187,"model":"2026-11","delay_ms":38.5,"late":false,"test":false,'
        '"first_out":false,"flood":false,"by":null,"reason":null,"evidence":null}'
    )
    dark = (
        '{"id":"line-cam1-7.2","seq":2,"camera":"cam1","well":null,"condition":"camera_dark","state":"unacknowledged",'
        '"active":true,"acked":false,"priority":"high","at":"2026-11-24T10:00:02.125Z","media_time_s":null,'
        '"score":null,"threshold":null,"model":"2026-11","delay_ms":38.5,"late":false,"test":false,'
        '"first_out":false,"flood":false,"by":null,"reason":null,"evidence":null}'
    )
    first, *middle, last = [line.split(" ", 1) for line in lines]
    assert first[0] == last[0] == "site/line/status"
    assert ONLINE.match(first[1])
    assert OFFLINE.match(last[1])
    assert sorted(middle) == sorted(
        [
            [
                "site/line/cam1/status",
                '{"camera":"cam1","state":"watching","reason":null,"fps":25.0,"last_frame_age_s":0.04,'
                '"at":"2026-11-24T10:00:00.125Z","since":"2026-11-24T10:00:00.125Z","last_score_age_s":0.04,'
                '"wells":{"watching":84,"obstructed":0},"heartbeat_s":5.0,"self_test":null}',
            ],
            [
                "site/line/cam1/3L4/state",
                '{"camera":"cam1","well":"3L4","state":"watching","at":"2026-11-24T10:00:00.125Z",'
                '"since":"2026-11-24T10:00:00.125Z"}',
            ],
            ["site/line/cam1/3L4/alarm", spill],
            ["site/line/cam1/alarm", dark],
            ["site/line/alarms", spill],
            ["site/line/alarms", dark],
        ]
    )


def test_a_late_subscriber_sees_what_holds_and_no_old_events(broker: Broker) -> None:
    with publisher(broker.port) as subject:
        subject.publish(camera_status(CameraState.BLIND))
        subject.publish(camera_status())
        subject.publish(well_status("3L4", WellState.OBSTRUCTED))
        subject.publish(alarm_event(1))
        subject.publish(alarm_event(2, active=False))
        wait_until(lambda: subject.connected and subject.pending == 0)
        with Subscriber(broker.port, "site/#") as late:
            wait_until(lambda: len(late.received) == 4)
            assert all(retained for _, _, retained in late.received)
            assert {topic for topic, _, _ in late.received} == {
                "site/line/status",
                "site/line/cam1/status",
                "site/line/cam1/3L4/state",
                "site/line/cam1/3L4/alarm",
            }
            assert json.loads(late.on("site/line/cam1/status")[0])["state"] == "watching"
            assert json.loads(late.on("site/line/cam1/3L4/alarm")[0])["seq"] == 2


def test_the_last_will_speaks_for_a_killed_process(broker: Broker) -> None:
    program = (
        "import sys, time\n"
        "from spillwatch.config import MqttSettings, StateSettings\n"
        "from spillwatch.publish.base import Identity\n"
        "from spillwatch.publish.mqtt import MqttPublisher\n"
        "settings = MqttSettings(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "identity = Identity(base='site/line', client_id='line', version='0.1.0')\n"
        "with MqttPublisher(settings, identity): time.sleep(60)\n"
    )
    with (
        Subscriber(broker.port, "site/#") as subscriber,
        subprocess.Popen([sys.executable, "-c", program, str(broker.port)], stdout=subprocess.DEVNULL) as child,
    ):
        try:
            wait_until(lambda: subscriber.received, within_s=20)
            assert ONLINE.match(subscriber.on("site/line/status")[0])
        finally:
            child.kill()
        wait_until(lambda: len(subscriber.received) == 2)
        assert subscriber.on("site/line/status")[1] == WILL


def test_leaving_in_order_says_when_and_sends_no_will(broker: Broker) -> None:
    with Subscriber(broker.port, "site/#") as subscriber:
        with publisher(broker.port) as subject:
            wait_until(lambda: subject.connected)
        assert not subject.connected
        wait_until(lambda: len(subscriber.received) == 2)
        assert OFFLINE.match(subscriber.on("site/line/status")[1])
    with Subscriber(broker.port, "site/#") as newcomer:
        wait_until(lambda: newcomer.received)
        assert newcomer.received == [("site/line/status", subscriber.on("site/line/status")[1], True)]


# Getting in


def test_a_password_lets_in_and_its_absence_or_a_wrong_one_does_not(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("bleed-0ut\n")
    wrong.write_text("gu3ssed\n")
    for path in (right, wrong):
        path.chmod(0o600)
    with Broker(tmp_path, passwords={"line": "bleed-0ut"}) as broker, capture_logs() as logs:
        with publisher(broker.port, wait_for_broker=True, username="line", password_file=right) as subject:
            assert subject.connected
        assert refusal(publisher(broker.port, wait_for_broker=True, username="line", password_file=wrong)) == (
            f"the broker at 127.0.0.1:{broker.port} refused user 'line': not authorised; "
            "check mqtt.username and the password_file"
        )
        assert refusal(publisher(broker.port, wait_for_broker=True)) == (
            f"the broker at 127.0.0.1:{broker.port} refused a login without a name: not authorised; "
            "check mqtt.username and the password_file"
        )
    assert named(logs, "mqtt.refused")
    assert "bleed-0ut" not in str(logs)
    assert "gu3ssed" not in str(logs)


def test_a_daemon_whose_login_is_refused_says_so_and_gets_in_once_its_password_file_is_right(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("gu3ssed")
    secret.chmod(0o600)
    with (
        Broker(tmp_path, passwords={"line": "bleed-0ut"}) as broker,
        capture_logs() as logs,
        publisher(broker.port, username="line", password_file=secret) as subject,
    ):
        subject.publish(alarm_event(1))
        wait_until(lambda: named(logs, "mqtt.refused"))
        assert "refused user 'line': not authorised" in (subject.trouble or "")
        secret.write_text("bleed-0ut")
        wait_until(lambda: subject.connected and subject.pending == 0)
        assert subject.trouble is None
        assert len(named(logs, "mqtt.refused")) == 1


def test_a_login_that_is_refused_later_is_logged_and_tried_again(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    secret.chmod(0o600)
    with (
        Broker(tmp_path, passwords={"line": "one"}) as broker,
        capture_logs() as logs,
        publisher(broker.port, username="line", password_file=secret) as subject,
    ):
        for password, wanted in (("two", "mqtt.refused"), ("one", "mqtt.connected")):
            logs.clear()
            broker.stop()
            broker.set_passwords({"line": password})
            broker.start()
            wait_until(lambda wanted=wanted: named(logs, wanted))
            assert subject.connected == (wanted == "mqtt.connected")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tls_with_the_right_authority(tmp_path: Path, certificates: Certificates, host: str) -> None:
    with (
        Broker(tmp_path, certificates=certificates) as broker,
        publisher(broker.port, host=host, tls=True, ca_file=certificates.ca) as subject,
    ):
        subject.publish(alarm_event(1))
        wait_until(lambda: subject.connected and subject.pending == 0)


def test_tls_with_another_authority_or_another_name_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    other = Certificates(tmp_path / "other", names="DNS:elsewhere.example")
    with Broker(tmp_path, certificates=certificates) as broker:
        assert refusal(publisher(broker.port, wait_for_broker=True, tls=True, ca_file=other.ca)).startswith(
            f"the certificate of the broker at 127.0.0.1:{broker.port} is not accepted: "
        )
        assert "ca_file" in refusal(
            publisher(broker.port, wait_for_broker=True, tls=True)
        )  # the system's authorities do not know it
    with Broker(tmp_path, certificates=other) as broker:
        assert "Hostname mismatch" in refusal(
            publisher(broker.port, wait_for_broker=True, host="localhost", tls=True, ca_file=other.ca)
        )


def test_a_client_certificate_lets_in_and_its_absence_does_not(tmp_path: Path, certificates: Certificates) -> None:
    with Broker(tmp_path, certificates=certificates, ask_client_certificate=True) as broker:
        pair = {"cert_file": certificates.client.cert, "key_file": certificates.client.key}
        with publisher(broker.port, wait_for_broker=True, tls=True, ca_file=certificates.ca, **pair) as subject:
            assert subject.connected
        bare = publisher(broker.port, wait_for_broker=True, tls=True, ca_file=certificates.ca)
        assert "wants TLS or a certificate" in refusal(bare)


def test_files_that_are_no_certificates_are_named(tmp_path: Path, certificates: Certificates) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate")
    junk.chmod(0o600)
    assert f"mqtt.ca_file {junk} cannot be used" in refusal(publisher(1, tls=True, ca_file=junk))
    assert f"mqtt.cert_file {junk}" in refusal(
        publisher(1, tls=True, ca_file=certificates.ca, cert_file=junk, key_file=certificates.client.key)
    )


def test_tls_and_plain_do_not_mix(tmp_path: Path, broker: Broker, certificates: Certificates) -> None:
    refusal(publisher(broker.port, wait_for_broker=True, tls=True, ca_file=certificates.ca))
    with Broker(tmp_path, certificates=certificates) as encrypted:
        assert "wants TLS or a certificate" in refusal(publisher(encrypted.port, wait_for_broker=True))


def test_a_host_that_is_no_name_is_a_wrong_setting() -> None:
    assert "mqtt.host 'a..b' is not a host name" in refusal(publisher(1, host="a..b"))


# Brokers that go and come


def test_a_broker_restarted_in_mid_stream_gets_every_event_in_order(broker: Broker) -> None:
    with Subscriber(broker.port, "site/line/alarms", session="crew") as subscriber, publisher(broker.port) as subject:
        for seq in range(1, 201):
            subject.publish(alarm_event(seq, well=f"{seq % 7}L1"))
            if seq == 60:
                broker.stop()
            if seq == 140:
                broker.start()
            time.sleep(0.001)
        wait_until(lambda: subject.connected and subject.pending == 0)
        wait_until(lambda: numbers(subscriber)[-1:] == [200])
        # The broker itself may deliver again what the subscriber had not acknowledged, hence without repeats
        assert list(dict.fromkeys(numbers(subscriber))) == list(range(1, 201))


def test_a_lost_acknowledgement_repeats_one_event_under_its_id(broker: Broker) -> None:
    with Subscriber(broker.port, "site/#") as subscriber, Relay(broker.port) as relay, publisher(relay.port) as subject:
        subject.publish(alarm_event(1))
        wait_until(lambda: subject.connected and subject.pending == 0)
        relay.mute()
        for seq in (2, 3, 4):
            subject.publish(alarm_event(seq))
        wait_until(lambda: len(subscriber.on("site/line/cam1/3L4/alarm")) == 2)  # arrived, and nobody knows
        relay.cut()
        wait_until(lambda: numbers(subscriber) == [1, 2, 3, 4] and subject.pending == 0)

        relay.mute()
        subject.publish(alarm_event(5, well=None))
        wait_until(lambda: len(subscriber.on("site/line/cam1/alarm")) == 1)
        relay.cut()
        wait_until(lambda: numbers(subscriber)[-1:] == [5] and subject.pending == 0)
        again = subscriber.on("site/line/cam1/alarm")
        assert len(set(again)) == 1  # the same text, so the same id, at every delivery
        assert numbers(subscriber) == [1, 2, 3, 4, 5]


def test_a_broker_that_forgot_everything_learns_what_holds_before_new_events(broker: Broker) -> None:
    with publisher(broker.port) as subject:
        subject.publish(camera_status())
        subject.publish(well_status("3L4"))
        subject.publish(well_status("3L5"))
        wait_until(lambda: subject.connected and subject.pending == 0)
        broker.kill()  # it has saved nothing
        wait_until(lambda: not subject.connected)
        subject.publish(well_status("3L5", WellState.OBSTRUCTED))
        subject.publish(alarm_event(1))
        broker.start()
        with Subscriber(broker.port, "site/#") as subscriber:
            wait_until(lambda: numbers(subscriber) == [1])
            assert [topic for topic, _, _ in subscriber.received] == [
                "site/line/status",
                "site/line/cam1/status",
                "site/line/cam1/3L4/state",
                "site/line/cam1/3L5/state",
                "site/line/cam1/3L4/alarm",
                "site/line/alarms",
            ]
            assert json.loads(subscriber.on("site/line/cam1/3L5/state")[0])["state"] == "obstructed"


def test_a_broker_that_is_down_at_the_start_is_waited_for(broker: Broker) -> None:
    broker.stop()
    with capture_logs() as logs, publisher(broker.port) as subject:
        subject.publish(alarm_event(1))
        assert not subject.connected
        assert subject.pending == 2
        wait_until(lambda: named(logs, "mqtt.unreachable"))
        with Subscriber.when_up(broker, "site/#") as subscriber:
            wait_until(lambda: numbers(subscriber) == [1])
            assert subject.connected
    assert len(named(logs, "mqtt.unreachable")) == 1
    assert "cannot be reached: Connection refused" in named(logs, "mqtt.unreachable")[0]["reason"]


def test_replay_does_not_wait_for_a_broker() -> None:
    port = free_port()
    assert refusal(publisher(port, wait_for_broker=True)) == (
        f"the broker at 127.0.0.1:{port} cannot be reached: Connection refused; "
        "check mqtt.host and mqtt.port, and that the broker runs"
    )


def test_replay_does_not_wait_for_a_frozen_broker(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 0.3)
    broker.send(signal.SIGSTOP)
    assert "no answer within 0.3 s" in refusal(publisher(broker.port, wait_for_broker=True))


def test_a_frozen_broker_holds_up_neither_publishing_nor_leaving(broker: Broker) -> None:
    with capture_logs() as logs:
        with publisher(broker.port) as subject:
            wait_until(lambda: subject.connected and subject.pending == 0)
            broker.send(signal.SIGSTOP)
            start = time.monotonic()
            for seq in range(1, 1001):
                subject.publish(alarm_event(seq))
            assert time.monotonic() - start < 0.5
            start = time.monotonic()
        assert time.monotonic() - start < mqtt.LEAVE_TIMEOUT_S + 0.3
    assert [entry["messages"] for entry in named(logs, "mqtt.undelivered")] == [
        1003
    ]  # also the well's alarm, twice, and good-bye


class MuteBroker:
    """Lets everybody in and answers pings, but acknowledges only from the second connection on."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[list[bytes]] = []  # packets of type PUBLISH, by connection
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as stream:
                self.heard.append([])
                while first := stream.read(1):
                    self._answer(connection, first[0], stream.read(_length(stream)))

    def _answer(self, connection: socket.socket, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == 1:
            connection.sendall(b"\x20\x03\x00\x00\x00")
        elif kind == 3:
            self.heard[-1].append(body)
            end = 2 + int.from_bytes(body[:2])
            if len(self.heard) > 1:
                connection.sendall(b"\x40\x02" + body[end : end + 2])
        elif kind == 12:
            connection.sendall(b"\xd0\x00")


def _length(stream: BinaryIO) -> int:
    """MQTT's, seven bits to a byte."""
    length = shift = 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return length


@pytest.mark.logs_error("mqtt.unanswered")
def test_a_broker_that_acknowledges_nothing_is_named_and_connected_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "UNANSWERED_S", 0.5)
    mute = MuteBroker()
    with publisher(mute.port) as subject:
        for seq in (1, 2, 3):
            subject.publish(alarm_event(seq))
        wait_until(lambda: mute.heard and mute.heard[0])
        subject.revive()
        assert subject.trouble is None  # not yet
        time.sleep(0.6)
        subject.revive()
        assert "acknowledges nothing" in (subject.trouble or "")
        wait_until(lambda: subject.pending == 0)
        assert subject.trouble is None
    assert len(mute.heard[0]) == 1
    events = [body for body in mute.heard[1] if b'"seq":' in body and b"/alarms" in body[:30]]
    assert [int(re.findall(rb'"seq":(\d+)', body)[0]) for body in events] == [1, 2, 3]


def test_leaving_while_the_broker_is_down_is_quick(broker: Broker) -> None:
    with capture_logs() as logs:
        with publisher(broker.port) as subject:
            wait_until(lambda: subject.connected and subject.pending == 0)
            broker.stop()
            wait_until(lambda: not subject.connected)
            subject.publish(alarm_event(1))
            start = time.monotonic()
        assert time.monotonic() - start < mqtt.LEAVE_TIMEOUT_S + 0.3
    assert [entry["event"] for entry in logs] == ["mqtt.connected", "mqtt.disconnected", "mqtt.undelivered"]


@pytest.mark.parametrize("denied", ["site/line/cam1/3L4/alarm", "site/line/status"])
def test_a_topic_that_the_access_list_denies_is_logged_once_and_holds_nothing_up(tmp_path: Path, denied: str) -> None:
    topics = {"site/line/status", "site/line/alarms", "site/line/cam1/3L4/alarm", "site/line/cam1/3L4/state"}
    acl = "topic read #\n" + "".join(f"topic write {topic}\n" for topic in topics - {denied})
    with Broker(tmp_path, acl=acl) as broker, Subscriber(broker.port, "site/#") as subscriber:
        with capture_logs() as logs, publisher(broker.port) as subject:
            subject.publish(alarm_event(1))
            subject.publish(alarm_event(2))
            subject.publish(well_status("3L4"))
            wait_until(lambda: subject.pending == 0 and subject.connected)
        wait_until(lambda: numbers(subscriber) == [1, 2])
        assert subscriber.on("site/line/cam1/3L4/state")
    assert [entry["topic"] for entry in named(logs, "mqtt.denied")] == [denied]


def test_a_name_that_cannot_be_a_topic_is_refused_before_anything_is_queued(broker: Broker) -> None:
    with publisher(broker.port) as subject:
        wait_until(lambda: subject.connected and subject.pending == 0)
        for well in ("3/4", "#", "+", ""):
            with pytest.raises(PublishError, match="cannot be part of an MQTT topic"):
                subject.publish(alarm_event(1, well=well))
        assert subject.pending == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_client_thread_is_an_error_and_begun_anew(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(MqttPublisher, "on_acknowledged", fail)
    listener = Subscriber(broker.port, "site/#")
    with capture_logs() as logs, publisher(broker.port) as subject, listener as subscriber:
        wait_until(lambda: not any(t.name == "paho-mqtt-client-spillwatch-line" for t in threading.enumerate()))
        with pytest.raises(PublishError, match="does not run"):
            subject.publish(alarm_event(1))
        monkeypatch.undo()
        subject.revive()
        subject.revive()
        wait_until(lambda: numbers(subscriber) == [1] and subject.pending == 0)
        assert subscriber.on("site/line/cam1/3L4/alarm")
    assert len(named(logs, "mqtt.thread_died")) == 1


# An outbox on disk


def kept(folder: Path) -> Store:
    return Store(StateSettings(directory=folder / "state"), deliver=True)


def record(store: Store, count: int, subject: MqttPublisher | None = None) -> None:
    for _ in range(count):
        event = alarm_event(store.sequence.next())
        store.record([event])
        if subject:
            subject.publish(event)


def test_a_backlog_of_many_pages_comes_after_what_holds_now_in_order_and_late(tmp_path: Path, broker: Broker) -> None:
    with kept(tmp_path) as store:
        record(store, 30)
        store.record([alarm_event(store.sequence.next()) for _ in range(970)])
    with kept(tmp_path) as store, Subscriber(broker.port, "site/#") as subscriber:
        subject = MqttPublisher(
            MqttSettings(host="127.0.0.1", port=broker.port), identity("site/line"), outbox=store.outbox
        )
        subject.recall("cam1", "3L4", store.latest("cam1", "3L4") or "")
        with subject:
            record(store, 50, subject)
            wait_until(lambda: len(numbers(subscriber)) == 1050)
    assert numbers(subscriber) == list(range(1, 1051))
    late = {event["seq"] for event in map(json.loads, subscriber.on("site/line/alarms")) if event["late"]}
    assert late >= set(range(1, 1001))  # the newest may wait for these
    topics = [topic for topic, _, _ in subscriber.received]
    assert topics[:2] == ["site/line/status", "site/line/cam1/3L4/alarm"]
    assert len(store.outbox) == 0


def test_events_that_an_access_list_denies_are_kept_until_it_lets_them_pass(tmp_path: Path) -> None:
    acl = "topic read #\ntopic write site/line/status\ntopic write site/line/cam1/3L4/alarm\n"
    with Broker(tmp_path, acl=acl) as broker, kept(tmp_path) as store, capture_logs() as logs:
        settings = MqttSettings(host="127.0.0.1", port=broker.port)
        with MqttPublisher(settings, identity("site/line"), outbox=store.outbox) as subject:
            record(store, 3, subject)
            wait_until(lambda: named(logs, "mqtt.denied"))
        assert len(store.outbox) == 3
        assert [entry["topic"] for entry in named(logs, "mqtt.denied")] == ["site/line/alarms"]


# Commands


class Commander:
    """Somebody with a panel: sends commands, and hears the answers."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[str, dict[str, Any], bytes | None]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([("panel/#", SubscribeOptions(qos=1)), ("site/line/#", SubscribeOptions(qos=1))])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic.startswith(("panel/", "site/line/cmd/")):
            correlation = getattr(message.properties, "CorrelationData", None)
            self.answers.append((message.topic, json.loads(message.payload), correlation))

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, payload: str, *, retain: bool = False, response: str = "", correlation: bytes = b"") -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if response:
            properties.ResponseTopic = response
        if correlation:
            properties.CorrelationData = correlation
        self._client.publish("site/line/cmd", payload, qos=1, retain=retain, properties=properties).wait_for_publish(5)


def listening(port: int) -> MqttPublisher:
    return MqttPublisher(MqttSettings(host="127.0.0.1", port=port), identity("site/line"), wake=lambda: None)


def obeyed(subject: MqttPublisher) -> list[Request]:
    """What has come, each answered by yes."""
    requests = subject.requests()
    for request in requests:
        subject.answer(request, Answer(ok=True, refused=None, request={"n": request.payload.decode()}, at=AT))
    return requests


def test_a_command_is_answered_where_the_sender_wants_it(broker: Broker) -> None:
    with listening(broker.port) as subject, Commander(broker.port) as panel:
        wait_until(lambda: subject.connected)
        panel.send("1", response="panel/answers", correlation=b"\x00\x07")
        panel.send("2")
        panel.send("3", response="site/line/cam1/3L4/alarm")  # no answer may look like an alarm
        panel.send("4", response="panel/#")
        requests: list[Request] = []

        def all_came() -> bool:
            requests.extend(obeyed(subject))
            return len(requests) == 4

        wait_until(all_came)
        wait_until(lambda: len(panel.answers) == 4)
    assert [(topic, answer["request"]["n"], correlation) for topic, answer, correlation in panel.answers] == [
        ("panel/answers", "1", b"\x00\x07"),
        ("site/line/cmd/result", "2", None),
        ("site/line/cmd/result", "3", None),
        ("site/line/cmd/result", "4", None),
    ]
    assert not any(request.retained for request in requests)


def test_a_retained_command_is_known_as_such(broker: Broker) -> None:
    with Commander(broker.port) as panel:
        panel.send("1", retain=True)
        with listening(broker.port) as subject:
            requests: list[Request] = []
            wait_until(lambda: requests.extend(obeyed(subject)) or requests)
    assert [request.retained for request in requests] == [True]


def test_more_commands_than_anybody_means_are_refused_and_too_long_ones_never_come(broker: Broker) -> None:
    with listening(broker.port) as subject, Commander(broker.port) as panel:
        wait_until(lambda: subject.connected)
        panel.send("x" * 20_000)
        for number in range(60):
            panel.send(str(number))
        wait_until(lambda: subject.counters.commands == 60)
        taken = len(obeyed(subject))
        assert 20 <= taken < 60
        wait_until(lambda: len(panel.answers) == 60)
    refused = [answer["refused"] for _, answer, _ in panel.answers if not answer["ok"]]
    assert refused == ["too many commands; 20 a second are the most"] * (60 - taken)


def test_commands_are_heard_again_after_the_broker_was_restarted(broker: Broker) -> None:
    with listening(broker.port) as subject:
        wait_until(lambda: subject.connected)
        broker.stop()
        broker.start()
        wait_until(lambda: subject.counters.connections == 2)
        with Commander(broker.port) as panel:
            panel.send("1")
            wait_until(lambda: obeyed(subject))
