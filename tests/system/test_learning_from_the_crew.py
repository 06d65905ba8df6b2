"""From an alarm that was judged to another model in force, over the real daemon, camera and broker."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.model import bundle as bundles
from spillwatch.records import evidence_path
from tests.support.page import TOKEN
from tests.support.site import Scene, Site
from tests.system.test_daemon_page import Visitor
from tests.unit.model.crops import write_data
from tests.unit.test_cli import spillwatch
from tests.unit.test_promoting import model, name
from tools.rig import free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tools.rig.daemon import DaemonProcess


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Scene(tmp_path))


def ok(*words: object) -> str:
    result = spillwatch(*words)
    assert result.exit_code == 0, result.output
    return result.stdout + result.stderr


def lessons(site: Site, kind: str) -> list[Path]:
    return sorted((site.folder / "state/learning" / kind).glob("*.png"))


def settle(site: Site, port: int, on_s: float = 0.35) -> None:
    token = site.folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    site.configure(
        *("[model]", 'path = "model.safetensors"', 'shadow = "candidate.safetensors"'),
        *("[evidence]", "enabled = true", "before_s = 2.0", "after_s = 2.0", "[state]", 'directory = "state"'),
        *("[page]", "enabled = true", f"port = {port}", 'token_file = "token"', "metrics = true"),
        on_s=on_s,
    )


def judged(site: Site, visitor: Visitor, alarm: str) -> None:
    """The crew says that it was false, then that it was true, then nothing, and at last that it was false."""

    def say(verdict: bool | None) -> None:
        assert visitor.post("/api/judgements", {"alarm": alarm, "verdict": verdict, "note": "a mirror"})["ok"]

    say(False)
    wait_until(lambda: len(lessons(site, "normal")) >= 4)
    say(True)
    wait_until(lambda: len(lessons(site, "spill")) >= 4 and not lessons(site, "normal"))
    say(None)
    wait_until(lambda: not lessons(site, "spill"))
    say(False)
    wait_until(lambda: len(lessons(site, "normal")) >= 4)
    stem = evidence_path(alarm).rpartition("/")[2]
    assert {path.name.rpartition("~")[0] for path in lessons(site, "normal")} == {stem}


def taught_by(site: Site, alarm: str) -> None:
    """A small model learns from the alarm, and says so."""
    data = write_data(site.folder / "wells")
    taught = site.folder / "taught.safetensors"
    words = ("train", "--data", data, "--extend", site.folder / "state", "--model", taught)
    count = len(lessons(site, "normal"))
    assert f"of the crew {count} normal crops of 1 alarms" in ok(*words)
    assert bundles.load(taught).taught["learnt"]["normal"] == [evidence_path(alarm).rpartition("/")[2]]


def compared(site: Site, visitor: Visitor, alarm: str) -> None:
    """The candidate is no worse once the crew says that the alarm was true."""
    said = ok("model", "compare", site.folder / "candidate.safetensors", "--config", site.config)
    assert "no true spill to find" in said, "the crew says that it was a mirror"
    refused = spillwatch("model", "promote", site.folder / "candidate.safetensors", "--config", site.config)
    assert (refused.exit_code, "--anyway" in refused.stderr) == (1, True)
    assert visitor.post("/api/judgements", {"alarm": alarm, "verdict": True, "note": "it was one"})["ok"]
    words = (site.folder / "candidate.safetensors", "--config", site.config, "--state", site.folder / "state")
    assert "no worse: it may be promoted" in ok("model", "compare", *words)
    found = json.loads((site.folder / "candidate.comparison.json").read_text())
    (seen,) = [each for each in found["said"] if each["where"] == "evidence"]
    assert (seen["what"], seen["true"], seen["live"], seen["candidate"]) == (alarm, True, True, True)
    assert [row["where"].split()[0] for row in found["watched"]] == ["evidence", "shadow"]
    page = (site.folder / "candidate.comparison.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")


def audit(site: Site) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(site.folder / "state/spillwatch.db")) as database:
        rows = [json.loads(payload)["request"] for (payload,) in database.execute("SELECT payload FROM audit")]
    return [row for row in rows if row["command"] == "model"]


@pytest.mark.timeout(400)  # a training, a daemon and two comparisons, also on a busy machine
def test_a_judged_alarm_teaches_a_candidate_that_is_watched_compared_promoted_and_taken_back(site: Site) -> None:
    live, candidate = (model(site.folder / f"{end}.safetensors", by) for end, by in (("model", 1), ("candidate", 1.05)))
    old, new = name(live), name(candidate)
    port = free_port()
    with site, ExitStack() as stack:
        settle(site, port)
        daemon: DaemonProcess = stack.enter_context(site.daemon())
        site.wait(lambda: site.events(condition="spill", active=True), daemon)
        event = site.events(condition="spill", active=True)[0]
        assert event["model"] == old
        alarm = event["id"].rpartition(".")[0]
        site.wait((site.folder / "state" / event["evidence"] / "crop-05.png").exists, daemon)
        visitor = Visitor(port, stack)
        visitor.until(lambda state: any(each["name"] == alarm for each in state["alarms"]))
        judged(site, visitor, alarm)

        taught_by(site, alarm)
        metrics = visitor._request("GET", "/metrics").read().decode()
        assert f'spillwatch_shadow_frames_total{{candidate="{new}"}}' in metrics

        site.wait((site.folder / "state" / event["evidence"] / "clip.mp4").exists, daemon)
        daemon.reload()  # so that what the shadow saw is written down
        compared(site, visitor, alarm)
        ok("model", "promote", candidate, "--config", site.config)
        daemon.reload()
        assert "daemon.model_changed" in daemon.log()
        assert "shadow.in_force" in daemon.log(), "nothing is left to compare"
        assert site.command(command="ack", well=event["well"], by="ann")["ok"]
        site.wait(lambda: site.events(condition="spill", acked=True), daemon)
        assert site.events(condition="spill", acked=True)[0]["model"] == old, "the one that raised it"
        assert site.events(condition="spill", acked=True)[0]["id"].startswith(alarm)
        assert new in ok("model", "list", "--config", site.config).splitlines()[0]

        ok("model", "rollback", "--config", site.config, "--reason", "it was a test")
        daemon.reload()
        assert [(row["model"], row["before"]) for row in audit(site)] == [(new, old), (old, new)]
        assert audit(site)[1]["reason"] == "it was a test"
        assert live.read_bytes() == model(site.folder / "again.safetensors", 1).read_bytes()
        assert daemon.terminate() < 3
    figures = json.loads((site.folder / f"state/shadow/{new}~{old}/figures.json").read_text())
    assert figures["frames"] > 20
    ids = [event["id"] for event in site.events()]
    assert len({event["seq"] for event in site.events()}) == len(ids), "none is lost and none comes twice"
