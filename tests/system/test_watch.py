"""``spillwatch watch`` against a real broker."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from spillwatch.config import MqttSettings
from spillwatch.publish.mqtt import MqttPublisher
from spillwatch.records import CameraState, CameraStatus, WellState, WellStatus
from tests.support.publishers import AT, alarm_event, identity
from tools.rig.broker import Broker

if TYPE_CHECKING:
    from pathlib import Path


def look(port: int) -> subprocess.CompletedProcess[str]:
    words = ["watch", "--host", "127.0.0.1", "--port", str(port), "--once"]
    return subprocess.run([sys.executable, "-m", "spillwatch", *words], capture_output=True, text=True, check=False)


def test_a_site_is_seen_by_what_the_broker_keeps(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        settings = MqttSettings(host="127.0.0.1", port=broker.port)
        with MqttPublisher(settings, identity("spillwatch/line")) as publisher:
            seen = CameraStatus(
                camera="cam1", state=CameraState.WATCHING, reason=None, fps=25.0, last_frame_age_s=0.04, at=AT
            )
            well = WellStatus(camera="cam1", well="3L4", state=WellState.WATCHING, at=AT)
            for message in (well, seen, alarm_event(1)):
                publisher.publish(message)
            online = look(broker.port)
        offline = look(broker.port)
    assert (online.returncode, online.stderr) == (0, "")
    assert "online since" in online.stdout
    assert "3L4" in online.stdout
    assert "spill" in online.stdout
    assert "OFFLINE" in offline.stdout
    assert offline.returncode == 1
    assert offline.stderr == (
        "spillwatch: no spillwatch is online at this broker under spillwatch/line/; check that it runs\n"
    )


def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    done = look(1)
    assert done.returncode == 1
    assert done.stderr == (
        "spillwatch: the broker at 127.0.0.1:1 cannot be reached: Connection refused; check mqtt.host and mqtt.port\n"
    )
