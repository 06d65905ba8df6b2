"""A small real site for the operators' page: a drawn table, alarms on command, and all that was asked of it."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np

from spillwatch.config import PageSettings
from spillwatch.errors import SpillwatchError
from spillwatch.page.base import Plan, Sighting
from spillwatch.page.server import Page
from spillwatch.pictures import from_bgr
from spillwatch.records import (
    AlarmEvent,
    AlarmState,
    Answer,
    CameraState,
    CameraStatus,
    Condition,
    Frame,
    Priority,
    Suppression,
    Wells,
    WellState,
    WellStatus,
)
from spillwatch.wells import editing, wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from http.client import HTTPResponse
    from pathlib import Path

    from spillwatch.records import U8, Message

TOKEN = "0123456789abcdef"  # noqa: S105 - opens nothing but this
WIDTH, HEIGHT = 1280, 800
ROWS, COLUMNS = 8, 9


def drawn_wells() -> Wells:
    """Four launders, seen a little from the side."""
    names, centres, sizes = [], [], []
    for launder, side, column in itertools.product(range(4), "UL", range(COLUMNS)):
        depth = 1 + 0.05 * launder
        y = 110 + 175 * launder + (62 if side == "L" else -30)
        names.append(f"{launder + 1}{side}{column + 1}")
        centres.append((640 + (column - (COLUMNS - 1) / 2) * 118 * depth, y))
        sizes.append((62 * depth, 38 * depth))
    return Wells(tuple(names), np.array(centres), np.array(sizes), np.ones(len(names), np.bool_))


def drawn_picture(wells: Wells) -> U8:
    """(H, W, 3) uint8 BGR: a plate with dark wells."""
    picture = np.full((HEIGHT, WIDTH, 3), (96, 104, 108), np.uint8)
    for (x, y), (w, h) in zip(wells.centres, wells.sizes, strict=True):
        cv2.ellipse(picture, ((x, y), (w, h), 0), (58, 66, 84), -1, cv2.LINE_AA)
        cv2.ellipse(picture, ((x, y), (w, h), 0), (150, 160, 168), 2, cv2.LINE_AA)
    return picture


class DrawnSite:
    """Answers every method of ``page.base.Site``; ``hear`` is where its messages go."""

    def __init__(self, folder: Path, *cameras: str) -> None:
        self.name = "cast1"
        self.asked: list[dict[str, Any]] = []
        self.evidence: Path | None = folder
        self.judged: list[dict[str, Any]] = []
        self.stuck_s = 0.0
        self.freeze_s = 0.0
        self.hear: Any = None
        self._seq = itertools.count(1).__next__
        self._events: dict[str, AlarmEvent] = {}
        self._suppressed: list[Suppression] = []
        self._plans = {}
        for camera in cameras or ("table",):
            wells, path = drawn_wells(), folder / f"{camera}.toml"
            picture = drawn_picture(wells)
            cv2.imwrite(str(folder / f"{camera}.png"), picture)
            wellmap.save(replace(wells, reference=folder / f"{camera}.png"), path)
            self._plans[camera] = Plan(camera=camera, wells=wellmap.load(path), wells_file=path, edition=1)
        self._planes = from_bgr(picture)

    def plans(self) -> Sequence[Plan]:
        return list(self._plans.values())

    def sighting(self, camera: str) -> Sighting | None:
        now = datetime.now(UTC)
        return Sighting(Frame(camera=camera, at=now, time_s=now.timestamp(), planes=self._planes), (3.0, -2.0))

    def suppressions(self) -> Sequence[Suppression]:
        return tuple(self._suppressed)

    def standing(self) -> Sequence[AlarmEvent]:
        return list(self._events.values())

    def age_s(self) -> float:
        if self.freeze_s:
            time.sleep(self.freeze_s)
        return self.stuck_s

    def submit(self, payload: Mapping[str, Any]) -> Answer:
        self.asked.append(dict(payload))
        verb, place = payload["command"], (payload["camera"], payload["well"])
        own = [event for event in self._events.values() if (event.camera, event.well) == place]
        now = datetime.now(UTC)
        if verb in ("unshelve", "in_service"):
            self._suppressed = [item for item in self._suppressed if (item.camera, item.well) != place]
            self._tell_well(*place, WellState.WATCHING)
            return Answer(ok=True, refused=None, request=dict(payload), at=now)
        if not own:
            return Answer(ok=False, refused="nothing to do there", request=dict(payload), at=now)
        state = {"ack": AlarmState.ACKNOWLEDGED, "shelve": AlarmState.SHELVED}.get(verb, AlarmState.OUT_OF_SERVICE)
        if verb != "ack":
            until = now + timedelta(seconds=payload["for_s"]) if "for_s" in payload else None
            kind, by = state, payload["by"]
            self._suppressed.append(Suppression(camera=place[0], well=place[1], kind=kind, by=by,
                                                reason=payload["reason"], since=now, until=until))  # fmt: skip
            self._tell_well(*place, WellState(state))
        for event in own:
            self._next(event, state=state, acked=True, by=payload["by"], reason=payload.get("reason"))
        return Answer(ok=True, refused=None, request=dict(payload), at=now)

    def judge(self, alarm: str, *, verdict: bool, note: str, by: str) -> Answer:
        self.judged.append({"alarm": alarm, "verdict": verdict, "note": note, "by": by})
        return Answer(ok=True, refused=None, request={}, at=datetime.now(UTC))

    def change_wells(self, camera: str, rows: Sequence[Mapping[str, Any]], *, digest: str, by: str) -> Answer:
        plan, now = self._plans[camera], datetime.now(UTC)
        try:
            backup = editing.rewrite(plan.wells_file, rows, expected=digest, at=now)
        except SpillwatchError as exc:
            return Answer(ok=False, refused=str(exc), request={}, at=now)
        self._plans[camera] = replace(plan, wells=wellmap.load(plan.wells_file), edition=plan.edition + 1)
        return Answer(ok=True, refused=None, request={"backup": backup.name, "by": by}, at=now)

    def report(self, since: str) -> str:
        if since == "7d":
            raise SpillwatchError("there is no history")
        return f"<!doctype html><title>Shift report</title><style>p {{ color: red }}</style><p>since {since}</p>"

    def wells_digest(self, camera: str) -> str:
        return editing.digest(self._plans[camera].wells_file)

    def tell(self, message: Message) -> None:
        """One more message of this site."""
        self.hear(message)

    def watch(
        self, state: CameraState = CameraState.WATCHING, reason: str | None = None, camera: str = "table"
    ) -> None:
        age = 12.3 if state == CameraState.BLIND else 0.04
        self.tell(CameraStatus(camera=camera, state=state, reason=reason, fps=25.0, last_frame_age_s=age,
                               at=datetime.now(UTC)))  # fmt: skip

    def alarm(self, well: str | None, condition: Condition = Condition.SPILL, **changes: Any) -> AlarmEvent:
        """Raise one."""
        values: dict[str, Any] = {"camera": "table", "priority": Priority.HIGH, "score": 0.0421, "threshold": 0.0187}
        if well is None:
            values |= {"score": None, "threshold": None}
        at = datetime.now(UTC)
        name = f"{(values | changes)['camera']}/{well or '-'}/{condition}/{at:%Y%m%dT%H%M%S.%f}Z"
        defaults = {"id": f"{name}.1", "seq": self._seq(), "well": well, "condition": condition, "at": at}
        unanswered = {"state": AlarmState.UNACKNOWLEDGED, "active": True, "acked": False}
        event = AlarmEvent(**{"model": "default", "delay_ms": 41.0, **defaults, **unanswered, **values, **changes})
        self._events[name] = event
        self.tell(event)
        return event

    def forget(self, event: AlarmEvent) -> None:
        """Commands for it are refused from now on."""
        del self._events[event.id.rpartition(".")[0]]

    def end(self, event: AlarmEvent) -> None:
        """Its condition holds no longer."""
        newest = self._events[event.id.rpartition(".")[0]]
        state = AlarmState.NORMAL if newest.acked else AlarmState.RTN_UNACKNOWLEDGED
        self._next(newest, active=False, state=state)

    def _next(self, event: AlarmEvent, **changes: Any) -> None:
        name, _, number = event.id.rpartition(".")
        newer = replace(
            event, **{"id": f"{name}.{int(number) + 1}", "seq": self._seq(), "at": datetime.now(UTC)} | changes
        )
        self._events[name] = newer
        if newer.state == AlarmState.NORMAL:
            del self._events[name]
        self.tell(newer)

    def _tell_well(self, camera: str, well: str | None, state: WellState) -> None:
        if well is not None:
            self.tell(WellStatus(camera=camera, well=well, state=state, at=datetime.now(UTC)))


class Served:
    """The page over a drawn site, on a port of its own, and a small client that has logged in."""

    def __init__(
        self,
        site: DrawnSite,
        folder: Path,
        *,
        user_header: str | None = None,
        metrics: Callable[[], bytes] | None = None,
    ) -> None:
        self.site = site
        path = folder / "token"
        path.write_text(TOKEN)
        path.chmod(0o600)
        settings = PageSettings(enabled=True, port=0, token_file=path, user_header=user_header)
        self.page = Page(settings, site, version="0.0.0", metrics=metrics)
        self.cookie = ""

    def __enter__(self) -> Self:
        self.page.__enter__()
        self.site.hear = self.page.publish
        reply, _ = self.ask("POST", "/login", f"name=Anna&token={TOKEN}", kind="application/x-www-form-urlencoded")
        self.cookie = reply.headers["Set-Cookie"].partition(";")[0]
        return self

    def __exit__(self, *exc: object) -> None:
        self.page.__exit__(*exc)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.page.port}/"

    def ask(
        self, method: str, path: str, body: str | None = None, *, kind: str = "application/json", **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        """One request as a page of our own sends it; ``headers`` replace its own, "_" in their names stands for "-"."""
        own = {"Origin": self.url.rstrip("/"), "Content-Type": kind, "Cookie": self.cookie}
        connection = HTTPConnection("127.0.0.1", self.page.port, timeout=10)
        try:
            sent = own | {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            return reply, reply.read()
        finally:
            connection.close()

    def post(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
        reply, text = self.ask("POST", path, json.dumps(body), **headers)
        return reply.status, json.loads(text)
