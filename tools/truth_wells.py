"""Make a wells file from a clip's truth file: python tools/truth_wells.py TRUTH.json W.toml --out-of-service 1L1."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from spillwatch.records import Wells
from spillwatch.wells import wellmap


def wells_of_truth(truth: Path, out_of_service: tuple[str, ...] = ()) -> Wells:
    """The wells of a truth file."""
    rows = json.loads(truth.read_text(encoding="utf-8"))["wells"]
    return Wells(
        ids=tuple(row["id"] for row in rows),
        centres=np.array([(row["x"], row["y"]) for row in rows], np.float64),
        sizes=np.array([(row["w"], row["h"]) for row in rows], np.float64),
        in_service=np.array([row["id"] not in out_of_service for row in rows], np.bool_),
    )


@click.command()
@click.argument("truth", type=click.Path(path_type=Path, exists=True))
@click.argument("wells", type=click.Path(path_type=Path))
@click.option("--out-of-service", multiple=True, help="A well that is not watched; may be given more than once.")
def main(truth: Path, wells: Path, out_of_service: tuple[str, ...]) -> None:
    """Write the wells of a truth file as a wells file."""
    wellmap.save(wells_of_truth(truth, out_of_service), wells)
    print(f"wrote {wells}")


if __name__ == "__main__":
    main()
