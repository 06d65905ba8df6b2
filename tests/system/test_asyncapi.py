"""What a real daemon sends through a real broker, held against docs/asyncapi.yaml."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from spillwatch.wells import wellmap
from tests.support.asyncapi import Contract
from tests.support.simulated import wells
from tools.rig import program, wait_until
from tools.rig.broker import Broker, Subscriber
from tools.rig.daemon import DaemonProcess

if TYPE_CHECKING:
    from pathlib import Path

BASE = "plant/cast-1"
TOPICS = ("plant/#", "homeassistant/#", "spBv1.0/#")


def test_a_command_its_answer_and_the_last_will_are_as_the_document_says(tmp_path: Path) -> None:
    wellmap.save(wells(2), tmp_path / "w.toml")
    config = tmp_path / "config.toml"
    with Broker(tmp_path) as broker, Subscriber(broker.port, *TOPICS) as subscriber:
        camera = '[[cameras]]\nid = "table"\nkind = "rtsp"\nurl = "rtsp://127.0.0.1:9/cam"\nwells = "w.toml"\n'
        mirrors = "[homeassistant]\nenabled = true\n[sparkplug]\nenabled = true\n"
        config.write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nbase = "{BASE}"\n{mirrors}{camera}')
        with DaemonProcess(config, tmp_path) as daemon:
            wait_until(lambda: subscriber.on(f"{BASE}/table/alarm"), within_s=30, what=daemon.log())
            for command in ({"command": "ack", "well": None, "by": "anna"}, {"command": "ack", "by": "anna"}):
                text = json.dumps(command)
                pub = [program("mosquitto_pub"), "-V", "5", "-p", str(broker.port), "-t", f"{BASE}/cmd", "-q", "1"]
                subprocess.run([*pub, "-m", text], check=True)
            wait_until(lambda: len(subscriber.on(f"{BASE}/cmd/result")) == 2, what=daemon.log())
            for topic in ("homeassistant/device/plant_cast-1_table/config", "spBv1.0/spillwatch/NBIRTH/line"):
                wait_until(lambda topic=topic: subscriber.on(topic), what=daemon.log())
            daemon.kill()
            wait_until(lambda: not json.loads(subscriber.on(f"{BASE}/status")[-1])["online"])
    contract = Contract(BASE)
    good, bad = (json.loads(text)["ok"] for text in subscriber.on(f"{BASE}/cmd/result"))
    assert (good, bad) == (True, False)
    incomplete = f"{BASE}/cmd: : 'well' is a required property"
    own = [message for message in subscriber.received if message[0].startswith(BASE)]
    sound = [message for message in own if contract.faults(*message[:2]) != [incomplete]]
    assert len(sound) == len(own) - 1  # the one that was refused
    assert contract.check(sound) >= {
        "status",
        "cameraStatus",
        "wellState",
        "cameraAlarm",
        "alarms",
        "command",
        "result",
        "spills",
    }
