"""Simulated lines, many seeds, mixed faults, through the whole of replay with the bundled model and default settings.

    python -m tools.bench_lines --seeds 100
    python -m tools.bench_lines --seeds 100 --real ../shared      # composed from real pictures instead

prints misses, false alarms and delays over all lines, and names the seeds that went wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent


def watch(seed: int, seconds: float, size: str, real: Path | None) -> dict[str, Any]:
    """Make and replay one line; its score and the conditions that were raised."""
    from spillwatch.configfile import load
    from spillwatch.replay import Job, replay

    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "line.mp4"
        words = ["--seed", seed, "--seconds", seconds]
        if real:
            words = ["-m", "tools.compose_line", video, *words, "--shared", real]
        else:  # odd seeds have faults as well
            faults = ["--faults"] if seed % 2 else []
            words = [ROOT / "tools/simulate_line.py", video, *words, "--size", size, *faults]
        subprocess.run([str(word) for word in (sys.executable, *words)], check=True, capture_output=True, cwd=ROOT)
        job = Job(video=video, wells=video.with_suffix(".wells.toml"), truth=video.with_suffix(".json"))
        outcome = replay(load(None), job)
    assert outcome.score is not None  # noqa: S101 (a truth file was given)
    raised = sorted({str(event.condition) for event in outcome.events if event.active})
    wrong = [f"{e.well}@{e.media_time_s}" for e in outcome.events if e.active and e.condition == "spill"]
    return {"seed": seed, **outcome.score, "conditions": raised, "raised": wrong}


@click.command()
@click.option("--seeds", default=100, show_default=True, help="How many lines.")
@click.option("--first", default=1000, show_default=True, help="The first seed.")
@click.option("--seconds", default=40.0, show_default=True, help="Length of each line.")
@click.option("--size", default="1280x800", show_default=True)
@click.option(
    "--real", type=click.Path(path_type=Path, exists=True, resolve_path=True), help="Folder of real pictures."
)
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True)
def main(seeds: int, first: int, seconds: float, size: str, real: Path | None, jobs: int) -> None:
    """Print the table."""
    console = Console()
    numbers = range(first, first + seeds)
    with ProcessPoolExecutor(jobs) as pool:
        work = pool.map(watch, numbers, [seconds] * seeds, [size] * seeds, [real] * seeds)
        results = list(
            track(work, "watching", total=seeds, console=Console(stderr=True), disable=not sys.stderr.isatty())
        )
    spills = [spill for result in results for spill in result["spills"]]
    delays = sorted(spill["delay_s"] for spill in spills if spill["delay_s"] is not None)
    false_alarms = sum(result["false_alarms"] for result in results)
    hours = sum(result["well_hours"] for result in results)
    table = Table("lines", "spills", "missed", "false alarms", "well-hours", "median delay", "90 %", "worst")
    worst = (
        [f"{median(delays):.2f} s", f"{delays[int(0.9 * len(delays))]:.2f} s", f"{delays[-1]:.2f} s"] if delays else []
    )
    missed = sum(result["missed"] for result in results)
    table.add_row(str(seeds), str(len(spills)), str(missed), str(false_alarms), f"{hours:.1f}", *worst)
    console.print(table)
    for kind in sorted({spill["kind"] for spill in spills}):
        of_kind = [spill["delay_s"] for spill in spills if spill["kind"] == kind and spill["delay_s"] is not None]
        console.print(
            f"{kind}: median delay {median(of_kind):.2f} s, worst {max(of_kind):.2f} s, of {len(of_kind)} found"
        )
    for result in results:
        if result["missed"] or result["false_alarms"]:
            console.print(f"seed {result['seed']}: {result}", soft_wrap=True)


if __name__ == "__main__":
    main()
