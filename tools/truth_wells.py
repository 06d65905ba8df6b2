"""Make a wells file from a clip's truth file: python tools/truth_wells.py TRUTH.json W.toml --out-of-service 1L1."""

from __future__ import annotations

from pathlib import Path

import click

from spillwatch.truth import wells_of_truth
from spillwatch.wells import wellmap

__all__ = ["wells_of_truth"]


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
