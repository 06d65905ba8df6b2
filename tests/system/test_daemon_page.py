"""The page over the real daemon: what people do there happens in the loop, and stays."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from spillwatch.wells import wellmap
from tests.support.page import TOKEN
from tests.support.simulated import wells
from tools.rig import free_port
from tools.rig.daemon import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse
    from pathlib import Path

OFF = "rtsp://127.0.0.1:9/cam"


def configure(folder: Path, port: int) -> Path:
    wellmap.save(wells(3), folder / "w.toml")
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    path = folder / "config.toml"
    path.write_text(
        f'[mqtt]\nenabled = false\n[page]\nenabled = true\nport = {port}\ntoken_file = "token"\n'
        f'[[cameras]]\nid = "table"\nkind = "rtsp"\nurl = "{OFF}"\nwells = "w.toml"\n'
    )
    return path


class Visitor:
    """Somebody who has logged in and listens."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self._port = port
        self._stack = stack
        self._cookie = ""
        reply = self._request("POST", "/login", f"name=Anna&token={TOKEN}", "application/x-www-form-urlencoded")
        self._cookie = reply.headers["Set-Cookie"].partition(";")[0]
        self.states = self._listen()

    def _request(self, method: str, path: str, body: str | None = None, kind: str = "application/json") -> HTTPResponse:
        connection = self._stack.enter_context(closing(HTTPConnection("127.0.0.1", self._port, timeout=15)))
        headers = {"Origin": f"http://127.0.0.1:{self._port}", "Content-Type": kind, "Cookie": self._cookie}
        connection.request(method, path, body, headers)
        return self._stack.enter_context(closing(connection.getresponse()))

    def get(self, path: str) -> Any:
        return json.loads(self._request("GET", path).read())

    def read(self, path: str) -> str:
        return self._request("GET", path).read().decode()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return json.loads(self._request("POST", path, json.dumps(body)).read())

    def _listen(self) -> Iterator[dict[str, Any]]:
        name = ""
        for line in self._request("GET", "/api/events"):
            key, _, value = line.decode().strip().partition(": ")
            name = value if key == "event" else name
            if key == "data" and name == "state":
                yield json.loads(value)

    def until(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        return next(state for state in self.states if holds(state))


def test_the_page_acknowledges_judges_shelves_and_edits_wells_of_a_running_daemon(tmp_path: Path) -> None:
    port = free_port()
    config = configure(tmp_path, port)
    with DaemonProcess(config, tmp_path) as daemon, ExitStack() as stack:
        daemon.wait_ready()
        visitor = Visitor(port, stack)
        state = visitor.until(lambda state: state["alarms"])
        (alarm,) = state["alarms"]
        assert (alarm["condition"], alarm["state"]) == ("camera_lost", "unacknowledged")
        assert state["cameras"][0]["state"] == "blind"

        assert visitor.post("/api/commands", {"command": "ack", "camera": "table", "well": None})["ok"]
        (alarm,) = visitor.until(lambda state: state["alarms"][0]["acked"])["alarms"]
        assert (alarm["state"], alarm["by"]) == ("acknowledged", "Anna")

        assert visitor.post("/api/judgements", {"alarm": alarm["name"], "verdict": True, "note": "кабель"})["ok"]
        shelve = {"command": "shelve", "camera": "table", "well": "2", "reason": "steam", "for_s": 60}
        assert visitor.post("/api/commands", shelve)["ok"]
        (aside,) = visitor.until(lambda state: state["suppressed"])["suppressed"]
        assert (aside["well"], aside["by"], aside["reason"]) == ("2", "Anna", "steam")
        assert "no well" in visitor.post("/api/commands", {"command": "ack", "camera": "table", "well": "9"})["refused"]

        told = visitor.get("/api/cameras/table/wells")
        keys = ("id", "x", "y", "width", "height", "out_of_service")
        rows = [{"was": well["id"], **{key: well[key] for key in keys}} for well in told["wells"]]
        rows[2]["id"] = "door"
        answer = visitor.post("/api/cameras/table/wells", {"digest": told["digest"], "wells": rows})
        assert answer["ok"], answer
        visitor.until(lambda state: state["editions"]["table"] == 2)
        (plan,) = visitor.get("/api/plans")
        assert [well["id"] for well in plan["wells"]] == ["1", "2", "door"]
        report = visitor.read("/report/8h")
        assert "Shift report: line" in report
        assert "camera lost" in report
        assert daemon.terminate() < 3

    with DaemonProcess(config, tmp_path) as daemon, ExitStack() as stack:
        daemon.wait_ready()
        state = Visitor(port, stack).until(lambda state: state["alarms"])
        assert [alarm["state"] for alarm in state["alarms"]] == ["acknowledged"], "as before the restart"
        assert [item["well"] for item in state["suppressed"]] == ["2"]
        assert daemon.terminate() < 3
    with closing(sqlite3.connect(tmp_path / "state/spillwatch.db")) as database:
        assert database.execute("SELECT alarm, verdict, note, by FROM judgements").fetchall() == [
            (alarm["name"], 1, "кабель", "Anna")
        ]
