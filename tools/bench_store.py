"""What keeping events on disk costs, and how fast a backlog reaches a broker on this machine.

python -m tools.bench_store [FOLDER]    FOLDER is on the disk to be measured; default: the temporary folder
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from spillwatch.config import MqttSettings, StateSettings
from spillwatch.publish.mqtt import Identity, MqttPublisher
from spillwatch.store.keeping import Store
from tests.support.publishers import alarm_event
from tools.rig import wait_until
from tools.rig.broker import Broker

STEPS, BACKLOG = 300, 5000


def recording(store: Store) -> list[float]:
    """Milliseconds of each step that makes one event."""
    taken = []
    for _ in range(STEPS):
        event = alarm_event(store.sequence.next())
        began_s = time.perf_counter()
        store.record([event])
        taken.append(1000 * (time.perf_counter() - began_s))
    return taken


def idling(store: Store) -> float:
    """Microseconds of a step that changes nothing."""
    memories = {"cam1": store.memory("cam1")}
    began_s = time.perf_counter()
    for _ in range(10_000):
        store.record([], memories)
    return 1e6 * (time.perf_counter() - began_s) / 10_000


def main() -> None:
    """Prints a line for each."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        with Store(StateSettings(directory=folder / "state"), deliver=True) as store:
            taken = sorted(recording(store))
            median, worst = statistics.median(taken), taken[int(0.99 * len(taken))]
            print(f"a step with an event: {median:.1f} ms (median), {worst:.1f} ms (99 %), of {STEPS}")
            print(f"a step that changes nothing: {idling(store):.1f} us")
            store.record([alarm_event(store.sequence.next()) for _ in range(BACKLOG - STEPS)])
        with Store(StateSettings(directory=folder / "state"), deliver=True) as store, Broker(folder) as broker:
            settings = MqttSettings(host="127.0.0.1", port=broker.port)
            identity = Identity(base="bench", client_id="bench", version="0")
            began_s = time.perf_counter()
            with MqttPublisher(settings, identity, outbox=store.outbox):
                wait_until(lambda: len(store.outbox) == 0, within_s=300)
                seconds = time.perf_counter() - began_s
            print(f"a backlog of {BACKLOG} events after a restart: {BACKLOG / seconds:.0f} events/s")


if __name__ == "__main__":
    main()
