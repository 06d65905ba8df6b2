"""The command line: parse, call one function, exit code. Importing it loads no torch, cv2 or av."""

from __future__ import annotations

import errno
import functools
import getpass
import json
import logging
import math
import os
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


class _Number(click.FloatRange):
    """A range that NaN, which compares with nothing, is not in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number.", param, ctx)
        return number


def _plain_errors(function: Callable[..., None]) -> Callable[..., None]:
    """SpillwatchErrors become one line on standard error and exit code 1."""

    @functools.wraps(function)
    def guarded(**options: Any) -> None:
        try:
            function(**options)
            sys.stdout.flush()
        except SpillwatchError as exc:
            _fail(exc)
        except BrokenPipeError:
            # The reader of our standard output left; nobody is there to be told.
            sys.stderr.close()
            raise SystemExit(1) from None
        except OSError as exc:
            if exc.filename is not None or exc.errno not in _FULL:
                raise
            _drop_output()
            _fail(SpillwatchError(f"standard output cannot be written: {exc.strerror}; send it elsewhere"))

    return guarded


def _drop_output() -> None:
    """What still waits to be printed is given up, or it would be tried, and fail, once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(exc: SpillwatchError) -> NoReturn:
    for line in str(exc).splitlines():
        click.echo(f"spillwatch: {line}", err=True)
    raise SystemExit(1)


@main.command()
@click.option("--config", "config", type=FILE, required=True, help="Settings file; see config.example.toml.")
@_plain_errors
def run(config: Path) -> None:
    """Watch live cameras until SIGTERM: the daemon. SIGHUP reads the settings and wells anew."""
    from spillwatch.configfile import load

    settings = load(config)
    _log_to_stderr(settings.log.level, settings.log.format)
    from spillwatch import daemon

    daemon.run(settings, load=functools.partial(load, config))


@main.command()
@click.option("--config", "config", type=FILE, required=True, help="Settings file to check.")
@_plain_errors
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
@_plain_errors
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
@_plain_errors
def self_test(config: Path, camera: str | None, well: str | None, by: str) -> None:
    """Have the running daemon prove itself: a painted spill through one well, to the broker and back."""
    from spillwatch.configfile import load
    from spillwatch.selftest import order

    told = order(load(config), camera=camera, well=well, by=by)
    where = f"camera {told['camera']}, well {told['well']}"
    if not told["ok"]:
        _fail(SpillwatchError(f"{where}: the self-test {'failed' if told['ok'] is False else 'could not be made'}: "
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
@_plain_errors
def alarms(config: Path | None, style: str | None, **wanted: Any) -> None:
    """List the alarms that were active since then. The daemon may run meanwhile."""
    from spillwatch import history
    from spillwatch.configfile import load

    rows = history.look(load(config), history.Wanted(**wanted))
    {"json": history.print_json, "csv": history.print_csv}.get(style or "", history.print_table)(rows)


@main.command()
@_looking_back("8h")
@click.option("--out", type=FILE, required=True, help="HTML file to write.")
@_plain_errors
def report(config: Path | None, out: Path, **wanted: Any) -> None:
    """Write a shift report: what the alarms amounted to, by the figures of ISA-18.2 and EEMUA 191."""
    from spillwatch import history, shift
    from spillwatch.configfile import load

    shift.report(load(config), history.Wanted(**wanted), out)
    click.echo(f"wrote {out}", err=True)


@main.command()
@click.argument("video", type=THING)
@click.option("--config", type=FILE, help="Settings file; defaults otherwise.")
@click.option("--wells", type=FILE, help="Wells file (default: the settings' first camera's, else wells are located).")
@click.option("--profile", type=FILE, help="Camera profile; by default that of the settings' first camera.")
@click.option("--model", type=FILE, help="Model file; by default the settings' or the bundled one.")
@click.option("--events", type=FILE, help="Write alarm events here, one JSON a line (default: standard output).")
@click.option("--annotated", type=FILE, help="Write the video with wells, states and alarms drawn in (MP4).")
@click.option("--truth", type=FILE, help="Truth file to score against.")
@click.option("--json", "score", type=FILE, help="Write the score here (with --truth).")
@click.option("--report", type=FILE, help="Write an HTML report here.")
@click.option("--publish", is_flag=True, help="Publish to the settings' MQTT broker too.")
@_plain_errors
def replay(config: Path | None, model: Path | None, **files: Any) -> None:
    """Watch a video, every frame of it, and say which well spilled and when."""
    if files["score"] and not files["truth"]:
        raise click.UsageError("--json needs --truth, to score against")
    from spillwatch.configfile import load

    settings = _with_model(load(config), model)
    _log_to_stderr(settings.log.level, "auto")
    from spillwatch.records import AlarmEvent, encode
    from spillwatch.replay import Job
    from spillwatch.replay import replay as watch
    from spillwatch.screen import progress, show_outcome

    def on_event(event: AlarmEvent) -> None:
        if files["events"] is None:
            click.echo(encode(event))

    with progress("Watching") as tick:
        outcome = watch(settings, Job(on_frame=tick, on_event=on_event, **files))
    show_outcome(outcome, [files[name] for name in ("events", "annotated", "score", "report")])
    if outcome.cut_short:
        _fail(outcome.cut_short)


@main.command()
@click.argument("picture")
@click.option("--out", type=FILE, required=True, help="Wells file to write.")
@click.option("--preview", type=FILE, help="Write the picture with the wells drawn in (PNG or JPEG).")
@click.option("--rows", type=click.IntRange(2, 100), help="Rows of wells, counted across the launders.")
@click.option("--columns", type=click.IntRange(2, 100), help="Wells in a row.")
@click.option("--corners", help='Centres of the corner wells, "x,y x,y x,y x,y" from top left clockwise, in pixels.')
@click.option("--row-gaps", help='Relative distances between rows, such as "1,1.2,1" (default: all equal).')
@click.option("--well", help='Width and height of a well in the middle of the table, such as "46x30", in pixels.')
@click.option("--without", help='Wells that the table lacks, such as "1U10,1U11".')
@click.option("--password-file", type=FILE, help="Holds the password of a stream, rtsp://USER@HOST/PATH.")
@_plain_errors
def locate(picture: str, out: Path, preview: Path | None, password_file: Path | None, **said: Any) -> None:
    """Say where the wells are in an image, a video or a stream, and write the wells file."""
    described = [said[name] is not None for name in ("rows", "columns", "corners")]
    if any(value is not None for value in said.values()) and not all(described):
        raise click.UsageError("to describe the table give --rows, --columns and --corners; or none of these")
    _log_to_stderr("info", "auto")
    from spillwatch.preparing import locate as find

    found = find(picture, out=out, preview=preview, password_file=password_file, **said)
    for note in found.notes:
        click.echo(note, err=True)
    doubtful = f", {len(found.doubtful)} doubtful" if found.doubtful else ""
    drawn = f", drawn in {preview}: look at it" if preview else ""
    click.echo(f"{len(found.wells)} wells in {out}{doubtful}{drawn}", err=True)


@main.command()
@click.argument("video", type=THING)
@click.option("--wells", type=FILE, required=True, help="Wells file.")
@click.option("--out", type=DIRECTORY, required=True, help="Folder to put the crops into.")
@click.option("--every-s", type=_Number(min=0), default=1.0, show_default=True, help="Seconds between crops.")
@_plain_errors
def extract(video: Path, wells: Path, out: Path, every_s: float) -> None:
    """Cut the wells out of a video, as crops for training."""
    _log_to_stderr("info", "auto")
    from spillwatch.preparing import extract as cut
    from spillwatch.screen import progress

    with progress("Extracting") as tick:
        count = cut(video, wells, out, every_s=every_s, on_frame=tick)
    click.echo(f"{count} crops in {out}", err=True)


@main.command()
@click.option(
    "--data",
    type=THING,
    required=True,
    help="Folder with train/ (or normal/), proliv/ (or spill/), and test/ if there is one.",
)
@click.option("--model", type=FILE, required=True, help="Model file to write.")
@click.option(
    "--preset",
    type=click.Choice(["default", "seed"]),
    default="default",
    show_default=True,
    help="How to learn; seed is the recipe of the homework that this grew from, for comparison.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of all chance.")
@click.option("--extend", type=DIRECTORY, help="State directory, or its learning/: also learn from judged alarms.")
@click.option("--report", type=FILE, help="Write an HTML report here.")
@_plain_errors
def train(data: Path, model: Path, **options: Any) -> None:
    """Learn what normal wells look like, and choose the threshold."""
    _log_to_stderr("info", "auto")
    from spillwatch.learning import train as learn
    from spillwatch.screen import progress

    with progress("Training") as tick:
        summary = learn(data, model, **options, on_step=tick)
    click.echo(summary, err=True)


@main.command()
@click.option("--model", type=FILE, help="Model file (default: the bundled one).")
@click.option("--data", type=THING, required=True, help="Folder with labelled crops, as for train.")
@click.option("--json", "out", type=FILE, help="Write the figures here (default: standard output).")
@click.option("--report", type=FILE, help="Write an HTML report here.")
@_plain_errors
def evaluate(model: Path | None, data: Path, out: Path | None, report: Path | None) -> None:
    """Measure a model on labelled crops: AUROC, TPR and TNR at its own threshold."""
    _log_to_stderr("info", "auto")
    from spillwatch.learning import evaluate as measure

    figures = measure(model, data, out=out, report=report)
    if out is None:
        click.echo(json.dumps(figures, indent=2))


@main.group()
def model() -> None:
    """Compare models, put one in force, and take it back."""


CONFIG = click.option("--config", type=FILE, required=True, help="The daemon's settings file.")


@model.command("list")
@CONFIG
@_plain_errors
def model_list(config: Path) -> None:
    """Say which model is in force, since when, and which were before it."""
    from spillwatch.configfile import load
    from spillwatch.promoting import standing

    for row in standing(load(config)):
        since = f"since {row.when}" if row.when and row.state == "in force" else row.when or ""
        said = [row.state, since, f"by {row.by}" if row.by else "", row.reason or "", str(row.path)]
        click.echo("  ".join([row.name, *filter(None, said)]))


@model.command()
@click.argument("candidate", type=FILE)
@click.argument("archives", type=THING, nargs=-1, metavar="[VIDEO|FOLDER]...")
@CONFIG
@click.option("--state", type=DIRECTORY, help="State directory, instead of the settings' own.")
@click.option("--wells", type=FILE, help="Wells of these videos (default: truth beside a video, or wells.toml).")
@click.option("--clips", type=click.IntRange(0), default=40, show_default=True, help="Evidence clips to watch again.")
@_plain_errors
def compare(candidate: Path, config: Path, **options: Any) -> None:
    """Compare CANDIDATE with the model in force: on videos, on evidence of judged alarms, on what the shadow saw.

    CANDIDATE.comparison.html and .json are written beside it.
    """
    from spillwatch.configfile import load

    settings = load(config)
    _log_to_stderr("warning", "auto")
    from spillwatch.footage.comparing import Job, sentences
    from spillwatch.footage.comparing import compare as contest
    from spillwatch.screen import progress

    with progress("Watching") as tick:
        comparison = contest(settings, Job(candidate=candidate, on_clip=tick, **options))
    for sentence in sentences(comparison):
        click.echo(sentence)


@model.command()
@click.argument("candidate", type=FILE)
@CONFIG
@click.option("--anyway", metavar="REASON", help="Promote it although a comparison is missing or finds it worse.")
@_plain_errors
def promote(candidate: Path, config: Path, anyway: str | None) -> None:
    """Put CANDIDATE in force under the name of the settings' model.path; the model of before is kept."""
    from spillwatch.configfile import load
    from spillwatch.promoting import promote as put

    click.echo(put(load(config), candidate, anyway=anyway))


@model.command()
@CONFIG
@click.option("--reason", help="For the log.")
@_plain_errors
def rollback(config: Path, reason: str | None) -> None:
    """Put the model of before in force again."""
    from spillwatch.configfile import load
    from spillwatch.promoting import rollback as go_back

    click.echo(go_back(load(config), reason=reason))


@main.command()
@click.option("--normal", type=THING, multiple=True, required=True, help="Videos of normal work, one or more.")
@click.argument("more", type=THING, nargs=-1, metavar="[VIDEO]...")
@click.option("--wells", type=FILE, required=True, help="Wells file.")
@click.option("--profile", type=FILE, required=True, help="Camera profile to write.")
@click.option("--budget", default="1 per 30 days", show_default=True, help="False alarms that may be expected.")
@click.option(
    "--strength",
    type=_Number(0.2, 1.0),
    default=0.7,
    show_default=True,
    help="The spill whose delay is made least: 1 is typical, 0 at the model's threshold.",
)
@click.option("--config", type=FILE, help="Settings file; defaults otherwise.")
@click.option("--model", type=FILE, help="Model file; by default the settings' or the bundled one.")
@click.option("--report", type=FILE, help="Write an HTML report here.")
@_plain_errors
def calibrate(
    config: Path | None, model: Path | None, normal: tuple[Path, ...], more: tuple[Path, ...], **options: Any
) -> None:
    """Set a camera's detection levels by a budget of false alarms, from videos of normal work."""
    from spillwatch.configfile import load

    settings = _with_model(load(config), model)
    _log_to_stderr(settings.log.level, "auto")
    from spillwatch.footage.calibrating import Job, sentences
    from spillwatch.footage.calibrating import calibrate as work_out
    from spillwatch.screen import progress

    with progress("Watching") as tick:
        outcome = work_out(settings, Job(videos=[*normal, *more], on_frame=tick, **options))
    for sentence in sentences(outcome):
        click.echo(sentence)
    click.echo(f"wrote {options['profile']}", err=True)


@main.command()
@click.argument("folders", type=THING, nargs=-1, required=True)
@click.option("--wells-from-truth", is_flag=True, help="Wells are where each clip's truth says (the default).")
@click.option("--wells", type=FILE, help="Wells file, for clips of one camera.")
@click.option("--out-of-service", multiple=True, help="A well that is not watched; may be given repeatedly.")
@click.option("--config", type=FILE, help="Settings file; defaults otherwise.")
@click.option("--model", type=FILE, help="Model file; by default the settings' or the bundled one.")
@click.option("--json", type=FILE, help="Write the figures here.")
@click.option("--report", type=FILE, help="Write an HTML report here.")
@_plain_errors
def score(config: Path | None, model: Path | None, wells_from_truth: bool, **options: Any) -> None:
    """Watch every clip of FOLDERS that has a truth file: delays, misses and false alarms, at these and other levels."""
    if wells_from_truth and options["wells"]:
        raise click.UsageError("give --wells or --wells-from-truth, not both")
    from spillwatch.configfile import load

    settings = _with_model(load(config), model)
    _log_to_stderr(settings.log.level, "auto")
    from spillwatch.footage.sweep import Job, table
    from spillwatch.footage.sweep import score as watch
    from spillwatch.screen import progress

    with progress("Clips") as tick:
        result = watch(settings, Job(on_clip=tick, **options))
    click.echo(table(result))


@main.command()
@click.argument("archives", type=THING, nargs=-1, required=True, metavar="ARCHIVE...")
@click.option("--out", type=DIRECTORY, required=True, help="Folder for results; run again, it goes on where it was.")
@click.option("--wells", type=FILE, help="Wells file (default: truth beside a video, else the nearest wells.toml).")
@click.option("--model", "models", type=FILE, multiple=True, help="Model file; give several to compare them.")
@click.option("--budget", help='Also find each camera\'s levels for this, from normal footage: "1 per 30 days".')
@click.option("--strength", type=_Number(0.2, 1.0), default=0.7, show_default=True, help="As for calibrate.")
@click.option("--scheduler", help="Address of a Dask scheduler, such as tls://10.0.0.5:8786 (default: this machine).")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes on this machine (default: one a core).")
@click.option("--config", type=FILE, help="Settings file; defaults otherwise.")
@_plain_errors
def backtest(config: Path | None, scheduler: str | None, workers: int | None, **options: Any) -> None:
    """Watch whole archives of videos over many processes: compare models, calibrate budgets."""
    if scheduler and workers:
        raise click.UsageError("give --scheduler or --workers, not both")
    from spillwatch.configfile import load
    from spillwatch.footage.spreading import Crew, check_installed

    settings = load(config)
    _log_to_stderr(settings.log.level, "auto")
    check_installed()
    from spillwatch.footage.backtest import Job, table
    from spillwatch.footage.backtest import backtest as watch
    from spillwatch.screen import progress

    with progress("Videos") as tick:
        outcome = watch(settings, Job(crew=Crew(scheduler=scheduler, workers=workers), on_piece=tick, **options))
    click.echo(table(outcome))
    click.echo(f"results in {options['out']}; {outcome.found_done} pieces were done before", err=True)
    if outcome.faults:
        for fault in outcome.faults:
            click.echo(fault, err=True)
        _fail(SpillwatchError(f"{len(outcome.faults)} videos could not be watched to their end, named above"))


def _with_model(settings: Settings, model: Path | None) -> Settings:
    if model is None:
        return settings
    return settings.model_copy(update={"model": settings.model.model_copy(update={"path": model})})


def _log_to_stderr(level: str, style: str) -> None:
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
