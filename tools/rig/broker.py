"""A real mosquitto on loopback, and certificates for it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tools.rig import RigError, free_port, program, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Broker:
    """Runs mosquitto with its own configuration and a persistent store; can be stopped, killed, frozen, started."""

    def __init__(
        self,
        folder: Path,
        *,
        passwords: dict[str, str] | None = None,
        acl: str | None = None,
        certificates: Certificates | None = None,
        ask_client_certificate: bool = False,
        max_queued_messages: int = 0,
    ) -> None:
        self._binary = program("mosquitto")
        self.port = free_port()
        self._folder = folder / f"broker-{self.port}"
        self._folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self._folder}/",
            f"allow_anonymous {'false' if passwords else 'true'}",
            f"max_queued_messages {max_queued_messages}",
            "log_dest stdout",
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        if passwords:
            self.set_passwords(passwords)
            lines.append(f"password_file {self._folder / 'passwords'}")
        if acl is not None:
            lines.append(f"acl_file {self._write('acl', acl)}")
        if certificates:
            lines += [f"certfile {certificates.server.cert}", f"keyfile {certificates.server.key}"]
            lines += [f"cafile {certificates.ca}", f"require_certificate {str(ask_client_certificate).lower()}"]
        self._config = self._write("mosquitto.conf", "\n".join(lines) + "\n")

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def set_passwords(self, passwords: dict[str, str]) -> None:
        """Holds from the next start."""
        path = self._write("passwords", "")
        for user, password in passwords.items():
            subprocess.run([program("mosquitto_passwd"), "-b", path, user, password], check=True, capture_output=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    def start(self) -> None:
        if self._process is not None:
            raise RigError("the broker runs already")
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen([self._binary, "-c", self._config], stdout=output, stderr=output)
        wait_until(self._accepts, what=f"mosquitto accepts connections:\n{self.log()}")

    def _accepts(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RigError(f"mosquitto ended:\n{self.log()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def save(self) -> None:
        """Write sessions and retained messages to its store now, as it does every half hour."""
        self.send(signal.SIGUSR1)

    def stop(self) -> None:
        """An orderly end: it saves its store first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """At once, without another thought, even when it is frozen: what it acknowledged and did not save is lost."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self.send(number)
            self._process.wait(10)
            self._process = None

    def send(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it, SIGCONT lets it go on."""
        if self._process is not None:
            self._process.send_signal(number)

    def log(self) -> str:
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""


class Subscriber:
    """Listens with a session that outlives a restart of the broker, and keeps (topic, text, retained)."""

    def __init__(self, port: int, *topics: str, session: str = "", account: tuple[str, str] | None = None) -> None:
        self.received: list[tuple[str, str, bool]] = []
        self._subscribed = threading.Event()
        self._topics = topics
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=session, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        if account:
            self._client.username_pw_set(*account)
        expiry = Properties(PacketTypes.CONNECT)
        expiry.SessionExpiryInterval = 600 if session else 0
        # mosquitto 2.0.11 does not save a session that began with a clean start, whatever its expiry
        self._client.connect("127.0.0.1", port, clean_start=not session, properties=expiry)

    def _on_connect(self, *_: Any) -> None:
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.append((message.topic, message.payload.decode(errors="replace"), message.retain))

    @classmethod
    def when_up(cls, broker: Broker, *topics: str) -> Self:
        """Start the broker and be its first client."""
        broker.start()
        return cls(broker.port, *topics)

    def __enter__(self) -> Self:
        self._client.loop_start()
        if not self._subscribed.wait(10):
            raise RigError("the broker does not take the subscription within 10 s")
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def on(self, topic: str) -> list[str]:
        """The payloads that have come on one topic."""
        return [text for name, text, _ in self.received if name == topic]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    cert: Path
    key: Path


class Certificates:
    """A certificate authority with one certificate for a broker and one for a client."""

    def __init__(self, folder: Path, *, names: str = "DNS:localhost,IP:127.0.0.1") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.crt"
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.crt"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self.server = self._issue("server", f"subjectAltName={names}")
        self.client = self._issue("client", "extendedKeyUsage=clientAuth")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([program("openssl"), *arguments], cwd=self._folder, check=True, capture_output=True)

    def _issue(self, name: str, extension: str) -> Pair:
        key, request, cert = f"{name}.key", f"{name}.csr", f"{name}.crt"
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
        )
        (self._folder / "extension").write_text(
            f"{extension}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"),
            *("-extfile", "extension", "-out", cert),
        )
        (self._folder / key).chmod(0o600)
        return Pair(self._folder / cert, self._folder / key)


class Relay:
    """A wire that can lose the answers, be cut, go silent without being cut, and be slow."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._muted = False
        self._byte_s = 0.0
        self._carrying = threading.Event()
        self._carrying.set()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._carrying.set()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def mute(self) -> None:
        """From now on what the broker says is lost, until the wire is cut."""
        self._muted = True

    def silence(self) -> None:
        """Nothing passes either way and nobody is told, as when a switch on the way loses power."""
        self._carrying.clear()

    def restore(self) -> None:
        """What was held up is delivered, as TCP's repetitions would."""
        self._carrying.set()

    def slow(self, bytes_per_s: float) -> None:
        """From now on no more than so much passes, each way: the rest waits its turn."""
        self._byte_s = 1.0 / bytes_per_s

    def cut(self) -> None:
        """Break every connection; new ones hear the broker again."""
        broken, self._open = self._open, []
        for end in broken:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._muted = False

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="relay", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._carrying.wait()
                try:
                    server = socket.create_connection(("127.0.0.1", self._to_port))
                except ConnectionRefusedError:  # no broker just now
                    client.close()
                    continue
                self._open += [client, server]
                self._start(self._carry, client, server, False)
                self._start(self._carry, server, client, True)

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                self._carrying.wait()
                time.sleep(len(data) * self._byte_s)
                if not (answers and self._muted):
                    target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if answers:
            source.close()
            target.close()
