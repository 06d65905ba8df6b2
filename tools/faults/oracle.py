"""What must hold of everything that was heard. Each check gives sentences, none if it is good."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tools.faults.recorder import BASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.faults.recorder import Heard
    from tools.faults.scene import Scene

Event = dict[str, Any]


def without_repeats(events: Iterable[Event]) -> list[Event]:
    """As docs/mqtt.md tells subscribers: drop an event whose id has been seen."""
    seen: dict[str, Event] = {}
    for event in events:
        seen.setdefault(event["id"], event)
    return list(seen.values())


def in_order(events: Sequence[Event]) -> list[str]:
    """Numbers count from 1 without a gap, in order of arrival; so none is lost and none is doubled."""
    faults = []
    expected = 1
    for event in without_repeats(events):
        if event["seq"] != expected:
            faults.append(f"seq {event['seq']} ({event['id']}) came where {expected} was due")
        expected = event["seq"] + 1
    return faults


def same_every_time(events: Sequence[Event]) -> list[str]:
    """A repeat of an id says the same; only the mark ``late`` may differ."""
    first: dict[str, Event] = {}
    faults = []
    for event in events:
        told = {key: value for key, value in event.items() if key not in ("late", "delay_ms")}
        if first.setdefault(event["id"], told) != told:
            faults.append(f"{event['id']} came twice and differs")
    return faults


def lives(events: Sequence[Event]) -> list[str]:
    """Each alarm's events are numbered from 1 without a gap, and no alarm is raised anew while its own is active."""
    faults = []
    count: dict[str, int] = {}
    current: dict[tuple[str, str | None, str], tuple[str, bool]] = {}
    for event in without_repeats(events):
        name, _, number = event["id"].rpartition(".")
        if int(number) != count.get(name, 0) + 1:
            faults.append(f"{event['id']} follows event {count.get(name, 0)} of its alarm")
        count[name] = int(number)
        key = (event["camera"], event["well"], event["condition"])
        before, active = current.get(key, (name, False))
        if before != name and active:
            faults.append(f"{name} was raised while {before} was active: one alarm under two ids")
        current[key] = (name, bool(event["active"]))
    return faults


def acknowledged_stays(events: Sequence[Event]) -> list[str]:
    """Nothing that was acknowledged is unacknowledged again under the same id; for stages without re-alarms."""
    acknowledged: set[str] = set()
    faults = []
    for event in without_repeats(events):
        name = event["id"].rpartition(".")[0]
        if event["acked"]:
            acknowledged.add(name)
        elif name in acknowledged:
            faults.append(f"{event['id']} is unacknowledged, and had been acknowledged")
    return faults


def regular(heard: Sequence[Heard], camera: str, scene: Scene, *, since_s: float) -> list[str]:
    """Every well that spills was raised once per turn of the scene; for cameras that were never disturbed."""
    raised: dict[str, list[float]] = {well: [] for well in scene.spilling}
    seen: dict[str, bool] = {}
    for message in heard:
        event = message.payload
        if message.topic != f"{BASE}/alarms" or (event["camera"], event["condition"]) != (camera, "spill"):
            continue
        if event["active"] and not seen.get(event["well"]):
            raised[event["well"]].append(message.at_s)
        seen[event["well"]] = event["active"]
    faults = []
    for well, times_s in raised.items():
        for before_s, after_s in pairwise([since_s, *times_s, max(h.at_s for h in heard)]):
            if after_s - before_s > 1.5 * scene.seconds:
                faults.append(
                    f"well {well} spills every {scene.seconds:g} s and was silent for {after_s - before_s:.0f} s"
                )
        for before_s, after_s in pairwise(times_s):
            if after_s - before_s < 0.7 * scene.seconds:
                faults.append(f"well {well} spills every {scene.seconds:g} s and came after {after_s - before_s:.0f} s")
    return faults


def arrived(written: Iterable[Event], events: Iterable[Event]) -> list[str]:
    """Whatever the daemon wrote down was heard."""
    heard = {event["id"] for event in events}
    return [f"{event['id']} is in the events file and never arrived" for event in written if event["id"] not in heard]


def no_false_spill(events: Iterable[Event], spilling: Mapping[str, frozenset[str]]) -> list[str]:
    """Wells that never spill never alarm; ``spilling`` per camera."""
    return [
        f"false spill {event['id']}"
        for event in without_repeats(events)
        if event["condition"] == "spill" and event["active"] and event["well"] not in spilling[event["camera"]]
    ]


def present(retained: Mapping[str, Any], events: Sequence[Event]) -> list[str]:
    """The retained topics say what the last event of each well said."""
    last: dict[str, Event] = {}
    for event in without_repeats(events):
        place = f"{event['camera']}/{event['well']}" if event["well"] else event["camera"]
        last[f"{BASE}/{place}/alarm"] = event
    return [
        f"{topic} holds {retained.get(topic, {}).get('id')}, the last event was {event['id']}"
        for topic, event in last.items()
        if retained.get(topic, {}).get("id") != event["id"]
    ]


def always(events: Sequence[Event], *, written: Sequence[Event], spilling: Mapping[str, frozenset[str]]) -> list[str]:
    """All that holds under every fault."""
    return [
        *in_order(events),
        *same_every_time(events),
        *lives(events),
        *arrived(written, events),
        *no_false_spill(events, spilling),
    ]
