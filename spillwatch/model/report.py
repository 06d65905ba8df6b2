"""Pages about a model: how it was trained, how well it tells spills from normal wells."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from spillwatch import pages
from spillwatch.model.scoring import Scorer
from spillwatch.outputs import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from spillwatch.model.bundle import Bundle
    from spillwatch.model.evaluation import Evaluation
    from spillwatch.model.training import TrainResult
    from spillwatch.records import F32, U8

NORMAL, SPILL, INK = "#2b6ca3", "#c4441c", "#1d2329"
EXAMPLES = 8  # wells of each kind that are shown


def write_training_report(path: Path, result: TrainResult, evaluation: Evaluation | None) -> None:
    """One self-contained page: curves, reconstructions, scores, threshold and, where measured, how well it did."""
    groups = {"held-out normal": (result.normal_scores, False), "held-out spill": (result.spill_scores, True)}
    if evaluation is not None:
        groups |= _measured(evaluation)
    _write(
        path,
        title=f"Training of {result.bundle.name}",
        result=result,
        bundle=result.bundle,
        evaluation=evaluation,
        curves=_curves(result.curves),
        examples=_examples(result.bundle, result.normal_crops, result.spill_crops),
        histogram=_histogram(groups, result.bundle.threshold),
        roc=None if evaluation is None else _roc(evaluation),
    )


def write_evaluation_report(path: Path, bundle: Bundle, evaluation: Evaluation) -> None:
    """One self-contained page on a finished model."""
    _write(
        path,
        title=f"Evaluation of {bundle.name}",
        result=None,
        bundle=bundle,
        evaluation=evaluation,
        curves=None,
        examples=None,
        histogram=_histogram(_measured(evaluation), evaluation.threshold),
        roc=_roc(evaluation),
    )


def _write(path: Path, **values: object) -> None:
    page = pages.render("training.html", version=version("spillwatch"), **values)
    write_text(path, page, what="report")


def _measured(evaluation: Evaluation) -> dict[str, tuple[F32, bool]]:
    where = "test" if evaluation.measured_on == "test" else "measured"
    return {
        f"{where}, normal": (evaluation.scores[~evaluation.spill], False),
        f"{where}, spill": (evaluation.scores[evaluation.spill], True),
    }


def _curves(curves: dict[str, list[float]]) -> Markup:
    fig = Figure(figsize=(9.6, 2.8))
    axes = fig.add_subplot()
    for (name, values), colour in zip(curves.items(), (NORMAL, SPILL), strict=True):
        axes.plot(range(1, len(values) + 1), values, "o-", ms=3.5, lw=1.6, color=colour, label=name)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    _plain(axes)
    return pages.figure(fig, alt="Loss per epoch")


def _examples(bundle: Bundle, normal: U8, spill: U8) -> Markup:
    """Rows: wells, as repainted, error; normal on the left, spills on the right, one scale of errors for all."""
    scorer = Scorer(bundle, "cpu")
    wells = [crops[np.linspace(0, len(crops) - 1, min(EXAMPLES, len(crops))).astype(int)] for crops in (normal, spill)]
    maps = [np.sqrt(scorer.errors(crops.transpose(0, 3, 1, 2))) for crops in wells]
    painted = [scorer.reconstruct(crops.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1) for crops in wells]
    bright = max(float(np.quantile(np.concatenate(maps), 0.99)), 1e-6)
    fig = Figure(figsize=(9.6, 2.25))
    strips = fig.subplots(3, 2, gridspec_kw={"wspace": 0.03, "hspace": 0.06})
    for column, title in enumerate(("normal wells", "spills")):
        rows = (wells[column], painted[column], maps[column])
        for axes, row, label in zip(strips[:, column], rows, ("well", "repainted", "error"), strict=True):
            strip = np.concatenate([np.pad(tile, _margin(tile), constant_values=_blank(tile)) for tile in row], 1)
            axes.imshow(strip, cmap="magma", vmin=0, vmax=bright, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if column == 0:
                axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        strips[0, column].set_title(title, fontsize=10, loc="left", color=(NORMAL, SPILL)[column])
    return pages.figure(fig, alt="Wells, their reconstructions and error maps")


def _margin(tile: U8 | F32) -> list[tuple[int, int]]:
    return [(0, 0), (1, 1), (0, 0)][: tile.ndim]


def _blank(tile: U8 | F32) -> float:
    return 255 if tile.ndim == 3 else np.nan


def _histogram(groups: dict[str, tuple[F32, bool]], threshold: float) -> Markup:
    """One row per group on one axis of log scores, each to its own height, since spills are few."""
    values = np.concatenate([scores for scores, _ in groups.values()])
    low, high = np.log10(min(values.min(), threshold)), np.log10(max(values.max(), threshold))
    bins = np.logspace(low - 0.05, high + 0.05, 70)
    fig = Figure(figsize=(9.6, 0.6 + 0.85 * len(groups)))
    rows = fig.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, (scores, is_spill)) in zip(rows, groups.items(), strict=True):
        axes.hist(scores, bins=bins, color=SPILL if is_spill else NORMAL)
        axes.axvline(threshold, color=INK, lw=1.2, ls="--")
        wrong = int((scores <= threshold).sum() if is_spill else (scores > threshold).sum())
        axes.text(0.01, 0.92, f"{name}: {len(scores)}, wrong {wrong}", transform=axes.transAxes, va="top", fontsize=9)
        axes.set(xscale="log", yticks=[])
        axes.margins(y=0.35)
        _plain(axes)
        axes.spines["left"].set_visible(False)
    rows[-1].set_xlabel("score (mean squared error)")
    rows[0].set_title(f"threshold {threshold:.4g}", fontsize=9, loc="right")
    return pages.figure(fig, alt="Histograms of scores, with the threshold")


def _roc(evaluation: Evaluation) -> Markup:
    false, true, _ = roc_curve(evaluation.spill, evaluation.scores)
    fig = Figure(figsize=(9.6, 2.9))
    for axes, limit in zip(fig.subplots(1, 2), (1.0, 0.1), strict=True):
        axes.plot(false, true, color=NORMAL, lw=1.8, drawstyle="steps-post")
        axes.plot(1 - evaluation.tnr, evaluation.tpr, "o", color=SPILL, ms=6, label="at the threshold")
        axes.set(xlabel="normal wells alarmed", xlim=(-0.015 * limit, limit), ylim=(1 - limit, 1 + 0.015 * limit))
        axes.set_title("all of it" if limit == 1 else "its best corner", fontsize=10, loc="left")
        _plain(axes)
    fig.axes[0].set_ylabel("spills found")
    fig.axes[0].legend(frameon=False, loc="lower right")
    return pages.figure(fig, alt="ROC curve")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
