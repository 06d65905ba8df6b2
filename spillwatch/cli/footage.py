"""Commands about recorded footage: watch it, cut it up, set levels by it, measure over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spillwatch.cli.shell import (
    DIRECTORY,
    FILE,
    THING,
    Number,
    fail,
    log_to_stderr,
    main,
    plain_errors,
    settings_of,
    with_model,
)
from spillwatch.errors import SpillwatchError

if TYPE_CHECKING:
    from pathlib import Path


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
@plain_errors
def replay(config: Path | None, model: Path | None, **files: Any) -> None:
    """Watch a video, every frame of it, and say which well spilled and when."""
    if files["score"] and not files["truth"]:
        raise click.UsageError("--json needs --truth, to score against")
    settings = with_model(
        settings_of(config, *(files[name] for name in ("events", "annotated", "score", "report"))), model
    )
    log_to_stderr(settings.log.level, "auto")
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
        fail(outcome.cut_short)


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
@plain_errors
def locate(picture: str, out: Path, preview: Path | None, password_file: Path | None, **said: Any) -> None:
    """Say where the wells are in an image, a video or a stream, and write the wells file."""
    described = [said[name] is not None for name in ("rows", "columns", "corners")]
    if any(value is not None for value in said.values()) and not all(described):
        raise click.UsageError("to describe the table give --rows, --columns and --corners; or none of these")
    log_to_stderr("info", "auto")
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
@click.option("--every-s", type=Number(min=0), default=1.0, show_default=True, help="Seconds between crops.")
@plain_errors
def extract(video: Path, wells: Path, out: Path, every_s: float) -> None:
    """Cut the wells out of a video, as crops for training."""
    log_to_stderr("info", "auto")
    from spillwatch.preparing import extract as cut
    from spillwatch.screen import progress

    with progress("Extracting") as tick:
        count = cut(video, wells, out, every_s=every_s, on_frame=tick)
    click.echo(f"{count} crops in {out}", err=True)


@main.command()
@click.option("--normal", type=THING, multiple=True, required=True, help="Videos of normal work, one or more.")
@click.argument("more", type=THING, nargs=-1, metavar="[VIDEO]...")
@click.option("--wells", type=FILE, required=True, help="Wells file.")
@click.option("--profile", type=FILE, required=True, help="Camera profile to write.")
@click.option("--budget", default="1 per 30 days", show_default=True, help="False alarms that may be expected.")
@click.option(
    "--strength",
    type=Number(0.2, 1.0),
    default=0.7,
    show_default=True,
    help="The spill whose delay is made least: 1 is typical, 0 at the model's threshold.",
)
@click.option("--config", type=FILE, help="Settings file; defaults otherwise.")
@click.option("--model", type=FILE, help="Model file; by default the settings' or the bundled one.")
@click.option("--report", type=FILE, help="Write an HTML report here.")
@plain_errors
def calibrate(
    config: Path | None, model: Path | None, normal: tuple[Path, ...], more: tuple[Path, ...], **options: Any
) -> None:
    """Set a camera's detection levels by a budget of false alarms, from videos of normal work."""
    settings = with_model(settings_of(config, options["profile"], options["report"]), model)
    log_to_stderr(settings.log.level, "auto")
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
@plain_errors
def score(config: Path | None, model: Path | None, wells_from_truth: bool, **options: Any) -> None:
    """Watch every clip of FOLDERS that has a truth file: delays, misses and false alarms, at these and other levels."""
    if wells_from_truth and options["wells"]:
        raise click.UsageError("give --wells or --wells-from-truth, not both")
    settings = with_model(settings_of(config, options["json"], options["report"]), model)
    log_to_stderr(settings.log.level, "auto")
    from spillwatch.footage.sweep import Job, table
    from spillwatch.footage.sweep import score as watch
    from spillwatch.screen import progress

    with progress("Clips") as tick:
        result = watch(settings, Job(on_clip=tick, **options))
    click.echo(table(result))
    if faults := result["faults"]:
        fail(SpillwatchError(f"{len(faults)} of {len(result['clips'])} clips could not be watched to their end"))


@main.command()
@click.argument("archives", type=THING, nargs=-1, required=True, metavar="ARCHIVE...")
@click.option("--out", type=DIRECTORY, required=True, help="Folder for results; run again, it goes on where it was.")
@click.option("--wells", type=FILE, help="Wells file (default: truth beside a video, else the nearest wells.toml).")
@click.option("--model", "models", type=FILE, multiple=True, help="Model file; give several to compare them.")
@click.option("--budget", help='Also find each camera\'s levels for this, from normal footage: "1 per 30 days".')
@click.option("--strength", type=Number(0.2, 1.0), default=0.7, show_default=True, help="As for calibrate.")
@click.option("--scheduler", help="Address of a Dask scheduler, such as tls://10.0.0.5:8786 (default: this machine).")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes on this machine (default: one a core).")
@click.option("--config", type=FILE, help="Settings file; defaults otherwise.")
@plain_errors
def backtest(config: Path | None, scheduler: str | None, workers: int | None, **options: Any) -> None:
    """Watch whole archives of videos over many processes: compare models, calibrate budgets."""
    if scheduler and workers:
        raise click.UsageError("give --scheduler or --workers, not both")
    from spillwatch.configfile import load
    from spillwatch.footage.spreading import Crew, check_installed

    settings = load(config)
    log_to_stderr(settings.log.level, "auto")
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
        fail(SpillwatchError(f"{len(outcome.faults)} videos could not be watched to their end, named above"))
