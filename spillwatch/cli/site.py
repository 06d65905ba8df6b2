"""Commands about a site that runs: the daemon, its settings, its history."""

from __future__ import annotations

import functools
import getpass
import signal
from typing import TYPE_CHECKING, Any

import click

from spillwatch.cli.shell import DIRECTORY, FILE, fail, log_to_stderr, main, plain_errors, settings_of
from spillwatch.errors import SpillwatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@main.command()
@click.option("--config", "config", type=FILE, required=True, help="Settings file; see config.example.toml.")
@plain_errors
def run(config: Path) -> None:
    """Watch live cameras until SIGTERM: the daemon. SIGHUP reads the settings and wells anew."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # while it starts; to systemd that is no failure
    from spillwatch.configfile import load

    settings = load(config)
    log_to_stderr(settings.log.level, settings.log.format)
    from spillwatch import daemon

    daemon.run(settings, load=functools.partial(load, config))


@main.command()
@click.option("--config", "config", type=FILE, required=True, help="Settings file to check.")
@plain_errors
def check(config: Path) -> None:
    """Check a settings file, and the wells, profile, model, password and certificate files that it names."""
    from spillwatch.configfile import load, strange_variables

    settings = load(config)
    for sentence in strange_variables():
        click.echo(sentence, err=True)
    from spillwatch import build

    click.echo(f"{config} is good: {build.check(settings)}")
    if not settings.cameras:
        click.echo("no camera is configured yet: `spillwatch run` needs one", err=True)


@main.command()
@click.option("--config", type=FILE, help="Settings file whose site and broker are meant; defaults otherwise.")
@click.option("--host", help="Broker, instead of the settings' own.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port.")
@click.option("--base", help='First levels of the topics, such as "spillwatch/line2".')
@click.option("--once", is_flag=True, help="Print the site as it stands and end, with 1 if it is not online.")
@plain_errors
def watch(config: Path | None, once: bool, **said: Any) -> None:
    """Show a site on the terminal, by what its broker says alone; Ctrl-C ends it."""
    from spillwatch.configfile import load

    settings = load(config)
    mqtt = settings.mqtt.model_copy(update={key: value for key, value in said.items() if value is not None})
    from spillwatch.viewing import view

    view(settings.model_copy(update={"mqtt": mqtt}), once=once)


@main.command("self-test")
@click.option("--config", type=FILE, required=True, help="Settings file of the daemon, or one that names its broker.")
@click.option("--camera", help="Camera to test; where there is one alone, it is meant.")
@click.option("--well", help="Well to paint the spill into (default: the next in turn).")
@click.option("--by", default=getpass.getuser, show_default="the user", help="Who asks, for the audit log.")
@plain_errors
def self_test(config: Path, camera: str | None, well: str | None, by: str) -> None:
    """Have the running daemon prove itself: a painted spill through one well, to the broker and back."""
    from spillwatch.configfile import load
    from spillwatch.selftest import order

    told = order(load(config), camera=camera, well=well, by=by)
    where = f"camera {told['camera']}, well {told['well']}"
    if not told["ok"]:
        fail(SpillwatchError(f"{where}: the self-test {'failed' if told['ok'] is False else 'could not be made'}: "
                              f"{told['reason']}"))  # fmt: skip
    click.echo(
        f"{where}: passed; from the picture that raised it to the broker and back {told['delivery_ms']:.0f} ms, "
        f"from the first painted one {told['delay_ms']:.0f} ms"
    )


def _looking_back(since: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of commands that read the history."""
    options = (
        click.option("--config", type=FILE, help="Settings file, whose state directory is read; defaults otherwise."),
        click.option("--state", type=DIRECTORY, help="State directory, instead of the settings' own."),
        click.option(
            "--since", default=since, show_default=True, help="How long ago (90m, 8h, 3d) or when (RFC 3339)."
        ),
        click.option("--until", help="Likewise (default: now)."),
    )
    return lambda function: functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


@main.command()
@_looking_back("24h")
@click.option("--camera", help="Only of this camera.")
@click.option("--well", help="Only of this well.")
@click.option("--condition", help="Only of this condition, such as spill.")
@click.option("--json", "style", flag_value="json", help="One alarm a line, as JSON.")
@click.option("--csv", "style", flag_value="csv", help="As CSV.")
@plain_errors
def alarms(config: Path | None, style: str | None, **wanted: Any) -> None:
    """List the alarms that were active since then. The daemon may run meanwhile."""
    from spillwatch import history
    from spillwatch.configfile import load

    rows = history.look(load(config), history.Wanted(**wanted))
    {"json": history.print_json, "csv": history.print_csv}.get(style or "", history.print_table)(rows)


@main.command()
@_looking_back("8h")
@click.option("--out", type=FILE, required=True, help="HTML file to write.")
@plain_errors
def report(config: Path | None, out: Path, **wanted: Any) -> None:
    """Write a shift report: what the alarms amounted to, by the figures of ISA-18.2 and EEMUA 191."""
    from spillwatch import history, shift

    shift.report(settings_of(config, out), history.Wanted(**wanted), out)
    click.echo(f"wrote {out}", err=True)
