"""Proof of watching, on a real camera stream and a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.model import bundle as bundles
from tests.conftest import ROOT
from tests.support.asyncapi import Contract
from tests.support.site import BASE, FPS, Scene, Site
from tools.rig import program, wait_until
from tools.rig.broker import Relay
from tools.rig.rtsp import RtspServer, annex_b

if TYPE_CHECKING:
    from pathlib import Path

EVERY_S = 20
SELF_TEST = ("[self_test]", "enabled = true", f"every_s = {EVERY_S}", "timeout_s = 6")


class Calm(Scene):
    """A clip in which nothing spills at first; ``onset_s`` is when the well does."""

    def __init__(self, folder: Path) -> None:
        video, part = folder / "line.mp4", folder / "part.mp4"
        size = ("--size", "640x400", "--seconds", "24", "--spills", "1", "--spill-s", "16", "--seed", "5")
        subprocess.run([sys.executable, ROOT / "tools/simulate_line.py", video, *size], check=True, capture_output=True)
        (spill,) = json.loads(video.with_suffix(".json").read_text())["spills"]
        self.well, self.onset_s = spill["well"], spill["start_s"]
        cut = [program("ffmpeg"), "-v", "error", "-t", str(self.onset_s - 0.2), "-i", video, part]
        subprocess.run(cut, check=True)
        self.wells = video.with_suffix(".wells.toml")
        self.stream = annex_b(part, folder / "part.h264")
        self.whole = annex_b(video, folder / "whole.h264")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    return Calm(tmp_path_factory.mktemp("calm"))


def last_test(site: Site) -> dict[str, Any] | None:
    statuses = site.said("table/status")
    return statuses[-1]["self_test"] if statuses else None


def order(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spillwatch", "self-test", "--config", str(site.config), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_passes_on_schedule_and_alarms_when_the_broker_swallows_it(tmp_path: Path, calm: Calm) -> None:
    with Site(tmp_path, calm) as site, Relay(site.broker.port) as relay:
        site.configure(*SELF_TEST)
        site.config.write_text(site.config.read_text().replace(f"port = {site.broker.port}", f"port = {relay.port}"))
        with site.daemon() as daemon:
            site.wait(lambda: (last_test(site) or {}).get("ok"), daemon)
            passed = last_test(site)
            assert passed
            marked = site.events(test=True)
            assert [event["id"].rpartition(".")[2] for event in marked] == ["1", "2"]
            assert [(e["well"], e["condition"], e["active"]) for e in marked] == [
                (passed["well"], "spill", True), (passed["well"], "spill", False),
            ]  # fmt: skip
            assert passed["delivery_ms"] < passed["delay_ms"] < 6000
            assert "self-test passed" in marked[1]["reason"]
            assert site.said(f"table/{passed['well']}/alarm") == []  # a test is nobody's latest alarm

            asked = order(site, "--by", "ann")
            assert asked.returncode == 0, asked.stderr
            assert "passed" in asked.stdout
            assert len({event["well"] for event in site.events(test=True)}) == 2  # one well after another

            relay.mute()
            failed = [lambda: "the self-test failed" in daemon.notified[-1], lambda: "self_test_failed" in daemon.log()]
            site.wait(lambda: all(holds() for holds in failed), daemon)
            done = [json.loads(line) for line in daemon.log().splitlines() if '"self_test.done"' in line]
            assert (done[-1]["ok"], "broker" in done[-1]["reason"]) == (False, True)
            relay.cut()
            site.wait(lambda: len(site.events(condition="self_test_failed")) == 2, daemon)
            first, second = site.events(condition="self_test_failed")
            assert (first["active"], first["priority"], first["well"], first["test"]) == (True, "high", None, False)
            assert (second["active"], second["reason"].endswith("passed")) == (False, True)
            assert (last_test(site) or {})["ok"] is True
            daemon.terminate()
        told = [message for message in site.subscriber.received if "/cmd/result/" not in message[0]]
        Contract(BASE).check(told)
    assert not site.events(condition="spill", test=False)
    seqs = [event["seq"] for event in site.events()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_it_alarms_when_the_detector_is_deaf(tmp_path: Path, calm: Calm) -> None:
    bundle = bundles.load(bundles.default_path())
    raised = {name: 1e6 * value for name, value in bundle.spill_quantiles.items()}
    bundles.save(replace(bundle, threshold=1e5, spill_quantiles=raised), tmp_path / "deaf.safetensors")
    with Site(tmp_path, calm) as site:
        site.configure("[self_test]", "timeout_s = 3", "[model]", 'path = "deaf.safetensors"')
        with site.daemon() as daemon:
            daemon.wait_ready()
            site.wait(lambda: "watching" in {s["state"] for s in site.said("table/status")}, daemon)
            asked = order(site, "--camera", "table", "--well", calm.well)
            assert asked.returncode == 1
            assert f"well {calm.well}: the self-test failed: the painted spill was not found within 3 s" in asked.stderr
            site.wait(lambda: site.events(condition="self_test_failed", active=True), daemon)
            assert site.said("table/status")[-1]["reason"] == "the self-test failed"
            unknown = order(site, "--well", "9Z9")
            assert (unknown.returncode, "there is no well '9Z9'" in unknown.stderr) == (1, True)
            daemon.terminate()
    assert site.events(test=True) == []


def test_a_real_spill_in_the_well_under_test_is_raised_as_real(tmp_path: Path, calm: Calm) -> None:
    with Site(tmp_path, calm) as site, RtspServer(calm.whole, fps=FPS) as camera:
        site.camera = camera
        site.configure("[self_test]", "timeout_s = 30", on_s=5.0)
        with site.daemon() as daemon:
            site.wait(lambda: "watching" in {s["state"] for s in site.said("table/status")}, daemon)
            time.sleep(max(0.0, calm.onset_s - 3))
            assert site.command(command="self_test", well=calm.well, by="ann")["ok"]
            again = site.command(command="self_test", well=calm.well, by="ann")
            assert again["refused"] == f"a self-test of well {calm.well} is under way"
            site.wait(lambda: site.events(well=calm.well, test=False, condition="spill"), daemon)
            site.wait(lambda: (last_test(site) or {}).get("ok"), daemon)
            daemon.terminate()
    (real,) = site.events(test=False, active=True)
    assert real["first_out"]
    marked = site.events(test=True, active=True)
    assert [event["well"] for event in marked] == [calm.well]
    (standing,) = {event["id"] for event in site.said(f"table/{calm.well}/alarm") if event["active"]}
    assert standing == real["id"]


def test_a_blind_camera_is_not_tested_and_says_why(tmp_path: Path, calm: Calm) -> None:
    with Site(tmp_path, calm) as site:
        site.camera.kill()
        site.configure(*SELF_TEST)
        with site.daemon() as daemon:
            site.wait(lambda: last_test(site), daemon)
            told = last_test(site)
            assert told
            assert (told["ok"], told["well"]) == (None, None)
            assert told["reason"] == site.said("table/status")[-1]["reason"]
            asked = order(site)
            assert asked.returncode == 1
            assert "self_test of camera table is refused" in asked.stderr
            wait_until(lambda: site.events(condition="camera_lost"))
            daemon.terminate()
    assert {event["condition"] for event in site.events()} == {"camera_lost"}
