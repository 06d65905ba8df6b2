from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["spillwatch.cli", "spillwatch.config", "spillwatch.records"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "cv2", "av", "matplotlib", "sklearn", "paho", "scipy"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
