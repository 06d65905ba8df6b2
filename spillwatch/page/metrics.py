"""``/metrics``, for Prometheus: the page's token as a bearer token, or whoever may see the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from spillwatch.page.guard import slow_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from spillwatch.page.access import Access

_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsPage:
    """Gives what ``text`` says at the moment."""

    def __init__(self, access: Access, text: Callable[[], bytes]) -> None:
        self._access = access
        self._text = text

    async def show(self, request: Request) -> Response:
        """The endpoint."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        by_token = scheme.lower() == "bearer" and self._access.opens(token.strip())
        if not by_token and self._access.user(request.headers, request.cookies) is None:
            await slow_down()
            return PlainTextResponse("a bearer token is needed: page.token_file\n", 401, {"WWW-Authenticate": "Bearer"})
        return Response(await run_in_threadpool(self._text), media_type=_FORMAT)
