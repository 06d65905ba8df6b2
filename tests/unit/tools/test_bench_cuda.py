from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from click.testing import CliRunner

from spillwatch.model.architecture import Architecture
from tools import bench_cuda

if TYPE_CHECKING:
    import pytest


def test_without_a_gpu_it_ends_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = CliRunner().invoke(bench_cuda.main, [])
    assert done.exit_code == 2
    assert done.output == "torch finds no CUDA GPU here: run it on a machine with one\n"


def test_memory_moved_by_a_network_of_one_number_each() -> None:
    """48 pixels of each of 64 patches become one number, four of which become one, and so on, and all the way back."""
    narrow = Architecture("pyramid", latent=1, widths=(1, 1, 1, 1))
    given = [64, 16, 4, 1, 1, 1, 4, 16, 64, 3072]
    taken = [3072, *given[:-1]]
    relu = 2 * (sum(given) - given[4] - given[9])
    around = 2 * 3072 + 3072 + 12288 + 12288 + 4 * 3072 + 2 * 12288
    assert bench_cuda.moved(narrow, 4) == around + 4 * (sum(given) + sum(taken) + relu)
