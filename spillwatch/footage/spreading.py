"""Work spread over processes by Dask: this machine's cores, or a cluster by the address of its scheduler."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from spillwatch.errors import ConfigError, SpreadingError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

_LOG = structlog.get_logger()

_KEPT_IN = re.compile(r"tls://|(tcp://)?(127\.[\d.]+|localhost|\[::1\])(:|$)")
"""Addresses that strangers on the network neither read nor write to."""
RETRIES = 2
"""A task that raises is tried so many times more: archives lie on network shares."""
ANSWER_S = 10.0
WORKERS_S = 60.0
"""How long a scheduler may take to answer, and its first worker to come."""
ALONE_S = 30.0
"""How often it is looked whether any worker is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Who does the work: the cluster of ``scheduler``, or so many ``workers`` here (None: one a core)."""

    scheduler: str | None = None
    workers: int | None = None


def check_installed() -> None:
    """Raise ConfigError, with the mend, where the optional packages are missing."""
    for name in ("distributed", "pyarrow", "cryptography"):
        try:
            importlib.import_module(name)
        except ImportError as exc:
            raise ConfigError(
                f"backtest needs the package {name}, which is not installed; install it with: "
                "pip install 'spillwatch[archive]'"
            ) from exc


def spread(
    work: Callable[[Task], Result], tasks: Mapping[str, Task], crew: Crew
) -> Generator[tuple[str, Result | BaseException], None, None]:
    """Each task's key with its result, or with what it raised in the end, as they are done; begun in the order given.

    A task whose worker dies is given to another. Raises SpreadingError when the scheduler cannot be had or is lost.
    """
    from distributed import as_completed

    with _only_the_stop(), _client(crew) as client:
        futures = [
            client.submit(work, task, key=key, retries=RETRIES, priority=-number)
            for number, (key, task) in enumerate(tasks.items())
        ]
        done = as_completed(futures, loop=client.loop)
        looked_s = time.monotonic()
        while done.count():
            if done.has_ready():
                future = next(done)
                try:
                    fault = future.exception()
                    result = future.result() if fault is None else fault
                except CancelledError as exc:
                    raise SpreadingError(
                        "the scheduler was lost in mid-run; what was finished is kept, so run the same command again"
                    ) from exc
                yield future.key, result
                future.release()  # frees the worker's memory
                continue
            time.sleep(0.02)
            if time.monotonic() - looked_s > ALONE_S:
                looked_s = time.monotonic()
                if not client.nthreads():
                    _LOG.warning("spreading.no_workers", scheduler=crew.scheduler, waiting=done.count())


@contextmanager
def _only_the_stop() -> Iterator[None]:
    """Dask asserts that its workers have started when it is told to end them: who pressed Ctrl-C need not hear that."""
    try:
        yield
    except AssertionError as exc:
        cause: BaseException | None = exc
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__context__
        raise cause or exc from None


@contextmanager
def _client(crew: Crew) -> Iterator[Client]:
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it logs on losing a scheduler we raise
    if crew.scheduler is None:
        with _local(crew.workers) as client:
            yield client
        return
    if not _KEPT_IN.match(crew.scheduler):
        _LOG.warning("spreading.unencrypted", scheduler=crew.scheduler)
    try:
        asyncio.run(_reach(crew.scheduler))
        client = Client(crew.scheduler, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as exc:
        reason = " ".join(str(exc).split())
        raise SpreadingError(
            f"no Dask scheduler answers at {crew.scheduler!r} ({reason}); start one with 'dask scheduler' and give its "
            "address, such as tls://10.0.0.5:8786"
        ) from exc
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as exc:
            raise SpreadingError(
                f"the scheduler at {crew.scheduler} has no worker; start some with: dask worker {crew.scheduler}"
            ) from exc
        yield client


async def _reach(address: str) -> None:
    """Raise OSError unless somebody answers: a Client that fails leaves a thread that can block the next one."""
    from distributed.comm.core import connect
    from distributed.security import Security

    comm = await connect(address, timeout=ANSWER_S, **Security().get_connection_args("client"))
    await comm.close()


@contextmanager
def _local(workers: int | None) -> Iterator[Client]:
    """Processes of this machine, on loopback; keys made for this run alone keep other users of the machine out."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    with (
        dask.config.set({f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}),
        LocalCluster(
            n_workers=workers or dask.system.CPU_COUNT,
            threads_per_worker=1,
            host="127.0.0.1",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
            silence_logs=logging.CRITICAL,  # what a task raised is handed on
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
