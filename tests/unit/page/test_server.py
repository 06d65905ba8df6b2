"""The page over HTTP, as a browser or an attacker asks it."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from spillwatch.config import PageSettings
from spillwatch.errors import PublishError
from spillwatch.page.server import Page
from tests.support.page import TOKEN, DrawnSite, Served

if TYPE_CHECKING:
    from pathlib import Path

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "path", ["/api/events", "/api/plans", "/api/cameras/table/picture", "/api/cameras/table/wells"]
)
def test_strangers_are_told_nothing(served: Served, path: str) -> None:
    reply, body = served.ask("GET", path, Cookie="")
    assert reply.status == 401
    assert b"table" not in body


def test_a_stranger_is_shown_the_form(served: Served) -> None:
    for path in ("/", "/wells"):
        reply, _ = served.ask("GET", path, Cookie="")
        assert (reply.status, reply.headers["Location"]) == (303, "login")


def test_a_wrong_token_is_refused_and_takes_its_time(served: Served) -> None:
    start_s = time.monotonic()
    reply, body = served.ask("POST", "/login", "name=Eve&token=0123456789abcdeX", kind=FORM)
    assert reply.status == 403
    assert b"This token is wrong" in body
    assert "Set-Cookie" not in reply.headers
    assert time.monotonic() - start_s > 0.9


def test_a_form_from_another_site_is_refused_even_with_the_token(served: Served) -> None:
    reply, _ = served.ask("POST", "/login", f"name=Eve&token={TOKEN}", kind=FORM, Origin="http://evil.example")
    assert reply.status == 403


def test_the_cookie_is_for_this_page_alone(served: Served) -> None:
    reply, _ = served.ask("POST", "/login", f"name=Anna&token={TOKEN}", kind=FORM)
    cookie = reply.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_every_answer_shuts_the_browsers_other_doors(served: Served) -> None:
    for path in ("/", "/login", "/static/main.js", "/api/plans", "/nothing"):
        reply, _ = served.ask("GET", path)
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in reply.headers


def test_the_page_loads_nothing_from_outside(served: Served) -> None:
    _, page = served.ask("GET", "/")
    for name in ("main.js", "words.js", "page.css", "wells.html"):
        page += served.ask("GET", f"/static/{name}")[1]
    outside = [part for part in page.decode().split("http")[1:] if not part.startswith("://www.w3.org/2000/svg")]
    assert [part[:30] for part in outside if part.startswith(("://", "s://"))] == []


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/../../config.py"])
def test_only_the_pages_own_files_are_served(served: Served, path: str) -> None:
    assert served.ask("GET", path)[0].status == 404


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": ""}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_another_site_cannot_acknowledge(served: Served, headers: dict[str, str]) -> None:
    served.site.alarm("3L4")
    command = {"command": "ack", "camera": "table", "well": "3L4"}
    assert served.post("/api/commands", command, **headers)[0] == 403
    reply, _ = served.ask("POST", "/api/commands", json.dumps(command), kind="text/plain")
    assert reply.status == 403
    assert served.site.asked == []


def test_a_command_names_who_gave_it(served: Served) -> None:
    served.site.alarm("3L4")
    status, answer = served.post("/api/commands", {"command": "ack", "camera": "table", "well": "3L4"})
    assert (status, answer["ok"]) == (200, True)
    assert served.site.asked == [{"command": "ack", "camera": "table", "well": "3L4", "by": "Anna"}]


def test_nobody_can_speak_in_anothers_name(served: Served) -> None:
    status, answer = served.post("/api/commands", {"command": "ack", "camera": "table", "well": None, "by": "Bob"})
    assert status == 400
    assert "by" in answer["refused"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"command": "shelve", "camera": "table", "well": "3L4", "for_s": 60}, "say why"),
        ({"command": "shelve", "camera": "table", "well": "3L4", "reason": "x"}, "say for how long"),
        ({"command": "out_of_service", "camera": "table", "well": "3L4", "reason": " "}, "say why"),
        ({"command": "shelve", "camera": "table", "well": "3L4", "reason": "x", "for_s": 1e9}, "for_s"),
        ({"command": "dance", "camera": "table", "well": "3L4"}, "command"),
    ],
)
def test_what_lacks_a_reason_or_a_time_is_one_sentence(served: Served, command: dict[str, Any], said: str) -> None:
    status, answer = served.post("/api/commands", command)
    assert (status, answer["ok"]) == (400, False)
    assert said in answer["refused"]
    assert served.site.asked == []


def test_a_body_without_end_is_not_read(served: Served) -> None:
    assert served.post("/api/commands", {"command": "ack", "camera": "x" * 400_000, "well": None})[0] == 400


def test_an_alarm_is_judged_under_its_name(served: Served) -> None:
    name = served.site.alarm("3L4").id.rpartition(".")[0]
    assert served.post("/api/judgements", {"alarm": name, "verdict": False, "note": "steam"})[0] == 200
    assert served.site.judged == [{"alarm": name, "verdict": False, "note": "steam", "by": "Anna"}]
    assert served.post("/api/judgements", {"alarm": "unknown", "verdict": True})[0] == 409


def test_the_picture_is_small_and_says_where_the_wells_are(served: Served) -> None:
    reply, jpeg = served.ask("GET", "/api/cameras/table/picture")
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] <= 1280
    assert reply.headers["X-Size"] == "1280,800"
    assert reply.headers["X-Shift"] == "3.00,-2.00"
    assert len(jpeg) < 200_000


def test_unknown_cameras_have_no_picture(served: Served) -> None:
    assert served.ask("GET", "/api/cameras/nope/picture")[0].status == 204
    assert served.ask("GET", "/api/cameras/nope/wells")[0].status == 404


def test_the_wells_file_is_kept_when_it_is_changed(served: Served) -> None:
    told = json.loads(served.ask("GET", "/api/cameras/table/wells")[1])
    keys = ("id", "x", "y", "width", "height", "out_of_service")
    inside = [well for well in told["wells"] if 60 < well["x"] < 1220]
    rows = [{"was": well["id"], **{key: well[key] for key in keys}} for well in inside]
    rows[0]["id"] = "renamed"
    address = "/api/cameras/table/wells"
    status, answer = served.post(address, {"digest": told["digest"], "wells": rows})
    assert (status, answer["ok"]) == (200, True), answer
    assert ".bak-" in answer["request"]["backup"]
    status, answer = served.post(address, {"digest": told["digest"], "wells": rows})
    assert status == 409
    assert "changed by somebody else" in answer["refused"]


def test_a_stream_tells_the_state_its_changes_and_a_heartbeat(served: Served) -> None:
    connection = HTTPConnection("127.0.0.1", served.page.port, timeout=5)
    connection.request("GET", "/api/events", headers={"Cookie": served.cookie})
    stream = connection.getresponse()
    events = _events(stream)
    assert next(events) == ("hello", {"user": "Anna"})
    assert next(events)[0] == "state"
    start_s = time.monotonic()
    assert next(event for event in events if event[0] == "beat")[1]["age_s"] == 0
    assert next(event for event in events if event[0] == "beat")
    assert time.monotonic() - start_s < 1.5
    served.site.alarm("3L4")
    state = next(event for event in events if event[0] == "state")[1]
    assert [alarm["well"] for alarm in state["alarms"]] == ["3L4"]
    connection.close()


def _events(stream: Any) -> Any:
    name = ""
    for line in stream:
        key, _, value = line.decode().strip().partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)


def test_the_page_leaves_at_once_although_somebody_listens(tmp_path: Path) -> None:
    with Served(DrawnSite(tmp_path), tmp_path) as served:
        connection = HTTPConnection("127.0.0.1", served.page.port, timeout=5)
        connection.request("GET", "/api/events", headers={"Cookie": served.cookie})
        connection.getresponse().readline()
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 1.5
    connection.close()


def test_a_taken_port_is_one_sentence(served: Served, tmp_path: Path) -> None:
    settings = PageSettings(enabled=True, port=served.page.port, token_file=tmp_path / "token")
    with pytest.raises(PublishError, match=r"cannot listen on 127.0.0.1 port .* choose another page.port"):
        Page(settings, served.site, version="0").__enter__()


def test_a_user_whom_the_proxy_names_needs_no_form(tmp_path: Path) -> None:
    with Served(DrawnSite(tmp_path), tmp_path, user_header="X-Remote-User") as served:
        served.site.alarm("3L4")
        command = {"command": "ack", "camera": "table", "well": "3L4"}
        assert served.post("/api/commands", command, Cookie="", X_Remote_User="Boris")[0] == 200
        assert served.site.asked[0]["by"] == "Boris"
        assert served.post("/api/commands", command, Cookie="", X_Remote_User="")[0] == 401


def test_a_report_brings_its_own_style_and_nothing_else(served: Served) -> None:
    reply, page = served.ask("GET", "/report/8h")
    assert (reply.status, b"since 8h" in page) == (200, True)
    policy = reply.headers["Content-Security-Policy"]
    assert "style-src 'unsafe-inline'" in policy
    assert "script-src" not in policy
    assert reply.headers["X-Frame-Options"] == "DENY"


def test_a_report_that_cannot_be_made_says_why(served: Served) -> None:
    reply, said = served.ask("GET", "/report/7d")
    assert (reply.status, b"there is no history" in said) == (409, True)
    assert served.ask("GET", "/report/1s")[0].status == 404
