"""What a site looks like on a terminal, from messages alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from spillwatch.viewing import SILENT_AFTER_S, Site, draw

BASE = "spillwatch/line"


def told(*messages: tuple[str, dict[str, Any]], at_s: float = 0.0) -> Site:
    site = Site(BASE, since_s=0.0)
    for topic, payload in messages:
        site.hear(f"{BASE}/{topic}", json.dumps(payload).encode(), now_s=at_s)
    return site


def text(site: Site, *, now_s: float = 1.0, events: bool = True) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(draw(site, now_s=now_s, events=events))
    return captured.get()


ONLINE = ("status", {"online": True, "version": "1", "since": "2026-11-24T10:00:00Z"})
WATCHING = ("cam1/status", {"camera": "cam1", "state": "watching", "reason": None, "fps": 12.5})


def well(name: str, state: str = "watching") -> tuple[str, dict[str, Any]]:
    return f"cam1/{name}/state", {"camera": "cam1", "well": name, "state": state}


def spill(name: str, state: str = "unacknowledged", **more: Any) -> tuple[str, dict[str, Any]]:
    alarm = {"well": name, "camera": "cam1", "condition": "spill", "state": state, "priority": "high", "at": "10:00"}
    return f"cam1/{name}/alarm", {**alarm, "active": state.endswith("acknowledged") and state[0] != "r", **more}


def test_wells_stand_in_rows_upper_before_lower_and_spills_by_name() -> None:
    shown = text(told(ONLINE, WATCHING, *(well(name) for name in ("1L10", "1U1", "1L2", "1L1")), spill("1L2")))
    lines = [line.strip("│ ").split() for line in shown.splitlines()]
    assert ["1U", "·"] in lines
    assert ["1L", "·", "1L2", "·"] in lines
    assert "cam1: watching" in shown


def test_a_spill_is_listed_before_what_returned_and_first_out_is_said() -> None:
    site = told(ONLINE, WATCHING, spill("1L2", "rtn_unacknowledged"), spill("1L3", first_out=True))
    assert [alarm["well"] for alarm in site.standing()] == ["1L3", "1L2"]
    assert "first out" in text(site)


def test_news_are_those_of_this_view_and_a_single_look_has_none() -> None:
    site = told(ONLINE, WATCHING, spill("1L2"))
    shown = text(site)
    assert "news since this view was opened" in shown
    assert "none" in shown.splitlines()[-1]
    assert "news" not in text(site, events=False)


def test_normal_alarms_are_not_listed() -> None:
    assert told(spill("1L2", "normal")).standing() == []


def test_a_site_that_is_offline_is_blind_whatever_its_cameras_said() -> None:
    site = told(WATCHING, ("status", {"online": False, "version": "1", "since": None}))
    assert site.verdict("cam1", now_s=1.0) == ("blind", "spillwatch is offline")
    assert "OFFLINE, no well is watched" in text(site)


def test_no_well_of_a_blind_camera_looks_watched() -> None:
    dark = ("cam1/status", {"camera": "cam1", "state": "blind", "reason": "camera dark", "fps": 12.5})
    shown = text(told(ONLINE, dark, well("1L1"), well("1L2")))
    assert "cam1: BLIND, camera dark" in shown
    assert ["1L", "?", "?"] in [line.strip("│ ").split() for line in shown.splitlines()]


def test_an_expired_heartbeat_is_blindness() -> None:
    site = told(ONLINE, WATCHING)
    assert site.verdict("cam1", now_s=SILENT_AFTER_S - 1)[0] == "watching"
    assert site.verdict("cam1", now_s=SILENT_AFTER_S + 1) == ("blind", "no heartbeat for 16 s")


@pytest.mark.parametrize("payload", [b"\xff", b"[1]", b"{", b"null"])
def test_what_is_no_message_is_counted_and_left_aside(payload: bytes) -> None:
    site = Site(BASE, since_s=0.0)
    site.hear(f"{BASE}/status", payload, now_s=0.0)
    assert (site.strange, site.status) == (1, {})
