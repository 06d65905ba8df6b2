"""What every command has: the group that it joins, its kinds of options, and how it ends."""

from __future__ import annotations

import errno
import functools
import logging
import math
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from spillwatch.errors import SpillwatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from spillwatch.config import Settings

FILE = click.Path(path_type=Path, dir_okay=False)
DIRECTORY = click.Path(path_type=Path, file_okay=False)
THING = click.Path(path_type=Path)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="spillwatch")
def main() -> None:
    """Watch the wells of an aluminium casting table and say which one spills."""


class Number(click.FloatRange):
    """A range that NaN, which compares with nothing, is not in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number.", param, ctx)
        return number


def plain_errors(function: Callable[..., None]) -> Callable[..., None]:
    """SpillwatchErrors, Ctrl-C and SIGTERM become one line on standard error and exit code 1."""

    @functools.wraps(function)
    def guarded(**options: Any) -> None:
        before = signal.signal(signal.SIGTERM, _stop)
        try:
            function(**options)
            sys.stdout.flush()
        except SpillwatchError as exc:
            fail(exc)
        except KeyboardInterrupt as exc:
            said = [f"stopped by {str(exc) or 'Ctrl-C'} before it was done", *getattr(exc, "__notes__", [])]
            fail(SpillwatchError("; ".join(said)))
        except BrokenPipeError:
            # The reader of our standard output left; nobody is there to be told.
            sys.stderr.close()
            raise SystemExit(1) from None
        except OSError as exc:
            if exc.filename is not None or exc.errno not in _FULL:
                raise
            _drop_output()
            fail(SpillwatchError(f"standard output cannot be written: {exc.strerror}; send it elsewhere"))
        finally:
            signal.signal(signal.SIGTERM, before)

    return guarded


def _stop(number: int, _frame: object) -> NoReturn:
    """Leave as by Ctrl-C, so that nothing half done stays behind."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def _drop_output() -> None:
    """What still waits to be printed is given up, or it would be tried, and fail, once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(exc: SpillwatchError) -> NoReturn:
    for line in str(exc).splitlines():
        click.echo(f"spillwatch: {line}", err=True)
    raise SystemExit(1)


def settings_of(config: Path | None, *outputs: Path | None) -> Settings:
    """The settings, whose file no output may replace."""
    from spillwatch import configfile
    from spillwatch.outputs import check_outputs

    check_outputs(outputs, read=[config])
    return configfile.load(config)


def with_model(settings: Settings, model: Path | None) -> Settings:
    if model is None:
        return settings
    return settings.model_copy(update={"model": settings.model.model_copy(update={"path": model})})


def log_to_stderr(level: str, style: str) -> None:
    import structlog

    pretty = style == "console" or (style == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
