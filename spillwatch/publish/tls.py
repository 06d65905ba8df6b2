"""The broker's encryption."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from spillwatch.errors import PublishError

if TYPE_CHECKING:
    from spillwatch.config import MqttSettings


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(settings: MqttSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer; the broker's certificate and name are always checked."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as exc:
        raise PublishError(f"mqtt.ca_file {settings.ca_file} cannot be used: {exc}; it must be PEM") from exc
    context.sslsocket_class = _TlsSocket
    if settings.cert_file and settings.key_file:
        try:
            # An empty password, since an encrypted key would otherwise be asked for on the terminal
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except (OSError, ValueError) as exc:
            raise PublishError(
                f"mqtt.cert_file {settings.cert_file} and mqtt.key_file {settings.key_file} cannot be used: {exc}; "
                "they must be PEM, belong together, and the key must not be encrypted"
            ) from exc
    return context
