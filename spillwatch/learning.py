"""Training and measuring a model, with their files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spillwatch.model import bundle, evaluation, training
from spillwatch.model.report import write_evaluation_report, write_training_report
from spillwatch.outputs import check_outputs, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def train(
    data: Path,
    model: Path,
    *,
    preset: str,
    seed: int,
    extend: Path | None,
    report: Path | None,
    on_step: Callable[[int, int | None], None],
) -> str:
    """Train, write the model, then the report; the figures in one sentence."""
    check_outputs((model, report), read=())
    result = training.train(
        data, preset=preset, seed=seed, extend=extend, progress=lambda done, total, _what: on_step(done, total)
    )
    bundle.save(result.bundle, model)
    sentence = f"{model}: {result.bundle.name}, threshold {result.bundle.threshold:.6g}"
    measured = evaluation.evaluate(result.bundle, data)
    if report:
        write_training_report(report, result, measured)
        sentence += f", report {report}"
    if taught := result.bundle.taught:
        sentence += "; of the crew" + ",".join(_of_crew(name, taught[name]) for name in ("normal", "spill"))
    figures = "; on {measured_on}: AUROC {auroc:.4f}, TPR {tpr:.3f}, TNR {tnr:.3f}"
    return sentence + figures.format(**measured.as_json())


def _of_crew(name: str, said: dict[str, Any]) -> str:
    held = f", {said['held_out_right']} of {said['held_out_crops']} held out right" if said["held_out_crops"] else ""
    return f" {said['crops']} {name} crops of {said['alarms']} alarms{held}"


def evaluate(model: Path | None, data: Path, *, out: Path | None, report: Path | None) -> dict[str, Any]:
    """A model's figures on labelled crops, written to ``out`` where it is named."""
    check_outputs((out, report), read=(model,))
    loaded = bundle.load(model or bundle.default_path())
    measured = evaluation.evaluate(loaded, data)
    if report:
        write_evaluation_report(report, loaded, measured)
    figures = measured.as_json()
    if out:
        write_text(out, json.dumps(figures, indent=2) + "\n", what="figures")
    return figures
