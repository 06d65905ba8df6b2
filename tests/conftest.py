"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tools.rig import MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _skipping_what_is_missing()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _skipping_what_is_missing()


def _skipping_what_is_missing() -> Iterator[None]:
    try:
        yield
    except MissingError as exc:
        pytest.skip(str(exc))


@pytest.fixture(autouse=True)
def log(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """The log of a test, as dicts; an error in it that the test did not announce fails the test."""
    structlog.reset_defaults()  # a command that ran in this process may have set a level
    with structlog.testing.capture_logs() as entries:
        yield entries
    marker = request.node.get_closest_marker("logs_error")
    announced = set(marker.args) if marker else set()
    errors = [e for e in entries if e["log_level"] in {"error", "critical"} and e["event"] not in announced]
    assert not errors, f"unannounced errors were logged: {errors}"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real wells and clips; tests on real data are skipped where it is not."""
    path = Path(os.environ.get("SPILLWATCH_SHARED", ROOT.parent / "shared"))
    if not (path / "data/wells/train").is_dir():
        pytest.skip(f"no real data: {path} is not there; name its folder in SPILLWATCH_SHARED")
    return path
