"""A network camera's pictures as they arrive, over RTSP."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

import av
import av.error
from pydantic import SecretStr

from spillwatch.errors import ConfigError, RefusedError, SourceError
from spillwatch.records import EncodedPacket, EncodedStream, Frame
from spillwatch.sources.decoding import WholePictures, one_thread, planes_of
from spillwatch.sources.lag import Lag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import Packet
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from spillwatch.config import CameraSettings
    from spillwatch.sources.ring import PacketRing

# TCP, for a lost packet smears the picture; no probing, for the SDP and the first key frame tell everything: the first
# picture comes after 0.1 s instead of 2.3 s, and nothing is queued up behind it.
# Video alone, for a sound track that goes on would hide that the pictures do not.
_OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    "fpsprobesize": "0",
    "probesize": "32768",
    "analyzeduration": "0",
}
_MAX_PIXELS = str(36_000_000)  # 8K and a little; a hostile stream may claim anything, and memory is for all cameras
_KEY_FRAME_WAIT_S = 15.0  # cameras send a key frame every 1 to 10 s, and nothing can be decoded before one

_REFUSALS = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
_MENDS: tuple[tuple[type[Exception], str], ...] = (
    (av.error.HTTPUnauthorizedError, "refuses this account (401); check username and password_file"),
    (av.error.HTTPForbiddenError, "forbids this account its stream (403); let the account view it"),
    (av.error.HTTPNotFoundError, "has no stream of this name (404); check the path in url"),
    (av.error.ConnectionRefusedError, "refuses the connection; check that the camera is on, and the port in url"),
)


class RtspSource:
    """One RTSP camera; ``with`` connects. Frames carry the moment at which they arrived.

    Packets go into the ``ring`` as they come, when there is one. Its URL may hold a password: no message, exception or
    traceback of it ever does.
    """

    def __init__(self, settings: CameraSettings, ring: PacketRing | None = None) -> None:
        self._settings = settings
        self._ring = ring
        self._name = masked_url(settings.url.get_secret_value() if settings.url else "", settings.username)
        self.damaged = 0
        self._container: InputContainer | None = None

    def __enter__(self) -> Self:
        url = self._url()
        container = self._open(url)
        try:
            if not container.streams.video:
                raise SourceError(f"{self._name} sends no video; check the path in url")
            stream = container.streams.video[0]
            one_thread(stream)
            stream.codec_context.options = {"max_pixels": _MAX_PIXELS}
        except BaseException:
            container.close()
            raise
        self._container = container
        return self

    def __exit__(self, *exc: object) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Frame]:
        if self._container is None:
            raise RuntimeError("RtspSource is read inside its with block")
        stream = self._container.streams.video[0]
        lag, pictures = Lag(), WholePictures()
        decoded_s = time.monotonic()
        encoded = _encoded(stream)
        for packet in self._packets(self._container, stream):
            if self._ring is not None:
                self._remember(self._ring, encoded, packet)
            for picture in pictures.of(packet):
                at, decoded_s = datetime.now(UTC), time.monotonic()
                lag_s = lag.measure(picture.time, decoded_s)
                if lag.lasts:
                    raise SourceError(
                        f"{self._name} sends pictures {lag_s:.1f} s late; lower its bit rate, or mend its network"
                    )
                yield Frame(camera=self._settings.id, at=at, time_s=decoded_s, planes=planes_of(picture), lag_s=lag_s)
            self.damaged = pictures.damaged
            if time.monotonic() - decoded_s > _KEY_FRAME_WAIT_S:
                raise SourceError(
                    f"{self._name} sends {stream.codec_context.name} that cannot be decoded; set the camera to H.264"
                    f" with a key frame every second"
                )
        raise SourceError(f"{self._name}: the stream ended; check that the camera is on")

    def _remember(self, ring: PacketRing, stream: EncodedStream, packet: Packet[VideoStream]) -> None:
        """The one copy that is made of a packet."""
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is not None and packet.size:
            dts = pts if packet.dts is None else packet.dts
            ring.add(stream, EncodedPacket(bytes(packet), pts, dts, time.monotonic(), packet.is_keyframe))

    def _url(self) -> SecretStr:
        """The settings' URL with the account in it, percent-encoded."""
        try:
            password = self._settings.password()
        except ConfigError as exc:
            raise SourceError(f"{self._name} cannot be opened: {exc}") from exc
        url = None
        with contextlib.suppress(ValueError):  # whose text holds the password
            url = urlsplit(self._settings.url.get_secret_value() if self._settings.url else "")
        if url is None:
            raise SourceError(f"{self._name} is no valid url; put its password into password_file or percent-encode it")
        user = self._settings.username or unquote(url.username or "")
        password = unquote(url.password or "") if password is None else password
        account = quote(user, safe="") + (":" + quote(password, safe="") if password else "")
        host = url.netloc.rpartition("@")[2]
        return SecretStr(url._replace(netloc=f"{account}@{host}" if account else host).geturl())

    def _open(self, url: SecretStr) -> InputContainer:
        limits = (self._settings.open_timeout_s, self._settings.read_timeout_s)
        began_s = time.monotonic()
        try:
            return av.open(url.get_secret_value(), options=dict(_OPTIONS), timeout=limits, metadata_errors="replace")
        except (av.FFmpegError, OSError) as exc:
            waited_s = time.monotonic() - began_s
            kind = RefusedError if isinstance(exc, _REFUSALS) else SourceError
            sentence = next((mend for cause, mend in _MENDS if isinstance(exc, cause)), None)
            if sentence is None and waited_s >= min(limits):
                sentence = f"does not answer within {waited_s:.0f} s; check the camera's power, network and address"
            elif sentence is None:
                sentence = f"cannot be opened ({exc.strerror}); check the address in url"
        raise kind(f"{self._name} {sentence}")  # out here, not "from exc", whose text holds the URL and password

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        patience_s = self._settings.read_timeout_s
        packets = container.demux(stream)
        fault = ""  # its words alone: an exception kept in its own frame is a cycle, and holds the decoder's memory
        while not fault:
            asked_s = time.monotonic()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as exc:
                fault = exc.strerror or type(exc).__name__
            # FFmpeg ends a silence by handing out the last packet it kept, which is old news, and only then its error.
            if time.monotonic() - asked_s >= patience_s:
                raise SourceError(f"{self._name} is silent for {patience_s:g} s; check the camera and its network")
            if not fault:
                yield packet
        raise SourceError(f"{self._name} broke off ({fault}); check the camera and its network")


def _encoded(stream: VideoStream) -> EncodedStream:
    context = stream.codec_context
    time_base = stream.time_base or Fraction(1, 90_000)  # RTP's own for video
    return EncodedStream(context.codec.canonical_name, time_base, bytes(context.extradata or b""))


def masked_url(url: str, username: str | None = None) -> str:
    """The URL for people to read: rtsp://user:***@host/path, and no password in its path or query either."""
    scheme, _, rest = url.partition("://")
    account, _, address = rest.rpartition("@")  # the last @, for a password may hold @ and / where nobody encoded them
    user, colon, _ = account.partition(":")
    shown = f"{username or user}:***@" if username or colon else f"{user}@" if user else ""
    return re.sub(r"(?i)((?:pass\w*?|pwd|token|secret|key)=)[^&/]*", r"\1***", f"{scheme}://{shown}{address}")
