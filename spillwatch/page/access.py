"""Who may look and act: a token by a form, kept as a signed cookie, or a user that a reverse proxy names."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

COOKIE = "spillwatch"
LASTS_S = 365 * 86400
"""A screen on the wall must not go blank one night: who is in stays in until the token is changed."""

_SCHEME = b"spillwatch page 1"


class Access:
    """Decides from a request's headers and cookies; keeps nothing, so that a restart shuts nobody out."""

    def __init__(self, *, token: str | None, user_header: str | None) -> None:
        self._token = token
        self._user_header = user_header
        self._key = hmac.digest((token or "").encode(), _SCHEME, "sha256")

    @property
    def has_form(self) -> bool:
        """Whether a token opens the page."""
        return self._token is not None

    def user(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
        """The name of who asks; None for a stranger."""
        if self._user_header and (name := headers.get(self._user_header, "").strip()):
            return name[:64]
        return self._read(cookies.get(COOKIE, ""), now=time.time()) if self._token else None

    def opens(self, token: str) -> bool:
        """Whether this is the token, told in a time that does not depend on how much of it is right."""
        wanted, given = (hashlib.sha256(text.encode()).digest() for text in (self._token or "", token))
        return hmac.compare_digest(wanted, given) and self._token is not None

    def cookie(self, name: str) -> str:
        """What a browser shows from now on: the name, until when, and a signature that needs the token."""
        body = f"{_pack(name.strip()[:64].encode())}.{int(time.time()) + LASTS_S}"
        return f"{body}.{self._sign(body)}"

    def _read(self, cookie: str, *, now: float) -> str | None:
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        name, _, until = body.rpartition(".")
        try:
            return _unpack(name).decode() if now < int(until) else None
        except (ValueError, binascii.Error):
            return None

    def _sign(self, body: str) -> str:
        return _pack(hmac.digest(self._key, body.encode(), "sha256"))


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a page of ours sent this, by what the browser says and scripts of other sites cannot forge."""
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "") != ""


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
