"""One round over the cameras: what each has now is looked at, scored and judged, and none holds up another."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from spillwatch.errors import SpillwatchError
from spillwatch.records import Gap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spillwatch.lineup import Unit
    from spillwatch.model.scoring import Scorer
    from spillwatch.records import F32, AlarmEvent, Frame
    from spillwatch.watch.pipeline import Seen

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """What a camera's frame, or its blindness, made of its alarms; ``began_s`` is when it was taken."""

    unit: Unit
    item: Frame | Gap
    events: list[AlarmEvent]
    began_s: float


def steps(units: Sequence[Unit], scorer: Scorer) -> Iterator[Step]:
    """Step every camera that has something now, each in turn, or all with one batch where that is best.

    What a camera has not got is not waited for, so that none holds up another.
    """
    for group in [units] if scorer.together else [(unit,) for unit in units]:
        looks = [_look(unit, item) for unit in group if (item := unit.camera.take()) is not None]
        batches = [look.seen.glance.crops if look.seen.glance else None for look in looks]
        scores: Sequence[F32 | Exception | None]
        try:
            scores = scorer.score_each(batches)
        except Exception as exc:  # noqa: BLE001 - as below; told by each camera that was asked for
            scores = [None if crops is None else exc for crops in batches]
        yield from (_judge(look, its) for look, its in zip(looks, scores, strict=True))


@dataclass(frozen=True, slots=True)
class _Look:
    """Half a step."""

    unit: Unit
    item: Frame | Gap
    seen: Seen
    began_s: float


def _look(unit: Unit, item: Frame | Gap) -> _Look:
    began_s = time.monotonic()
    try:
        return _Look(unit, item, unit.pipeline.see(item), began_s)
    except Exception as exc:  # noqa: BLE001 - one camera's picture, whatever a library makes of it, blinds no other
        gap = _unseen(unit, item, exc)
        return _Look(unit, gap, unit.pipeline.see(gap), began_s)


def _judge(look: _Look, scores: F32 | Exception | None) -> Step:
    unit, item = look.unit, look.item
    try:
        if isinstance(scores, Exception):
            raise scores
        events = unit.pipeline.judge(item, look.seen, scores)
    except Exception as exc:  # noqa: BLE001 - as above
        item = _unseen(unit, item, exc)
        events = unit.pipeline.step(item)
    return Step(unit, item, events, look.began_s)


def _unseen(unit: Unit, item: Frame | Gap, exc: Exception) -> Gap:
    """What comes of a picture that could not be judged, such as one of another size than the wells were located on."""
    reason = str(exc)
    if not isinstance(exc, SpillwatchError):
        reason = f"judging its picture failed with {type(exc).__name__}; the log has its traceback"
        if reason != unit.pipeline.reason:
            _LOG.error("camera.crashed", camera=item.camera, exc_info=exc)
    return Gap(camera=item.camera, at=item.at, time_s=item.time_s, reason=reason)
