"""The pictures of the campaign: small simulated lines that spill often, or long, or never."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.rig.rtsp import annex_b

FPS = 12.5
_SIMULATE = Path(__file__).resolve().parents[1] / "simulate_line.py"


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip that a camera repeats without end, where its wells are, and which of them ever spill."""

    stream: Path
    wells: Path
    spilling: frozenset[str]
    spills: int
    seconds: float


def busy(folder: Path) -> Scene:
    """10 wells in turn, 1.5 s each: an event every second."""
    return _scene(folder, "busy", "--seconds", 20, "--spills", 10, "--seed", 3)


def lasting(folder: Path) -> Scene:
    """One spill of 30 s, to be still there after a restart, then half a minute of calm."""
    return _scene(folder, "lasting", "--seconds", 60, "--spills", 1, "--spill-s", 30, "--seed", 5)


def calm(folder: Path) -> Scene:
    """No spill at all."""
    return _scene(folder, "calm", "--seconds", 40, "--spills", 0, "--seed", 7)


def _scene(folder: Path, name: str, *words: object) -> Scene:
    folder.mkdir(parents=True, exist_ok=True)
    video, stream = folder / f"{name}.mp4", folder / f"{name}.h264"
    if not stream.exists():
        command = [sys.executable, _SIMULATE, video, "--size", "640x400", "--fps", FPS, *words]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        annex_b(video, stream.with_suffix(".part")).rename(stream)
    truth = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))
    spilling = [str(spill["well"]) for spill in truth["spills"]]
    return Scene(
        stream=stream,
        wells=video.with_suffix(".wells.toml"),
        spilling=frozenset(spilling),
        spills=len(spilling),
        seconds=truth["frames"] / truth["fps"],
    )
