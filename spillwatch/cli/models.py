"""Commands about models: train one, measure it, compare it, put it in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from spillwatch.cli.shell import DIRECTORY, FILE, THING, log_to_stderr, main, plain_errors

if TYPE_CHECKING:
    from pathlib import Path


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
@plain_errors
def train(data: Path, model: Path, **options: Any) -> None:
    """Learn what normal wells look like, and choose the threshold."""
    log_to_stderr("info", "auto")
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
@plain_errors
def evaluate(model: Path | None, data: Path, out: Path | None, report: Path | None) -> None:
    """Measure a model on labelled crops: AUROC, TPR and TNR at its own threshold."""
    log_to_stderr("info", "auto")
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
@plain_errors
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
@plain_errors
def compare(candidate: Path, config: Path, **options: Any) -> None:
    """Compare CANDIDATE with the model in force: on videos, on evidence of judged alarms, on what the shadow saw.

    CANDIDATE.comparison.html and .json are written beside it.
    """
    from spillwatch.configfile import load

    settings = load(config)
    log_to_stderr("warning", "auto")
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
@plain_errors
def promote(candidate: Path, config: Path, anyway: str | None) -> None:
    """Put CANDIDATE in force under the name of the settings' model.path; the model of before is kept."""
    from spillwatch.configfile import load
    from spillwatch.promoting import promote as put

    click.echo(put(load(config), candidate, anyway=anyway))


@model.command()
@CONFIG
@click.option("--reason", help="For the log.")
@plain_errors
def rollback(config: Path, reason: str | None) -> None:
    """Put the model of before in force again."""
    from spillwatch.configfile import load
    from spillwatch.promoting import rollback as go_back

    click.echo(go_back(load(config), reason=reason))
