"""The real daemon on real RTSP streams: frames scored and dropped, CPU, latency, memory.

    python -m tools.bench_live --cameras 4 --fps 25 --seconds 60
    python -m tools.bench_live --cameras 1 --fps 25 --seconds 3600     a soak: memory once a minute

One RTSP server sends the same stream to every camera; it shares the machine with the daemon, and its CPU is told apart.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from tools.bench import SHARED, find_clip
from tools.rig.broker import Broker, Subscriber
from tools.rig.daemon import DaemonProcess
from tools.rig.rtsp import RtspServer, annex_b

WARM_UP_S = 10.0


@dataclass
class Usage:
    """CPU seconds between two looks, and memory once a minute."""

    process: psutil.Process
    began_s: float = 0.0
    rss_mib: list[float] = field(default_factory=list)

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def begin(self) -> None:
        self.began_s = self.cpu_s()

    def remember(self) -> None:
        self.rss_mib.append(self.process.memory_info().rss / 2**20)


def configure(folder: Path, port: int, *, cameras: int, url: str, wells: Path) -> Path:
    """A site of so many cameras that all show the same line."""
    lines = ['site = "bench"', "[mqtt]", 'host = "127.0.0.1"', f"port = {port}"]
    for number in range(cameras):
        lines += ["[[cameras]]", f'id = "cam{number + 1}"', 'kind = "rtsp"', f'url = "{url}"', f'wells = "{wells}"']
    path = folder / "config.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def watch(daemon: Usage, server: Usage, seconds: float) -> float:
    """Let it run for so long, and look at the memory; the seconds that it really was."""
    psutil.cpu_percent()  # counts from here
    daemon.begin()
    server.begin()
    start_s = time.monotonic()
    while (past_s := time.monotonic() - start_s) < seconds:
        if past_s >= 60 * len(daemon.rss_mib):
            daemon.remember()
        time.sleep(min(1.0, seconds - past_s))
    daemon.remember()
    return time.monotonic() - start_s


def scored(subscriber: Subscriber, camera: str, since: int) -> float:
    """Mean frames per second that a camera's statuses tell, from so many of them on."""
    told = [json.loads(text)["fps"] for text in subscriber.on(f"spillwatch/bench/{camera}/status")[since:]]
    return float(np.mean(told)) if told else 0.0


def delays(subscriber: Subscriber) -> list[float]:
    """Milliseconds from capture to publishing, of every alarm."""
    told = [json.loads(text) for text in subscriber.on("spillwatch/bench/alarms")]
    return [event["delay_ms"] for event in told if event["delay_ms"] is not None and event["condition"] == "spill"]


def show(console: Console, rows: list[tuple[str, str]], title: str) -> None:
    table = Table("what", "figure", title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@click.command()
@click.option("--clip", type=click.Path(path_type=Path, exists=True), help="A clip with its truth beside it (.json).")
@click.option("--cameras", default=4, show_default=True)
@click.option("--fps", default=25.0, show_default=True, help="At which the clip is sent, whatever its own.")
@click.option("--seconds", default=60.0, show_default=True)
def main(clip: Path | None, cameras: int, fps: float, seconds: float) -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spills = SHARED / "clips/line_spills.mp4"
        found = find_clip(folder, clip or (spills if spills.exists() else None))
        stream = annex_b(found.video, folder / "clip.h264")
        with Broker(folder) as broker, RtspServer(stream, fps=fps) as rtsp:
            config = configure(folder, broker.port, cameras=cameras, url=rtsp.url(), wells=found.wells_file)
            with Subscriber(broker.port, "spillwatch/#") as subscriber, DaemonProcess(config, folder) as daemon:
                start_s = time.monotonic()
                daemon.wait_ready(60)
                first_score_s = time.monotonic() - start_s
                time.sleep(WARM_UP_S)
                names = [f"cam{number + 1}" for number in range(cameras)]
                before = {n: len(subscriber.on(f"spillwatch/bench/{n}/status")) + 1 for n in names}
                ours, theirs = Usage(psutil.Process(daemon.process.pid)), Usage(psutil.Process(rtsp.pid))
                past_s = watch(ours, theirs, seconds)
                used_s, serving_s = ours.cpu_s() - ours.began_s, theirs.cpu_s() - theirs.began_s
                rates = [scored(subscriber, n, before[n]) for n in names]
                late = delays(subscriber)
                overloads = [
                    e
                    for e in map(json.loads, subscriber.on("spillwatch/bench/alarms"))
                    if e["condition"] == "overload" and e["active"]
                ]
    rows = [
        ("first score after start, s", f"{first_score_s:.2f}"),
        ("frames scored per camera and second", ", ".join(f"{rate:.1f}" for rate in rates)),
        ("share of frames scored", f"{sum(rates) / (fps * cameras):.3f}"),
        ("daemon, CPU s per camera and second", f"{used_s / past_s / cameras:.3f}"),
        ("daemon, CPU ms per frame scored", f"{1000 * used_s / past_s / max(sum(rates), 1e-9):.2f}"),
        ("daemon, cores", f"{used_s / past_s:.2f} of {psutil.cpu_count()}"),
        ("RTSP server, cores", f"{serving_s / past_s:.2f}"),
        ("everything on the machine, cores", f"{psutil.cpu_count() * psutil.cpu_percent() / 100:.2f}"),
        ("overload announced, cameras", str(len({event["camera"] for event in overloads}))),
        ("spill alarms", str(len(late))),
        ("delay_ms p50, p99", f"{np.percentile(late, 50):.0f}, {np.percentile(late, 99):.0f}" if late else "no alarm"),
        ("resident memory, MiB, each minute", ", ".join(f"{rss:.0f}" for rss in ours.rss_mib)),
    ]
    show(Console(), rows, f"{cameras} cameras, {fps:g} fps, {len(found.wells)} wells each, {past_s:.0f} s")


if __name__ == "__main__":
    main()
