"""How long a self-test's event takes from its picture to the broker and back: python -m tools.bench_self_test"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from tools.rig import program, wait_until
from tools.rig.broker import Broker, Subscriber
from tools.rig.daemon import DaemonProcess
from tools.rig.rtsp import RtspServer, annex_b

BASE = "spillwatch/line"
FPS = 12.5


@click.command()
@click.option("--tests", default=20, show_default=True, help="How many self-tests, one after another.")
def main(tests: int) -> None:
    """Serve a simulated line over RTSP, run the daemon on it with a broker, and ask for self-tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = folder / "line.mp4"
        words = [sys.executable, "tools/simulate_line.py", str(video), "--seconds", "12", "--spills", "0"]
        subprocess.run(words, check=True, capture_output=True)
        with Broker(folder) as broker, RtspServer(annex_b(video, folder / "line.h264"), fps=FPS) as camera:
            config = folder / "config.toml"
            config.write_text(
                f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n[[cameras]]\nid = "table"\nkind = "rtsp"\n'
                f'url = "{camera.url()}"\nwells = "{video.with_suffix(".wells.toml")}"\n'
            )
            with Subscriber(broker.port, f"{BASE}/#") as subscriber, DaemonProcess(config, folder) as daemon:
                daemon.wait_ready()
                told = [_one(broker, subscriber, i + 1) for i in range(tests)]
    for key in ("delivery_ms", "delay_ms"):
        values = sorted(test[key] for test in told if test["ok"])
        print(
            f"{key}: median {statistics.median(values):.0f}, {values[0]:.0f} to {values[-1]:.0f} ({len(values)} passed)"
        )


def _one(broker: Broker, subscriber: Subscriber, count: int) -> dict[str, float]:
    """Ask for one, and what came of it."""
    ask = json.dumps({"command": "self_test", "well": None, "by": "bench"})
    words = [program("mosquitto_pub"), "-V", "5", "-p", str(broker.port), "-q", "1", "-t", f"{BASE}/cmd", "-m", ask]
    subprocess.run(words, check=True)

    def results() -> list[dict[str, float]]:
        statuses = [json.loads(text) for text in subscriber.on(f"{BASE}/table/status")]
        return list({s["self_test"]["at"]: s["self_test"] for s in statuses if s["self_test"]}.values())

    wait_until(lambda: len(results()) >= count, within_s=30)
    return results()[-1]


if __name__ == "__main__":
    main()
