from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.page import DrawnSite, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(DrawnSite(tmp_path), tmp_path) as served:
        yield served
