"""A site on a terminal, by what its broker says alone: for an engineer over ssh, away from the daemon's machine."""

from __future__ import annotations

import json
import queue
import re
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from spillwatch.errors import PublishError
from spillwatch.publish.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paho.mqtt.client import MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from spillwatch.config import Settings

Heard = queue.SimpleQueue[tuple[str, bytes] | PublishError]
"""Topics and payloads as they come, or why none do."""

SILENT_AFTER_S = 15.0
"""A camera's status is repeated every 5 s; when three have not come, nothing is known, and that is blindness."""
EVENTS = 12
_LOOK_S = 0.25
_GATHER_S = 1.0  # retained messages come at once; nothing says which one is the last
_MARKS = {"watching": "·", "obstructed": "o", "shelved": "s", "out_of_service": "–"}
_STYLES = {"unacknowledged": "bold white on red", "acknowledged": "red", "rtn_unacknowledged": "yellow"}
_DIM = "dim"


@dataclass(slots=True)
class Camera:
    """What is known of one camera: its latest status and its wells' states and alarms, as their JSON."""

    status: dict[str, Any] = field(default_factory=dict)
    heard_s: float | None = None  # the monotonic clock, when a status came
    wells: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarms: dict[str, dict[str, Any]] = field(default_factory=dict)  # by well, "" for the camera itself


class Site:
    """What a broker has said of one site. ``hear`` takes messages; nothing here waits or draws."""

    def __init__(self, base: str, *, since_s: float) -> None:
        self.base = base
        self.status: dict[str, Any] = {}
        self.cameras: dict[str, Camera] = {}
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self.strange = 0
        self._since_s = since_s

    def hear(self, topic: str, payload: bytes, *, now_s: float) -> None:
        """One message; what is no JSON object is counted in ``strange`` and left aside."""
        try:
            value = json.loads(payload)
        except (ValueError, RecursionError):  # brackets within brackets, by the thousand
            value = None
        if not isinstance(value, dict):
            self.strange += bool(payload)
            return
        match topic.removeprefix(self.base + "/").split("/"):
            case ["status"]:
                self.status = value
            case ["alarms"]:
                self.events.append(value)
            case [camera, "status"]:
                one = self._camera(camera)
                one.status, one.heard_s = value, now_s
            case [camera, "alarm"]:
                self._camera(camera).alarms[""] = value
            case [camera, well, "state"]:
                self._camera(camera).wells[well] = value
            case [camera, well, "alarm"]:
                self._camera(camera).alarms[well] = value

    def _camera(self, name: str) -> Camera:
        return self.cameras.setdefault(name, Camera())

    def verdict(self, name: str, *, now_s: float) -> tuple[str, str]:
        """A camera's state, and why: ``blind`` too when the daemon is gone or its heartbeat has expired."""
        camera = self.cameras[name]
        silent_s = now_s - (self._since_s if camera.heard_s is None else camera.heard_s)
        if self.status.get("online") is not True:
            return "blind", "spillwatch is offline"
        if silent_s > SILENT_AFTER_S:
            return "blind", f"no heartbeat for {silent_s:.0f} s"
        return str(camera.status.get("state", "unknown")), str(camera.status.get("reason") or "")

    def standing(self) -> list[dict[str, Any]]:
        """Alarms that are not back to normal, the worst and newest first."""
        every = (alarm for camera in self.cameras.values() for alarm in camera.alarms.values())
        order = {"high": 0, "medium": 1, "low": 2}
        found = sorted((a for a in every if a.get("state") != "normal"), key=lambda a: str(a.get("at")), reverse=True)
        return sorted(found, key=lambda a: (not a.get("active"), order.get(str(a.get("priority")), 3)))


def draw(site: Site, *, now_s: float, events: bool = True) -> Group:
    """The whole screen; ``events`` are those heard since it began, for the broker keeps none."""
    parts: list[Any] = [_headline(site)]
    parts += [_camera_panel(site, name, now_s=now_s) for name in sorted(site.cameras)]
    parts.append(_alarm_table("alarms", site.standing(), "none"))
    if events:
        parts.append(_alarm_table("news since this view was opened", [*site.events][::-1], "none"))
    return Group(*parts)


def _headline(site: Site) -> Text:
    if not site.status:
        return Text(f"{site.base}: nothing is known of it", style="bold white on red")
    if site.status.get("online") is not True:
        return Text(f"{site.base}: OFFLINE, no well is watched", style="bold white on red")
    degraded = "; ".join(map(str, site.status.get("degraded") or ()))
    text = Text(f"{site.base}: online since {site.status.get('since')}, version {site.status.get('version')}")
    return text.append(f"  {degraded}", style="yellow") if degraded else text


def _camera_panel(site: Site, name: str, *, now_s: float) -> Panel:
    state, why = site.verdict(name, now_s=now_s)
    camera = site.cameras[name]
    title = f"{name}: {state.upper() if state == 'blind' else state}" + (f", {why}" if why else "")
    style = {"watching": "none", "degraded": "yellow"}.get(state, "bold red")
    shown = Text()
    for row, wells in _rows(camera.wells):
        shown.append(f"{row:>4} ", style=_DIM)
        for well in wells:
            shown.append(*_mark(camera, well, blind=state == "blind"))
            shown.append(" ")
        shown.append("\n")
    fps = camera.status.get("fps")
    shown.append(f"{fps} frames a second" if fps is not None else "", style=_DIM)
    return Panel(shown, title=title, title_align="left", border_style=style)


def _mark(camera: Camera, well: str, *, blind: bool) -> tuple[str, str]:
    alarm = camera.alarms.get(well, {})
    if alarm.get("active") and alarm.get("condition") == "spill":
        return well, _STYLES.get(str(alarm.get("state")), _DIM)
    if alarm.get("state") == "rtn_unacknowledged":
        return well, _STYLES["rtn_unacknowledged"]
    if blind:
        return "?".center(len(well)), "bold red"
    state = str(camera.wells[well].get("state"))
    return _MARKS.get(state, "?").center(len(well)), "none" if state == "watching" else "yellow"


def _rows(wells: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Wells by the letters and number before their last number: 3L4 stands in row 3L."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for well in wells:
        match = re.fullmatch(r"(.*?)(\d*)", well)
        row, number = (match[1], match[2]) if match else (well, "")
        rows.setdefault(row, []).append((int(number or 0), well))
    return [(row, [well for _number, well in sorted(rows[row])]) for row in sorted(rows, key=_launder_order)]


def _launder_order(row: str) -> str:
    """Upper wells of a launder stand before its lower ones."""
    return row.translate(str.maketrans("UL", "12"))


def _alarm_table(title: str, alarms: list[dict[str, Any]], none: str) -> Table:
    table = Table("at", "camera", "well", "condition", "state", "", title=title, title_justify="left", box=None)
    for alarm in alarms:
        names = {"first_out": "first out", "flood": "flood", "late": "late", "test": "test"}
        remarks = ", ".join(text for key, text in names.items() if alarm.get(key))
        state = str(alarm.get("state"))
        cells = [str(alarm.get(key) or "") for key in ("at", "camera", "well", "condition")]
        table.add_row(*cells, state, remarks, style=_STYLES.get(state, _DIM))
    if not alarms:
        table.add_row(none, style=_DIM)
    return table


def view(settings: Settings, *, once: bool) -> None:
    """Show the site until interrupted, or ``once`` as it stands.

    Raises PublishError when the broker lets nobody in, and ``once`` when it says that spillwatch is not online.
    """
    heard: Heard = queue.SimpleQueue()
    site = Site(settings.base_topic, since_s=time.monotonic())
    console = Console()
    with suppress(KeyboardInterrupt), connected(settings, heard.put):
        if once:
            gather(site, heard)
            console.print(draw(site, now_s=time.monotonic(), events=False))
            check_online(site)
            return
        with Live(draw(site, now_s=time.monotonic()), console=console, screen=True, auto_refresh=False) as live:
            while True:
                _hear(site, heard, until_s=time.monotonic() + _LOOK_S)
                live.update(draw(site, now_s=time.monotonic()), refresh=True)


def gather(site: Site, heard: Heard) -> None:
    """Hear what the broker retains of the site."""
    _hear(site, heard, until_s=time.monotonic() + _GATHER_S)


def check_online(site: Site) -> None:
    """PublishError when the broker does not say that spillwatch is online: for scripts and health checks."""
    if site.status.get("online") is not True:
        raise PublishError(f"no spillwatch is online at this broker under {site.base}/; check that it runs")


def messages(heard: Heard, *, until_s: float) -> Iterator[tuple[str, bytes]]:
    """Topics and payloads as they come, until then (monotonic seconds). Raises what the connection has met."""
    while (left_s := until_s - time.monotonic()) > 0:
        try:
            item = heard.get(timeout=left_s)
        except queue.Empty:
            return
        if isinstance(item, PublishError):
            raise item
        yield item


def _hear(site: Site, heard: Heard, *, until_s: float) -> None:
    for topic, payload in messages(heard, until_s=until_s):
        site.hear(topic, payload, now_s=time.monotonic())


@contextmanager
def connected(settings: Settings, put: Callable[[tuple[str, bytes] | PublishError], None]) -> Iterator[Client]:
    """A client that hears all of the site, with a name of its own so that nobody is thrown out."""
    client = _client(settings, put)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _client(settings: Settings, put: Callable[[tuple[str, bytes] | PublishError], None]) -> Client:
    mqtt = settings.mqtt
    where = f"{mqtt.host}:{mqtt.resolved_port}"
    client = Client(CallbackAPIVersion.VERSION2, client_id="", protocol=MQTTProtocolVersion.MQTTv5)
    if mqtt.username:
        client.username_pw_set(mqtt.username, mqtt.password())
    if mqtt.tls:
        client.tls_set_context(tls_context(mqtt))

    def on_connect(_client: Client, _data: object, _flags: object, reason: ReasonCode, _more: Any) -> None:
        if reason.is_failure:
            put(
                PublishError(
                    f"the broker at {where} refused the login: {reason}; check mqtt.username and password_file"
                )
            )
            return
        _client.subscribe([(f"{settings.base_topic}/#", SubscribeOptions(qos=1))])

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        put((message.topic, bytes(message.payload)))

    client.on_connect = on_connect
    client.on_message = on_message
    try:
        client.connect(mqtt.host, mqtt.resolved_port, keepalive=mqtt.keepalive_s)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise PublishError(f"the broker at {where} cannot be reached: {reason}; check mqtt.host and mqtt.port") from exc
    return client
