"""What a person at a terminal sees: progress while it runs, the alarms when it is done. All on standard error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from spillwatch.records import AlarmEvent
    from spillwatch.replay import Outcome


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar to tick with (done, total); nothing is drawn unless standard error is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_outcome(outcome: Outcome, files: Sequence[Path | None]) -> None:
    """Alarms as a timeline, the score against the truth, and the files that were written."""
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{outcome.frames} frames, {outcome.seconds:.1f} s of video watched with model {outcome.model}", soft_wrap=True
    )
    _show_alarms(console, outcome)
    if outcome.score is not None:
        _show_score(console, outcome)
    for path in files:
        if path is not None:
            console.print(f"wrote {path}", soft_wrap=True)


def _show_alarms(console: Console, outcome: Outcome) -> None:
    rows = _spans(outcome.events)
    if not rows:
        console.print("no alarms")
        return
    width = max(16, min(console.width, 120) - 56)  # what the other columns leave
    end = f"{outcome.seconds:.1f} s"
    table = Table("well", "condition", "raised", "returned", f"0 s{end:>{width - 3}}", box=box.SIMPLE)
    for raised, returned in rows:
        start_s = raised.media_time_s or 0.0
        end_s = outcome.seconds if returned is None else returned.media_time_s or 0.0
        left, right = (round(width * t / max(outcome.seconds, 1e-9)) for t in (start_s, end_s))
        bar = "·" * left + "█" * max(right - left, 1) + "·" * (width - max(right, left + 1))
        returned_text = "—" if returned is None else f"{end_s:.2f} s"
        table.add_row(raised.well or "camera", raised.condition, f"{start_s:.2f} s", returned_text, bar)
    console.print(table)


def _spans(events: Sequence[AlarmEvent]) -> list[tuple[AlarmEvent, AlarmEvent | None]]:
    """Each raise with the return that follows it."""
    spans: list[tuple[AlarmEvent, AlarmEvent | None]] = []
    for i, event in enumerate(events):
        if event.raises:
            key = (event.well, event.condition)
            later = (e for e in events[i + 1 :] if (e.well, e.condition) == key and not e.active)
            spans.append((event, next(later, None)))
    return spans


def _show_score(console: Console, outcome: Outcome) -> None:
    score = outcome.score or {}
    for spill in score["spills"]:
        found = "missed" if spill["delay_s"] is None else f"raised {spill['delay_s']:.2f} s after onset"
        console.print(f"truth: {spill['kind']} in {spill['well']} from {spill['onset_s']:.2f} s: {found}")
    console.print(f"truth: {score['missed']} missed, {score['false_alarms']} false alarms")
