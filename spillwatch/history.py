"""Looking back: which alarms there were, as a table, JSON lines or CSV."""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from spillwatch.errors import ConfigError
from spillwatch.records import Condition, rfc3339
from spillwatch.store.reading import Past
from spillwatch.watch import assessment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from spillwatch.config import Settings
    from spillwatch.records import Judgement
    from spillwatch.watch.assessment import Alarm, Span

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_JUDGED = ("verdict", "note", "judged_by")
COLUMNS = (*(field.name for field in fields(assessment.Alarm)), *_JUDGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which alarms: those active at some time from ``since`` to ``until``, of these; None means any."""

    since: str
    until: str | None = None
    state: Path | None = None
    camera: str | None = None
    well: str | None = None
    condition: str | None = None

    def __post_init__(self) -> None:
        if self.condition is not None and self.condition not in set(Condition):
            raise ConfigError(f"no condition is called {self.condition!r}; choose of {', '.join(Condition)}")

    def admits(self, alarm: Alarm) -> bool:
        wanted = (self.camera, self.well, self.condition)
        return all(want in (None, has) for want, has in zip(wanted, alarm.place, strict=True))


def moment(text: str, now: datetime) -> datetime:
    """``90m``, ``8h``, ``3d`` before ``now``, or an RFC 3339 time; without an offset it is this machine's own."""
    try:
        if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip()):
            return now - timedelta(**{_UNITS[found[2]]: float(found[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"the time {text!r} is not known; write how long ago (90m, 8h, 3d) or when (2026-11-24T06:00)"
        ) from None


def span(wanted: Wanted) -> Span:
    """From and to; raises ConfigError where nothing lies between them."""
    now = datetime.now(UTC)
    since, until = moment(wanted.since, now), moment(wanted.until, now) if wanted.until else now
    if since >= until:
        raise ConfigError(f"--since {rfc3339(since)} is not before --until {rfc3339(until)}; turn them round")
    return since, until


def past(settings: Settings, wanted: Wanted) -> Past:
    return Past(wanted.state or settings.state.folder())


def look(settings: Settings, wanted: Wanted) -> list[dict[str, Any]]:
    """The alarms, in the order of their raising, as plain values of JSON; times are RFC 3339, UTC."""
    between, book = span(wanted), past(settings, wanted)
    judgements = book.judgements()
    found = assessment.alarms(book.events(*between))
    return [row(alarm, judgements.get(alarm.name)) for alarm in found if wanted.admits(alarm) and alarm.within(between)]


def row(alarm: Alarm, judgement: Judgement | None) -> dict[str, Any]:
    """One alarm as it is printed, by ``COLUMNS``."""
    values = {name: getattr(alarm, name) for name in COLUMNS[: -len(_JUDGED)]}
    values = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in values.items()}
    said = (judgement.verdict, judgement.note, judgement.by) if judgement else (None, None, None)
    return values | dict(zip(_JUDGED, said, strict=True))


def print_json(rows: Iterable[dict[str, Any]]) -> None:
    """One alarm a line, on standard output."""
    for values in rows:
        print(json.dumps(values, ensure_ascii=False, separators=(",", ":")))  # noqa: T201 -- what was asked for


def print_csv(rows: Sequence[dict[str, Any]]) -> None:
    """A line of names, then an alarm a line, on standard output."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


_PAPER = 160  # columns of a table that no terminal limits


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """For people, on standard output: this machine's time."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PAPER)
    if not rows:
        console.print("no alarms")
        return
    table = Table("raised", "camera", "well", "condition", "state", box=box.SIMPLE)
    table.add_column("lasted", justify="right")
    table.add_column("acknowledged")
    table.add_column("judged")
    for values in rows:
        cells = (
            _local(values["raised_at"]),
            values["camera"],
            values["well"] or "",
            values["condition"].replace("_", " ") + (" (test)" if values["test"] else ""),
            values["state"].replace("_", " "),
            lasting(_between(values["raised_at"], values["returned_at"])) or "stands",
            _answer(values),
            _verdict(values),
        )
        table.add_row(*map(Text, cells))  # names and notes are no markup
    console.print(table)
    console.print(f"{len(rows)} alarms", soft_wrap=True)


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"


def _between(start: str | None, end: str | None) -> float | None:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() if start and end else None


def _answer(values: dict[str, Any]) -> str:
    after = lasting(_between(values["called_at"], values["acked_at"]))
    return f"after {after} by {values['acked_by']}" if after else "no" if values["called_at"] else "not called"


def _verdict(values: dict[str, Any]) -> str:
    if values["verdict"] is None:
        return ""
    return ("true" if values["verdict"] else "false") + (f": {values['note']}" if values["note"] else "")


def lasting(seconds: float | None) -> str:
    """For people: 4.2 s, 3 min 20 s, 2 h 05 min, 3 d 4 h; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest_s:02} s"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02} min"
