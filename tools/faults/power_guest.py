"""What power.py does in the emulated machine: say what an earlier run left on the disk, then change alarms until the
power goes. One line of JSON per telling, which is out before anything else is done.
"""

from __future__ import annotations

import json
import os
import random
import sys
import termios
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from spillwatch.config import StateSettings  # noqa: E402 - the path comes first
from spillwatch.errors import CommandError  # noqa: E402
from spillwatch.records import Command, Condition, Verb, encode  # noqa: E402
from spillwatch.store.keeping import Store  # noqa: E402
from spillwatch.watch.alarms import Alarms, Moment  # noqa: E402

CAMERA = "cam1"
WELLS = [f"1L{number}" for number in range(1, 21)]
LONGEST_S = 4.0


def tell(kind: str, what: object) -> None:
    """On the console, and through its wire."""
    print(f"{kind} {json.dumps(what)}", flush=True)
    with suppress(termios.error):
        termios.tcdrain(1)


def cut_power() -> None:
    """At once: nothing is written that was not."""
    Path("/proc/sysrq-trigger").write_text("b", encoding="ascii")


def change(alarms: Alarms, chance: random.Random) -> list[str]:
    """A spill begins or ends, or somebody acknowledges one; the events as JSON."""
    well, moment = chance.choice(WELLS), Moment(at=datetime.now(UTC), time_s=time.monotonic())
    holds = (Condition.SPILL, well) in alarms.holding()
    if holds and chance.random() < 0.4:
        command = Command(command=Verb.ACK, camera=CAMERA, well=well, by="anna", reason="seen")
        try:
            events = alarms.obey(command, moment)
        except CommandError:
            return []
    else:
        event = alarms.set_active(Condition.SPILL, well, active=not holds, moment=moment)
        events = [event] if event else []
    STORE.record(events, {CAMERA: alarms.memory()})
    return [encode(event) for event in events]


if __name__ == "__main__":
    chance = random.Random(int(sys.argv[1]))
    STORE = Store(StateSettings(directory=Path("/run/disk/state")), deliver=True)
    with STORE:
        waiting = []
        while entry := STORE.outbox.take():
            waiting.append(json.loads(entry.payload))
        STORE.outbox.untake()
        alarms = Alarms(CAMERA, model="none", next_seq=STORE.sequence.next, memory=STORE.memory(CAMERA))
        active = sorted(well or "" for _condition, well in alarms.active())
        tell("LEFT", {"outbox": waiting, "active": active, "faults": [*STORE.notices(), *STORE.degraded]})
        threading.Timer(chance.uniform(0.1, LONGEST_S), cut_power).start()
        while True:
            for payload in change(alarms, chance):
                tell("TOLD", json.loads(payload))
            if chance.random() < 0.3 and (entry := STORE.outbox.take()):
                tell("ACKNOWLEDGED", entry.seq)
                STORE.outbox.acknowledged(entry.seq)
            os.sched_yield()
