"""The daemon as it runs on a line: a real RTSP server, a real broker, a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from spillwatch.wells import wellmap
from tests.conftest import ROOT
from tests.support.asyncapi import Contract
from tests.support.page import TOKEN
from tools.rig import free_port, program, wait_until
from tools.rig.broker import Broker, Subscriber
from tools.rig.daemon import DaemonProcess
from tools.rig.rtsp import RtspServer, annex_b
from tools.truth_wells import wells_of_truth

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


def configure(folder: Path, broker: Broker, *cameras: tuple[str, str, Path]) -> Path:
    lines = ['site = "cast1"', "[mqtt]", 'host = "127.0.0.1"', f"port = {broker.port}"]
    lines += ["[events]", 'path = "events.jsonl"']
    for name, url, wells in cameras:
        lines += ["[[cameras]]", f'id = "{name}"', 'kind = "rtsp"', f'url = "{url}"', f'wells = "{wells}"']
    path = folder / "config.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def events_of(subscriber: Subscriber) -> list[dict[str, Any]]:
    return [json.loads(text) for text in subscriber.on("spillwatch/cast1/alarms")]


def raised(subscriber: Subscriber) -> set[str]:
    return {event["well"] for event in events_of(subscriber) if event["condition"] == "spill" and event["active"]}


@pytest.fixture
def simulated(tmp_path: Path) -> tuple[Path, Path]:
    """A simulated line of 12 s and its wells; one spill."""
    video = tmp_path / "line.mp4"
    words = [sys.executable, ROOT / "tools/simulate_line.py", video, "--seconds", 12, "--spills", 1]
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    return video, tmp_path / "line.wells.toml"


@pytest.mark.needs_data
@pytest.mark.timeout(300)
def test_a_real_clip_in_real_time_publishes_the_wells_that_spill(tmp_path: Path, shared: Path, broker: Broker) -> None:
    clip = shared / "clips/line_spills.mp4"
    wells = tmp_path / "wells.toml"
    wellmap.save(wells_of_truth(clip.with_suffix(".json"), ("1L1",)), wells)
    stream = RtspServer(annex_b(clip, tmp_path / "clip.h264"), fps=12.5)
    with stream, Subscriber(broker.port, "spillwatch/#") as subscriber:
        config = configure(tmp_path, broker, ("table", stream.url(), wells))
        with DaemonProcess(config, tmp_path) as daemon:
            daemon.wait_ready()
            end_s = time.monotonic() + 37  # the clip has 40 s; its last spill starts at 29.5 s
            wait_until(lambda: time.monotonic() > end_s, within_s=60)
            assert daemon.terminate() < 2
    assert raised(subscriber) == {"1U7", "4U5", "4U7"}
    assert {event["condition"] for event in events_of(subscriber)} == {"spill"}


@pytest.mark.timeout(300)
def test_the_whole_life_of_a_daemon(tmp_path: Path, simulated: tuple[Path, Path], broker: Broker) -> None:
    video, wells = simulated
    truth = json.loads(video.with_suffix(".json").read_text())
    spilling = {spill["well"] for spill in truth["spills"]}
    stream = RtspServer(annex_b(video, tmp_path / "clip.h264"), fps=12.5)
    with stream, Subscriber(broker.port, "spillwatch/#") as subscriber:
        config = configure(tmp_path, broker, ("table", stream.url(), wells), ("second", stream.url(), wells))
        port = add_metrics(config)
        with DaemonProcess(config, tmp_path) as daemon:
            daemon.wait_ready()
            wait_until(lambda: len(events_of(subscriber)) >= 2, within_s=25, what=daemon.log())
            check_metrics(metrics_of(port), subscriber)
            fed = daemon.notified.count("WATCHDOG=1")
            assert fed > 0
            stream.kill()
            lost = "camera_lost"
            wait_until(lambda: lost in {e["condition"] for e in events_of(subscriber)}, within_s=10)
            time.sleep(0.5)
            fed = daemon.notified.count("WATCHDOG=1")
            time.sleep(1.5)
            assert daemon.notified.count("WATCHDOG=1") == fed, "nothing was scored, so nothing may feed the watchdog"
            seconds = daemon.terminate()
            assert "STOPPING=1" in daemon.notified
    assert seconds < 2
    assert raised(subscriber) <= spilling
    check_topics(subscriber, wells)
    seen = Contract("spillwatch/cast1").check(subscriber.received)
    assert seen == {"status", "cameraStatus", "wellState", "wellAlarm", "cameraAlarm", "alarms"}
    events = events_of(subscriber)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all(event["media_time_s"] is None and event["delay_ms"] is not None for event in events)
    logged = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert logged == events


@pytest.mark.timeout(120)
def test_pictures_that_no_library_can_judge_blind_their_own_camera_alone(
    tmp_path: Path, simulated: tuple[Path, Path], broker: Broker
) -> None:
    video, wells = simulated
    speck = tmp_path / "speck.h264"
    words = "-f lavfi -i testsrc=size=64x64:rate=12 -t 4 -vf scale=4:4 -c:v libx264 -pix_fmt yuv420p -tune zerolatency"
    subprocess.run(
        [program("ffmpeg"), "-v", "error", *words.split(), "-x264-params", "aud=1:keyint=12", speck], check=True
    )
    whole, small = RtspServer(annex_b(video, tmp_path / "clip.h264"), fps=12.5), RtspServer(speck, fps=12)
    with whole, small, Subscriber(broker.port, "spillwatch/#") as subscriber:
        config = configure(tmp_path, broker, ("table", whole.url(), wells), ("speck", small.url(), wells))
        with DaemonProcess(config, tmp_path) as daemon:
            daemon.wait_ready()
            lost = ("speck", "camera_lost", True)
            told = lambda: [(e["camera"], e["condition"], e["active"]) for e in events_of(subscriber)]  # noqa: E731
            wait_until(lambda: lost in told(), what=daemon.log())
            time.sleep(2)
            for camera, state in (("speck", "blind"), ("table", "watching")):
                assert json.loads(subscriber.on(f"spillwatch/cast1/{camera}/status")[-1])["state"] == state
            assert told().count(lost) == 1
            assert daemon.log().count("camera.crashed") <= 2
            daemon.terminate()


def add_metrics(config: Path) -> int:
    """Serve them; the port."""
    token, port = config.with_name("token"), free_port()
    token.write_text(TOKEN)
    token.chmod(0o600)
    page = f'[page]\nenabled = true\nport = {port}\ntoken_file = "token"\nmetrics = true\n'
    config.write_text(config.read_text().replace("[events]", page + "[events]"))
    return port


def metrics_of(port: int) -> dict[str, float]:
    """Sums over all labels but the camera's, which follows the name."""
    request = Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urlopen(request, timeout=10) as reply:  # noqa: S310 - our own
        families = text_string_to_metric_families(reply.read().decode())
    sums: dict[str, float] = {}
    for sample in (sample for family in families for sample in family.samples):
        name = f"{sample.name} {sample.labels.get('camera', '')}".strip()
        sums[name] = sums.get(name, 0.0) + sample.value
    return sums


def check_metrics(told: dict[str, float], subscriber: Subscriber) -> None:
    """What can be known from outside."""
    for camera in ("table", "second"):
        judged = told[f"spillwatch_step_seconds_count {camera}"]
        assert 0 < judged <= told[f"spillwatch_frames_total {camera}"]
        assert told[f"spillwatch_scores_total {camera}"] > judged
        assert 0 < told[f"spillwatch_step_seconds_sum {camera}"] / judged < 1
        assert told[f"spillwatch_score_age_seconds {camera}"] < 2
        assert told[f"spillwatch_wells {camera}"] == len(
            {topic for topic, *_ in subscriber.received if topic.startswith(f"spillwatch/cast1/{camera}/")
             and topic.endswith("/state")}
        )  # fmt: skip
    raised = sum(value for name, value in told.items() if name.startswith("spillwatch_alarms_raised_total"))
    assert raised >= 2
    assert told["spillwatch_mqtt_connected"] == 1
    assert told["spillwatch_mqtt_published_total"] > told["spillwatch_wells table"]


def check_topics(subscriber: Subscriber, wells_file: Path) -> None:
    """The design's topics, and what was last said on them."""
    base = "spillwatch/cast1"
    first, last = (json.loads(subscriber.on(f"{base}/status")[i]) for i in (0, -1))
    assert (first["online"], last["online"]) == (True, False)
    assert {"online", "version", "since"} <= first.keys()
    wells = wellmap.load(wells_file)
    for camera in ("table", "second"):
        statuses = [json.loads(text) for text in subscriber.on(f"{base}/{camera}/status")]
        assert {"watching", "blind"} <= {status["state"] for status in statuses}
        assert statuses[-1]["reason"]
        for well in wells.ids:
            assert json.loads(subscriber.on(f"{base}/{camera}/{well}/state")[-1])["state"] == "watching"
    spill = next(e for e in events_of(subscriber) if e["condition"] == "spill")
    latest = json.loads(subscriber.on(f"{base}/{spill['camera']}/{spill['well']}/alarm")[-1])
    assert latest["well"] == spill["well"]


def test_a_daemon_without_cameras_starts_degraded_and_says_so(tmp_path: Path, broker: Broker) -> None:
    wells = tmp_path / "w.toml"
    wellmap.save(wells_of_one(), wells)
    config = configure(tmp_path, broker, ("table", "rtsp://127.0.0.1:9/cam", wells))
    with Subscriber(broker.port, "spillwatch/#") as subscriber, DaemonProcess(config, tmp_path) as daemon:
        wait_until(lambda: events_of(subscriber), within_s=20, what=daemon.log())
        (event,) = events_of(subscriber)
        assert (event["condition"], event["well"], event["active"]) == ("camera_lost", None, True)
        daemon.wait_ready()
        assert any(text.startswith("STATUS=degraded") for text in daemon.notified)
        assert "WATCHDOG=1" not in daemon.notified
        assert daemon.terminate() < 2


def wells_of_one() -> Any:
    from tests.support.simulated import wells

    return wells(1)


def test_a_daemon_whose_login_is_refused_watches_says_so_and_delivers_once_it_is_let_in(tmp_path: Path) -> None:
    wellmap.save(wells_of_one(), tmp_path / "w.toml")
    secret = tmp_path / "password"
    secret.write_text("wr0ng-one")
    secret.chmod(0o600)
    with Broker(tmp_path, passwords={"line": "right", "panel": "x"}) as refusing:
        config = configure(tmp_path, refusing, ("table", "rtsp://127.0.0.1:9/cam", tmp_path / "w.toml"))
        account = 'username = "line"\npassword_file = "password"\n[events]'
        config.write_text(config.read_text().replace("[events]", account))
        with DaemonProcess(config, tmp_path) as daemon:
            log = tmp_path / "events.jsonl"
            wait_until(lambda: log.exists() and log.read_text(), within_s=20, what=daemon.log())
            assert daemon.log().count("mqtt.refused") == 1
            said = "refused user 'line': not authorised; check mqtt.username and the password_file"
            assert said in daemon.log()
            wait_until(lambda: any(said in text for text in daemon.notified), within_s=20, what="the status line")
            with Subscriber(refusing.port, "spillwatch/#", account=("panel", "x")) as subscriber:
                secret.write_text("right")
                wait_until(lambda: events_of(subscriber), within_s=20)
            assert daemon.terminate() < 2
    (event,) = events_of(subscriber)
    assert (event["condition"], event["late"]) == ("camera_lost", True)
    assert "wr0ng-one" not in daemon.log()
    assert "Traceback" not in daemon.log()


def test_a_cameras_password_is_nowhere_to_be_read(tmp_path: Path, broker: Broker) -> None:
    word = "geheim-4711"
    wellmap.save(wells_of_one(), tmp_path / "w.toml")
    config = configure(tmp_path, broker, ("table", f"rtsp://eva:{word}@127.0.0.1:9/cam", tmp_path / "w.toml"))
    config.write_text(config.read_text() + '[log]\nlevel = "debug"\n')
    with Subscriber(broker.port, "spillwatch/#") as subscriber, DaemonProcess(config, tmp_path) as daemon:
        wait_until(lambda: events_of(subscriber), within_s=20, what=daemon.log())
        daemon.wait_ready()
        process = Path("/proc") / str(daemon.process.pid)
        told = [daemon.log(), *daemon.notified, *(text for _, text, _ in subscriber.received)]
        told += [(process / name).read_text(errors="replace") for name in ("cmdline", "environ", "comm")]
        daemon.terminate()
    told += [path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file()]
    told.append((tmp_path / "events.jsonl").read_text())
    assert "eva:***@" in daemon.log()
    assert not [text for text in told if word in text]
