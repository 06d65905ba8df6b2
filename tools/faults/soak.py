"""Hours with four cameras and faults sprinkled over them."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING

from tools.faults import oracle
from tools.faults.scene import busy, calm
from tools.faults.stage import Stage
from tools.faults.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.faults.process import Holdings

SAMPLE_S = 5.0
WARM = 0.2
"""The first fifth warms caches up; growth is counted from its end."""
GROWTH = 0.02


def soak(folder: Path, *, seed: int, times: int) -> Tally:
    """``times`` are seconds. A fault every half minute or so; what the daemon holds is sampled between them."""
    chance, tally = random.Random(seed), Tally()
    (folder / "holdings.csv").unlink(missing_ok=True)
    scenes = {"one": busy(folder.parent / "scenes"), "two": busy(folder.parent / "scenes")}
    scenes |= {"three": calm(folder.parent / "scenes"), "four": calm(folder.parent / "scenes")}
    with Stage(folder / "stage", scenes, relayed=True) as stage:
        began_s = time.monotonic()
        samples: list[Holdings] = []
        done = 0
        while time.monotonic() - began_s < times:
            calm_until_s = time.monotonic() + chance.uniform(15, 45)
            while time.monotonic() < calm_until_s:
                time.sleep(SAMPLE_S)
                samples.append(stage.holdings())
                _write(folder / "holdings.csv", samples[-1], at_s=time.monotonic() - began_s)
            chance.choice(_FAULTS)(stage, chance)
            done += 1
        recovered_s = time.monotonic()
        stage.wait_watching(since_s=recovered_s)
        tally.times = round(time.monotonic() - began_s)
        tally.figures["faults"] = str(done)
        _compare(samples, tally)
        time.sleep(10)
        tally.breaches += stage.judge()
        tally.figures["events"] = str(len(oracle.without_repeats(stage.recorder.events())))
    return tally


def _write(path: Path, sample: Holdings, *, at_s: float) -> None:
    """The course of it, for whoever wants to see where it grew."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{at_s:.0f},{sample.threads},{sample.descriptors},{sample.resident}\n")


def _compare(samples: list[Holdings], tally: Tally) -> None:
    """The first fifth after warming up against the last, by medians: single samples fall into reconnections."""
    first = round(WARM * len(samples))
    length = max(1, (len(samples) - first) // 5)
    early, late = samples[first : first + length], samples[-length:]
    for what in ("threads", "descriptors"):
        before, after = (round(statistics.median(getattr(s, what) for s in part)) for part in (early, late))
        tally.same(what, before, after)
    before_b, after_b = (statistics.median(s.resident for s in part) for part in (early, late))
    growth = after_b / before_b - 1
    tally.figures["resident memory"] = f"{before_b / 2**20:.1f} → {after_b / 2**20:.1f} MiB ({100 * growth:+.2f} %)"
    if growth > GROWTH:
        tally.breaches.append(f"resident memory grew by {100 * growth:.1f} %")


def _kill_stream(stage: Stage, chance: random.Random) -> None:
    stream = stage.streams[chance.choice(sorted(stage.streams))]
    stream.kill()
    time.sleep(chance.uniform(0, 6))
    stream.start()


def _freeze_stream(stage: Stage, chance: random.Random) -> None:
    stream = stage.streams[chance.choice(sorted(stage.streams))]
    stream.freeze()
    time.sleep(chance.uniform(0, 10))
    stream.thaw()


def _damage_stream(stage: Stage, chance: random.Random) -> None:
    stream = stage.streams[chance.choice(sorted(stage.streams))]
    stream.corrupt(share=0.1, seed=chance.randrange(2**31))
    time.sleep(chance.uniform(1, 10))
    stream.corrupt(share=0.0, seed=0)


def _kill_broker(stage: Stage, chance: random.Random) -> None:
    stage.recorder.wait_connected()
    stage.broker.kill()
    time.sleep(chance.uniform(0, 4))
    stage.broker.start()
    stage.recorder.wait_connected()


def _silence_network(stage: Stage, chance: random.Random) -> None:
    stage.relay.silence()
    time.sleep(chance.uniform(0, 20))
    stage.relay.restore()


_FAULTS: tuple[Callable[[Stage, random.Random], None], ...] = (
    _kill_stream,
    _freeze_stream,
    _damage_stream,
    _kill_broker,
    _silence_network,
)
