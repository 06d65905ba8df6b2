"""Runs the campaign and prints its table; see docs/reliability.md."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from tools.faults.campaign import FAULTS, run_one
from tools.faults.process import load


@click.command()
@click.option("--seed", default=1, show_default=True, help="Every chance follows from it.")
@click.option("--only", multiple=True, type=click.Choice(list(FAULTS)), help="These faults alone; may be repeated.")
@click.option("--factor", default=1.0, show_default=True, help="Times the full number of repeats.")
@click.option("--folder", default=Path("build/faults"), type=click.Path(path_type=Path), help="Logs are kept here.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the results here.")
def main(seed: int, only: tuple[str, ...], factor: float, folder: Path, out: Path | None) -> None:
    """Do every fault many times to the real daemon, and say what did not hold. The soak must be asked for."""
    results: list[dict[str, Any]] = []
    for name in only or [name for name in FAULTS if name != "soak"]:
        fault = FAULTS[name]
        times = max(1, round(fault.times * factor))
        place = folder / name
        shutil.rmtree(place / "stage", ignore_errors=True)
        began_s = time.monotonic()
        print(f"{name}: {fault.what}, {times} {fault.unit} ...", flush=True)
        tally = run_one(name, place, seed=seed, times=times)
        row = {"fault": name, "done": tally.times, "of": times, "figures": tally.summary(), "breaches": tally.breaches}
        row |= {"seconds": round(time.monotonic() - began_s), "load per core": round(load(), 1), "seed": seed}
        results.append(row)
        print(f"  {'HELD' if not tally.breaches else 'BROKEN'}: {tally.summary()} [{row['seconds']} s]")
        for breach in tally.breaches[:20]:
            print(f"    - {breach}")
        if out:
            out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print("\n| fault | repeats | held | figures | load per core |\n|---|---|---|---|---|")
    for row in results:
        held = "yes" if not row["breaches"] else f"no: {len(row['breaches'])} breaches"
        print(f"| {FAULTS[row['fault']].what} | {row['done']} | {held} | {row['figures']} | {row['load per core']} |")
    sys.exit(any(row["breaches"] for row in results))


if __name__ == "__main__":
    main()
