"""`replay --publish` against a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from spillwatch.wells import wellmap
from tests.support.clips import write_clip
from tests.support.simulated import wells
from tools.rig.broker import Broker, Subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import U8


def table_then_chaos(frames: int = 60) -> list[U8]:
    """Three grey wells on a textured plate; after two seconds the second one is wild."""
    rng = np.random.default_rng(1)
    plate = np.repeat(rng.integers(90, 140, (64, 192, 1)), 3, axis=2)
    pictures = []
    for i in range(frames):
        picture = plate + rng.integers(-3, 4, plate.shape)
        if i >= 20:
            picture[6:34, 66:114] = rng.integers(0, 256, (28, 48, 3))
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


def test_a_replay_tells_the_broker_what_the_daemon_would(tmp_path: Path) -> None:
    clip, log = tmp_path / "clip.mp4", tmp_path / "events.jsonl"
    write_clip(clip, table_then_chaos(), fps=10)
    wellmap.save(wells(3, out_of_service=[2]), tmp_path / "w.toml")
    with Broker(tmp_path) as broker, Subscriber(broker.port, "spillwatch/#") as subscriber:
        (tmp_path / "c.toml").write_text(f'site = "desk"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n')
        words = ["replay", clip, "--wells", tmp_path / "w.toml", "--config", tmp_path / "c.toml", "--publish"]
        command = [sys.executable, "-m", "spillwatch", *map(str, words), "--events", str(log)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    base = "spillwatch/desk"
    events = [json.loads(text) for text in subscriber.on(f"{base}/alarms")]
    assert events == [json.loads(line) for line in log.read_text().splitlines()]
    assert [json.loads(text)["online"] for text in subscriber.on(f"{base}/status")] == [True, False]
    assert json.loads(subscriber.on(f"{base}/replay/3/state")[-1])["state"] == "out_of_service"
    assert "watching" in {json.loads(text)["state"] for text in subscriber.on(f"{base}/replay/status")}


def test_a_broker_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, table_then_chaos(5), fps=10)
    wellmap.save(wells(3), tmp_path / "w.toml")
    (tmp_path / "c.toml").write_text('[mqtt]\nhost = "127.0.0.1"\nport = 9\n')
    words = ["replay", clip, "--wells", tmp_path / "w.toml", "--config", tmp_path / "c.toml", "--publish"]
    command = [sys.executable, "-m", "spillwatch", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "spillwatch: the broker at 127.0.0.1:9 cannot be reached" in done.stderr
