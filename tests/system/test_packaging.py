"""What is installed beside the code: completion, man pages, and a wheel that has everything in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click import Group

from spillwatch.cli import main
from tests.conftest import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("shell", "told"), [("bash", "complete "), ("zsh", "#compdef spillwatch"), ("fish", "complete ")]
)
def test_the_program_prints_the_completion_that_the_installer_puts_in_place(shell: str, told: str) -> None:
    environment = {**os.environ, "_SPILLWATCH_COMPLETE": f"{shell}_source"}
    done = subprocess.run([BIN / "spillwatch"], env=environment, capture_output=True, text=True, check=True)
    assert told in done.stdout
    assert f"complete {shell} " in (ROOT / "systemd/install.sh").read_text()


def test_completion_knows_commands_and_options() -> None:
    def completed(*words: str) -> str:
        asked = {
            "_SPILLWATCH_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        environment = {**os.environ, **asked}
        return subprocess.run([BIN / "spillwatch"], env=environment, capture_output=True, text=True, check=True).stdout

    assert "plain,replay" in completed("spillwatch", "rep")
    assert "plain,--events" in completed("spillwatch", "replay", "--ev")


def test_every_command_has_a_man_page(tmp_path: Path) -> None:
    subprocess.run([BIN / "click-man", "--target", tmp_path, "spillwatch"], check=True, capture_output=True)
    below = [f"{name}-{one}" for name, group in main.commands.items() if isinstance(group, Group)
             for one in group.commands]  # fmt: skip
    wanted = {"spillwatch.1"} | {f"spillwatch-{name}.1" for name in [*main.commands, *below]}
    assert {path.name for path in tmp_path.iterdir()} == wanted
    assert "SIGTERM" in (tmp_path / "spillwatch-run.1").read_text()


def test_the_wheel_has_everything_in_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    without = shutil.ignore_patterns(".*", "build", "tests", "tools", "docs", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=without)
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*words, "-w", tmp_path, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        unit = next(name for name in names if name.endswith("data/lib/systemd/system/spillwatch.service"))
        assert archive.read(unit) == (ROOT / "systemd/spillwatch.service").read_bytes()
    shared = {Path(name).name for name in names if "data/share/spillwatch/" in name}
    assert shared == {"config.example.toml", "constraints.txt", "spillwatch.sysusers"}
    package = ROOT / "spillwatch"
    ours = {
        str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= names


def test_the_container_runs_without_rights_and_asks_after_its_health() -> None:
    text = (ROOT / "Containerfile").read_text()
    assert re.search(r"(?m)^USER 10001$", text)
    health = re.search(r"HEALTHCHECK [^[]*\[(.*)\]", text)
    run = re.search(r"(?m)^CMD \[(.*)\]$", text)
    assert health
    assert run
    assert '"watch", "--once"' in health[1]
    assert run[1].rpartition(" ")[2] == health[1].rpartition(" ")[2]  # the same settings
