"""What survives: the daemon killed, its disk full, its broker gone, in the midst of alarms."""

from __future__ import annotations

import itertools
import json
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from spillwatch.store.reading import Past
from tests.support.site import BASE, Scene, Site
from tests.support.supervisor import Supervisor
from tools.rig import wait_until
from tools.rig.disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def site(tmp_path: Path, scene: Scene) -> Iterator[Site]:
    with Site(tmp_path, scene) as running:
        yield running


def spills(site: Site, **wanted: Any) -> list[dict[str, Any]]:
    return site.events(condition="spill", **wanted)


def test_a_daemon_killed_again_and_again_during_an_alarm_comes_back_with_the_same_alarm(site: Site) -> None:
    well = site.scene.well
    with site.daemon() as daemon:
        site.wait(lambda: spills(site, active=True), daemon)
        assert site.command(command="ack", well=well, by="ann")["ok"]
        shelf = site.command(command="shelve", well="1U1", by="ann", reason="sampling", for_s=600)
        assert shelf["ok"], shelf
        for _ in range(3):
            daemon.kill()
            heard = len(site.said("table/status"))
            daemon.start()
            site.wait(lambda: "watching" in {s["state"] for s in site.said("table/status")[heard:]}, daemon)  # noqa: B023
            time.sleep(0.5)
        time.sleep(4)  # longer than the off-delay
        now = datetime.now(UTC)
        kept = Past(site.folder / "state").events(now - timedelta(hours=1), now)
        assert [event.seq for event in kept] == [event["seq"] for event in site.events()]  # read beside the daemon
        assert daemon.terminate() < 2
    told = spills(site, well=well)
    assert [(event["well"], event["state"], event["active"]) for event in told] == [
        (well, "unacknowledged", True),
        (well, "acknowledged", True),
    ]
    assert [json.loads(text)["state"] for text in site.subscriber.on(f"{BASE}/table/1U1/state")][-1] == "shelved"
    seqs = [event["seq"] for event in site.events()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_events_of_a_broker_that_is_away_come_late_in_order_after_what_holds_now(site: Site) -> None:
    with site.daemon() as daemon:
        site.wait(lambda: spills(site, active=True), daemon)
        site.wait(lambda: site.said(f"table/{site.scene.well}/alarm"), daemon)
        site.broker.stop()
        site.camera.kill()
        time.sleep(3.5)
        daemon.kill()  # what is not delivered must also outlive the daemon
        heard = len(site.subscriber.received)
        daemon.start()
        site.camera.start()
        time.sleep(1.5)
        site.broker.start()
        site.wait(lambda: site.events(condition="camera_lost", active=False), daemon)
        assert daemon.terminate() < 2
    seqs = [event["seq"] for event in site.events()]
    assert seqs == list(range(1, len(seqs) + 1))
    (lost,) = site.events(condition="camera_lost", active=True)
    assert lost["late"]
    topics = [topic for topic, _, _ in site.subscriber.received[heard:]]
    assert topics[-len(topics)] != f"{BASE}/alarms"
    assert topics.index(f"{BASE}/table/alarm") < topics.index(f"{BASE}/alarms")


def test_a_full_disk_is_told_costs_no_alarm_and_is_made_up_for(site: Site, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk, site.daemon(STATE_DIRECTORY=str(disk)) as daemon:
        site.wait(lambda: spills(site, active=True), daemon)
        ballast = fill(disk)
        site.wait(lambda: site.events(condition="storage", active=True), daemon)
        site.wait(lambda: "history" in site.said("status")[-1]["degraded"], daemon)
        for number in itertools.count():  # until what SQLite had in hand is used up, too
            assert site.command(command="shelve", well="1U1", by="ann", reason="x" * 400, for_s=1 + number)["ok"]
            if "storage" in site.said("status")[-1]["degraded"]:
                break
            assert number < 900
        assert site.command(command="ack", well=site.scene.well, by="ann")["ok"]
        site.wait(lambda: spills(site, state="acknowledged"), daemon)
        ballast.unlink()
        site.wait(lambda: site.said("status")[-1]["degraded"] == [], daemon)
        site.wait(lambda: site.events(condition="storage", active=False), daemon)
        daemon.kill()
        with closing(sqlite3.connect(disk / "spillwatch.db")) as connection:
            history = [row[0] for row in connection.execute("SELECT seq FROM history ORDER BY seq")]
        assert history == [event["seq"] for event in site.events()]
        assert '"event": "store.recovered"' in daemon.log()


def test_a_command_is_kept_in_the_audit_log_with_who_and_why_and_what_became_of_it(site: Site, tmp_path: Path) -> None:
    with site.daemon() as daemon:
        daemon.wait_ready()
        assert site.command(command="shelve", well="1U1", by="ann", reason="sampling", for_s=60)["ok"]
        refused = site.command(command="shelve", well="1U9z", by="ann", reason="sampling")
        assert "there is no well '1U9z'" in refused["refused"]
        assert site.command(command="ack", camera="-", well=None, by="ann")["refused"]
        assert daemon.terminate() < 2
    with closing(sqlite3.connect(tmp_path / "state/spillwatch.db")) as connection:
        kept = [json.loads(row[0]) for row in connection.execute("SELECT payload FROM audit ORDER BY number")]
    assert kept == site.said("cmd/result")
    assert (kept[0]["request"]["by"], kept[0]["request"]["reason"], kept[0]["ok"]) == ("ann", "sampling", True)
    (state,) = [s for s in site.said("table/1U1/state") if s["state"] == "shelved"]
    assert state["since"]


def test_a_reload_takes_up_what_is_good_refuses_what_is_not_and_loses_no_alarm(site: Site) -> None:
    with site.daemon() as daemon:
        site.wait(lambda: spills(site, active=True), daemon)
        site.configure(on_s=0.5)
        daemon.reload()
        assert any("RELOADING=1" in text and "MONOTONIC_USEC=" in text for text in daemon.notified)
        site.configure(cameras=("table", "second"))
        daemon.reload()
        site.wait(lambda: "watching" in {status["state"] for status in site.said("second/status")}, daemon)
        good = site.config.read_text()
        cv2.imwrite(str(site.folder / "dot.png"), np.zeros((1, 1), np.uint8))  # OpenCV throws over it
        odd = site.folder / "odd.wells.toml"
        odd.write_text(f'reference = "dot.png"\n{site.scene.wells.read_text()}')
        faulty = ('site = "other"', "[detection]\non_s = -1", good.replace(str(site.scene.wells), str(odd)))
        for times, broken in enumerate(faulty, start=1):
            site.config.write_text(broken)
            daemon.reload()
            assert daemon.log().count("daemon.reload_refused") == times
            assert any("reload refused" in text for text in daemon.notified)
            site.config.write_text(good)
        site.configure()
        daemon.reload()
        gone = ("blind", "the camera is no longer configured")
        site.wait(lambda: gone in [(said["state"], said["reason"]) for said in site.said("second/status")], daemon)
        states = {camera: f"{BASE}/{camera}/{site.scene.well}/state" for camera in ("table", "second")}
        assert site.subscriber.on(states["second"])[-1] == ""  # nothing stands that says it is watched
        assert json.loads(site.subscriber.on(states["table"])[-1])["state"] == "watching"
        time.sleep(4)  # longer than the off-delay
        assert daemon.terminate() < 2
    assert [event["active"] for event in spills(site, camera="table")] == [True]
    assert [event["active"] for event in spills(site, camera="second")] in ([], [True, False])
    assert not site.events(condition="camera_lost")


_WEDGED = """
import sys, threading
from pathlib import Path
from spillwatch.watch.pipeline import Pipeline
see, wedge = Pipeline.see, Path(sys.argv.pop(1))
def stuck(self, item):
    if wedge.exists():
        wedge.unlink()
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    return see(self, item)
Pipeline.see = stuck
from spillwatch.cli import main
main()
"""


def test_a_pipeline_that_hangs_is_killed_by_the_watchdog_and_comes_back_with_its_alarm(
    site: Site, tmp_path: Path
) -> None:
    wedge = tmp_path / "wedge"
    program = [sys.executable, "-c", _WEDGED, wedge, "run", "--config", site.config]
    with Supervisor(program, tmp_path, watchdog_s=2) as supervisor:
        wait_until(lambda: spills(site, active=True), within_s=30)
        wait_until(lambda: supervisor.ready == 1)
        assert supervisor.kills == 0
        wedge.touch()
        wait_until(lambda: supervisor.kills == 1, within_s=10)
        wait_until(lambda: supervisor.ready == 2, within_s=30)
        time.sleep(4)  # longer than the off-delay
        assert supervisor.kills == 1
        assert "in stuck" in supervisor.log()  # where it hung
    assert [event["active"] for event in spills(site)] == [True]
