from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["spillwatch.cli", "spillwatch.config", "spillwatch.records"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "cv2", "av", "matplotlib", "sklearn", "paho", "scipy", "distributed", "pyarrow"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["spillwatch.replay", "spillwatch.daemon"])
def test_watching_loads_what_watching_needs(module: str) -> None:
    """Torch takes two seconds of CPU to load; only training and CUDA need it."""
    code = f"""import sys, {module}
from spillwatch import build
from spillwatch.config import ModelSettings
build.judge(ModelSettings(device="cpu"))
print(sorted({{"torch", "matplotlib", "sklearn", "scipy"}} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
