"""What alarms amount to: the figures by which ISA-18.2 (IEC 62682) and EEMUA 191 judge an alarm system.

An alarm counts once, when it first calls the crew; one that is shelved all along, and a repeated call, do not. Marked
tests count nowhere.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from spillwatch.records import AlarmState, Condition
from spillwatch.watch.pipeline import BLINDING
from spillwatch.watch.priorities import FLOOD_ALARMS, FLOOD_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from spillwatch.records import AlarmEvent, Priority

Place = tuple[str, str | None, Condition]
Span = tuple["datetime", "datetime"]

CALM_ALARMS = 5
"""A flood ends when fewer than so many were raised in ``FLOOD_S`` (ISA-18.2)."""

CHATTER_ALARMS, CHATTER_S = 3, 60.0
"""The same alarm so often within so long chatters (ISA-18.2)."""

STALE = timedelta(hours=24)
"""An alarm that stands for longer is stale (ISA-18.2)."""

TOP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm from raise to return. ``called_at`` is when it first called the crew, None where a shelf kept it quiet.

    ``acked_at`` is when somebody answered, ``returned_at`` when it was no longer active, ``state`` its last.
    """

    name: str
    camera: str
    well: str | None
    condition: Condition
    priority: Priority
    state: AlarmState
    raised_at: datetime
    called_at: datetime | None
    acked_at: datetime | None
    acked_by: str | None
    returned_at: datetime | None
    score: float | None
    threshold: float | None
    model: str | None
    test: bool

    @property
    def place(self) -> Place:
        return self.camera, self.well, self.condition

    def within(self, span: Span) -> bool:
        """It was active at some time of the span."""
        return self.raised_at < span[1] and (self.returned_at is None or self.returned_at > span[0])


def alarms(events: Iterable[AlarmEvent]) -> list[Alarm]:
    """Events in the order of ``seq``, paired into alarms, in the order of their raising.

    An alarm that comes again at the same place ended by then, whatever is missing.
    """
    lives: dict[str, list[AlarmEvent]] = {}
    for event in events:
        lives.setdefault(event.id.rpartition(".")[0], []).append(event)
    found = [alarm for name, life in lives.items() if (alarm := _alarm(name, life))]
    found.sort(key=lambda alarm: alarm.raised_at)
    follows: dict[Place, datetime] = {}
    for i in reversed(range(len(found))):
        alarm = found[i]
        if alarm.returned_at is None and alarm.place in follows:
            found[i] = replace(alarm, returned_at=follows[alarm.place])
        follows[alarm.place] = alarm.raised_at
    return found


def _alarm(name: str, life: Sequence[AlarmEvent]) -> Alarm | None:
    raised = next((event for event in life if event.active), None)
    if raised is None:
        return None  # a calm well was shelved
    life = [event for event in life if event.seq >= raised.seq]
    called = next((event for event in life if event.state == AlarmState.UNACKNOWLEDGED), None)
    acked = next((e for e in life if called and e.seq > called.seq and e.acked and e.by is not None), None)
    returned = next((event for event in life if not event.active), None)
    return Alarm(
        name=name,
        camera=raised.camera,
        well=raised.well,
        condition=raised.condition,
        priority=raised.priority,
        state=life[-1].state,
        raised_at=raised.at,
        called_at=called.at if called else None,
        acked_at=acked.at if acked else None,
        acked_by=acked.by if acked else None,
        returned_at=returned.at if returned else None,
        score=raised.score,
        threshold=raised.threshold,
        model=raised.model,
        test=raised.test,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The figures of a span of time. ``per_ten`` counts alarms by ten minutes, the last of which may be shorter.

    ``floods`` are spans of time; ``chattering`` gives the most alarms within a minute, by place; ``answered_s`` are
    times to acknowledge of alarms raised in the span, rising; ``unanswered`` were not acknowledged by its end.
    """

    span: Span
    raised: tuple[Alarm, ...]
    tests: int
    per_ten: tuple[int, ...]
    floods: tuple[Span, ...]
    top: tuple[tuple[str, str, int], ...]
    wells: int
    by_condition: dict[Condition, int]
    by_priority: dict[Priority, int]
    chattering: dict[Place, int]
    stale: tuple[Alarm, ...]
    standing: tuple[Alarm, ...]
    answered_s: tuple[float, ...]
    unanswered: int
    blind_s: dict[str, float]

    @property
    def seconds(self) -> float:
        return _seconds(self.span)

    @property
    def average(self) -> float:
        """Alarms in ten minutes."""
        return len(self.raised) * FLOOD_S / self.seconds if self.seconds else 0.0

    @property
    def peak(self) -> int:
        return max(self.per_ten, default=0)

    @property
    def flood_share(self) -> float:
        """Of the time, 0..1."""
        return sum(map(_seconds, self.floods)) / self.seconds if self.seconds else 0.0

    @property
    def median_s(self) -> float | None:
        return statistics.median(self.answered_s) if self.answered_s else None


def assess(known: Sequence[Alarm], span: Span, cameras: Iterable[str] = ()) -> Assessment:
    """The figures of ``span``; alarms from before it count for what lasts into it. Quiet ``cameras`` are named too."""
    since, until = span
    real = [alarm for alarm in known if not alarm.test]
    called = [alarm for alarm in real if alarm.called_at and alarm.called_at < until]
    raised = tuple(alarm for alarm in called if alarm.called_at and alarm.called_at >= since)
    standing = tuple(alarm for alarm in real if alarm.raised_at < until and not _ended(alarm, until))
    places = Counter((alarm.camera, alarm.well) for alarm in raised if alarm.well)
    answers = [(a.acked_at - a.called_at).total_seconds() for a in raised if a.acked_at and a.called_at]
    return Assessment(
        span=span,
        raised=raised,
        tests=sum(alarm.test and since <= alarm.raised_at < until for alarm in known),
        per_ten=_per_ten(raised, span),
        floods=_floods([alarm.called_at for alarm in called if alarm.called_at], span),
        top=tuple((camera, well or "", count) for (camera, well), count in places.most_common(TOP)),
        wells=len(places),
        by_condition=dict(Counter(alarm.condition for alarm in raised).most_common()),
        by_priority=dict(Counter(alarm.priority for alarm in raised)),
        chattering=_chattering(raised),
        stale=tuple(a for a in real if a.within(span) and (a.returned_at or until) - a.raised_at > STALE),
        standing=standing,
        answered_s=tuple(sorted(answers)),
        unanswered=len(raised) - len(answers),
        blind_s=_blind_s(real, span, cameras),
    )


def _ended(alarm: Alarm, at: datetime) -> bool:
    return alarm.returned_at is not None and alarm.returned_at <= at


def _seconds(span: Span) -> float:
    return (span[1] - span[0]).total_seconds()


def _per_ten(raised: Sequence[Alarm], span: Span) -> tuple[int, ...]:
    counts = [0] * math.ceil(_seconds(span) / FLOOD_S)
    for alarm in raised:
        counts[int(((alarm.called_at or span[0]) - span[0]).total_seconds() // FLOOD_S)] += 1
    return tuple(counts)


def _floods(calls: Iterable[datetime], span: Span) -> tuple[Span, ...]:
    """From more than ``FLOOD_ALARMS`` in the last ``FLOOD_S`` to fewer than ``CALM_ALARMS``."""
    window = timedelta(seconds=FLOOD_S)
    changes = sorted(change for at in calls for change in ((at, 1), (at + window, -1)))
    count, began = 0, None
    floods: list[Span] = []
    for at, change in changes:
        count += change
        if began is None and count > FLOOD_ALARMS:
            began = at
        elif began is not None and count < CALM_ALARMS:
            floods.append((began, at))
            began = None
    return tuple((max(start, span[0]), min(end, span[1])) for start, end in floods if end > span[0] and start < span[1])


def _chattering(raised: Iterable[Alarm]) -> dict[Place, int]:
    calls: dict[Place, list[datetime]] = {}
    for alarm in raised:
        calls.setdefault(alarm.place, []).append(alarm.called_at or alarm.raised_at)
    window = timedelta(seconds=CHATTER_S)
    worst = {
        place: max(sum(at <= other <= at + window for other in times[i:]) for i, at in enumerate(times))
        for place, times in calls.items()
    }
    return {place: most for place, most in sorted(worst.items(), key=lambda x: -x[1]) if most >= CHATTER_ALARMS}


def _blind_s(known: Iterable[Alarm], span: Span, cameras: Iterable[str]) -> dict[str, float]:
    """Seconds in which a camera could not see, by camera; conditions that overlap count once."""
    seconds = dict.fromkeys(cameras, 0.0)
    until: dict[str, datetime] = {}
    for alarm in sorted(known, key=lambda alarm: alarm.raised_at):
        if alarm.condition in BLINDING and alarm.within(span):
            start = max(alarm.raised_at, span[0], until.get(alarm.camera, span[0]))
            end = min(alarm.returned_at or span[1], span[1])
            seconds[alarm.camera] = seconds.get(alarm.camera, 0.0) + max(0.0, (end - start).total_seconds())
            until[alarm.camera] = max(end, until.get(alarm.camera, end))
    return seconds
