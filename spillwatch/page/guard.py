"""Nobody passes unknown, nothing is changed from another site, and browsers are told to trust nothing but us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response

from spillwatch.page.access import same_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from spillwatch.page.access import Access

    Endpoint = Callable[[Request], Awaitable[Response]]

WRONG_TOKEN_S = 1.0
"""Who guesses waits."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # a form's Origin would be "null" without any
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Wraps endpoints; behind it ``request.state.user`` is a name."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def page(self, endpoint: Endpoint) -> Endpoint:
        """A stranger is shown the form."""
        return self._known(endpoint, lambda: RedirectResponse("login", status_code=303))

    def data(self, endpoint: Endpoint) -> Endpoint:
        """A stranger is told no."""
        return self._known(endpoint, _stranger)

    def post(self, endpoint: Endpoint) -> Endpoint:
        """As data, and only JSON from a page of our own: no form or script of another site can send that."""

        async def guarded(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if not same_origin(request.headers) or kind != "application/json":
                return JSONResponse({"ok": False, "refused": "only the page itself may send this"}, 403)
            return await endpoint(request)

        return self._known(guarded, _stranger)

    def _known(self, endpoint: Endpoint, refuse: Callable[[], Response]) -> Endpoint:
        async def guarded(request: Request) -> Response:
            user = self._access.user(request.headers, request.cookies)
            if user is None:
                return refuse()
            request.state.user = user
            return await endpoint(request)

        return guarded


def _stranger() -> Response:
    return JSONResponse({"ok": False, "refused": "log in first"}, 401)


async def slow_down() -> None:
    """Before a wrong token is answered."""
    await asyncio.sleep(WRONG_TOKEN_S)


class Hardened:
    """Adds the headers that shut a browser's other doors; nothing is kept in caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static") else "no-store")
            await send(message)

        await self._app(scope, receive, send_hardened)
