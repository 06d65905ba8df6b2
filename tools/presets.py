"""Trains both presets over several seeds, measures them on the test crops and prints the table of docs/accuracy.md.

python tools/presets.py ../shared/data/wells --seeds 5
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import structlog
import torch

from spillwatch.model import training
from spillwatch.model.evaluation import evaluate
from spillwatch.model.scoring import Scorer

WELLS = 84  # of a casting table
FRAMES = 500


def milliseconds(scorer: Scorer) -> float:
    """Least time of one frame's wells, so that other work on the machine counts little."""
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (WELLS, 32, 32, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
    times = []
    for _ in range(FRAMES):
        started = perf_counter()
        scorer.score(crops)
        times.append(perf_counter() - started)
    return min(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train/, proliv/ and test/")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (default 5)")
    parser.add_argument("--presets", default="seed,default", help="which, with commas")
    parser.add_argument("--threads", type=int, default=1, help="cores that torch may use (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print("| preset | seed | AUROC | TPR | TNR | threshold | train, s | CPU s | 84 wells, ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for preset in options.presets.split(","):
        for seed in range(options.seeds):
            started = process_time()
            result = training.train(options.data, preset=preset, seed=seed)
            cpu_s = process_time() - started
            found = evaluate(result.bundle, options.data)
            time_ms = milliseconds(Scorer(result.bundle, "cpu"))
            print(
                f"| {preset} | {seed} | {found.auroc:.5f} | {found.tpr:.3f} | {found.tnr:.3f} | {found.threshold:.3g} "
                f"| {result.seconds:.0f} | {cpu_s:.0f} | {time_ms:.2f} |"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
