"""The page as a publisher: hears every message, serves in a thread of its own."""

from __future__ import annotations

import errno
import socket
import threading
from typing import TYPE_CHECKING, Self

import structlog
import uvicorn

from spillwatch.errors import PublishError
from spillwatch.page.app import make_app
from spillwatch.page.board import Board
from spillwatch.page.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.config import PageSettings
    from spillwatch.page.base import Site
    from spillwatch.records import Message

_LOG = structlog.get_logger()
_JOIN_S = 2.0


class Page:
    """Entering binds the port and starts the server's thread; ``publish`` only notes what it is told.

    ``metrics`` gives the text of ``/metrics``; None: there is no such address.
    """

    def __init__(
        self, settings: PageSettings, site: Site, *, version: str, metrics: Callable[[], bytes] | None = None
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._site = site
        self._board = Board()
        self._desk = Desk(site, self._board, token=settings.token(), user_header=settings.user_header, version=version)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._fault: BaseException | None = None
        self.port = settings.port

    def __enter__(self) -> Self:
        listener = self._listen()
        for event in self._site.standing():
            self._board.take(event)
        self.port = int(listener.getsockname()[1])
        config = uvicorn.Config(
            make_app(self._desk, metrics=self._metrics),
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=128,
            timeout_graceful_shutdown=1,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="page", daemon=True)
        self._thread.start()
        _LOG.info("page.serving", host=self._settings.host, port=self.port)
        return self

    def __exit__(self, *exc: object) -> None:
        self._desk.closing = True
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_JOIN_S)

    def publish(self, message: Message) -> None:
        """Raises PublishError once the server has ended although nobody asked it to."""
        self._board.take(message)
        if self._fault is not None:
            raise PublishError(f"the operators' page has ended: {self._fault}; restart spillwatch") from self._fault

    def touch(self) -> None:
        """Something beside the messages has changed: show it."""
        self._board.touch()

    def _serve(self, listener: socket.socket) -> None:
        assert self._server is not None  # noqa: S101 -- for mypy; __enter__ has seen to it
        try:
            self._server.run(sockets=[listener])
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it belongs to the owner
            self._fault = exc
        finally:
            listener.close()

    def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as exc:
            raise PublishError(f"page.host {host!r} is no address of this machine: {exc.strerror}") from exc
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)  # from now on browsers wait instead of being turned away
        except OSError as exc:
            listener.close()
            raise PublishError(
                f"the operators' page cannot listen on {host} port {port}: {exc.strerror}; choose another "
                f"page.{'host' if exc.errno == errno.EADDRNOTAVAIL else 'port'}"
            ) from exc
        return listener
