"""The daemon's figures for Prometheus. What is counted, and in which unit, stands in each name and its help."""

from __future__ import annotations

import time
from collections import Counter as Tally
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from spillwatch.records import AlarmEvent, CameraState, CaptureCounters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from spillwatch.publish.base import Counters
    from spillwatch.records import CameraStatus, Message, ShadowTally

STEPS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds of the buckets; a camera of 25 frames per second leaves 0.04 s for each."""

_COUNTED = {
    "frames": "Frames that the camera gave.",
    "dropped": "Frames that were overtaken by newer ones before anybody looked.",
    "damaged": "Frames that the decoder left out.",
    "reconnects": "Times that pictures came back.",
    "stalls": "Times that the camera was blind for want of frames.",
    "abandoned": "Threads that hung in a library and were given up.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What holds at one moment.

    ``alarms`` are those that are not back to normal; ``degraded`` names what does not work; ``outbox`` counts events
    that the broker has not acknowledged; ``loop_age_s`` is how long the daemon's loop has not been round; ``device`` is
    where wells are scored, "cpu" or "cuda".
    """

    captures: Mapping[str, CaptureCounters]
    statuses: Sequence[CameraStatus]
    alarms: Sequence[AlarmEvent]
    degraded: Sequence[str]
    delivery: Counters
    connected: bool
    outbox: int
    loop_age_s: float
    shadow: ShadowTally | None = None
    device: str = "cpu"
    device_losses: int = 0


class Metrics(Collector):
    """``stepped`` and ``publish`` are the loop's; ``text`` is for any thread and asks ``figures``, what holds now."""

    def __init__(
        self, figures: Callable[[], Figures], *, site: str, version: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._figures = figures
        self._about = {"site": site, "version": version}
        self._clock = clock
        self._frame_s: dict[str, float] = {}
        self._score_s: dict[str, float] = {}
        self._registry = CollectorRegistry()
        self._step = Histogram(
            "spillwatch_step_seconds",
            "From a frame that was taken to its events: looking, aligning, cropping, scoring, deciding.",
            ["camera"],
            buckets=STEPS_S,
            registry=self._registry,
        )
        self._scores = Counter("spillwatch_scores", "Wells that were scored.", ["camera"], registry=self._registry)
        self._raised = Counter(
            "spillwatch_alarms_raised", "Alarms that were raised.", ["camera", "condition"], registry=self._registry
        )
        ProcessCollector(namespace="spillwatch", registry=self._registry)
        self._registry.register(self)

    def stepped(self, camera: str, taken_s: float, *, took_s: float, scores: int) -> None:
        """A frame that was taken at ``taken_s`` (monotonic) has been through, and so many wells have a score."""
        self._step.labels(camera).observe(took_s)
        self._scores.labels(camera).inc(scores)
        self._frame_s[camera] = taken_s
        if scores:
            self._score_s[camera] = taken_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def publish(self, message: Message) -> None:
        """A publisher to whom everything is told; he counts the alarms that are raised."""
        if isinstance(message, AlarmEvent) and message.raises and not message.test:
            self._raised.labels(message.camera, message.condition).inc()

    def text(self) -> bytes:
        """All of it in Prometheus's text format 0.0.4."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing: that would ask for figures before there are any."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """For the registry: what holds now."""
        now_s, figures = self._clock(), self._figures()
        yield _gauge("info", "1; its labels say what runs.", self._about, 1)
        yield _gauge("loop_age_seconds", "How long the daemon's loop has not been round.", {}, figures.loop_age_s)
        yield _gauge("degraded", "Parts of the daemon that do not work.", {}, len(figures.degraded))
        yield _gauge("on_gpu", "1 while wells are scored on a GPU.", {}, figures.device == "cuda")
        losses = CounterMetricFamily("spillwatch_gpu_losses", "Times that the GPU was lost, and the CPU took over.")
        losses.add_metric([], figures.device_losses)
        yield losses
        yield from _captures(figures.captures)
        yield _ages("frame_age_seconds", "Age of the newest frame that was judged.", self._frame_s, now_s)
        yield _ages("score_age_seconds", "Age of the newest frame in which wells were scored.", self._score_s, now_s)
        yield from _states(figures.statuses)
        yield from _self_tests(figures.statuses)
        yield _alarms(figures.alarms)
        yield from _delivery(figures)
        if figures.shadow:
            yield from _shadow(figures.shadow)


def _gauge(name: str, about: str, labels: Mapping[str, str], value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"spillwatch_{name}", about, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _captures(captures: Mapping[str, CaptureCounters]) -> Iterator[Metric]:
    for name, about in _COUNTED.items():
        family = CounterMetricFamily(f"spillwatch_{name}", about, labels=["camera"])
        for camera, counters in captures.items():
            family.add_metric([camera], getattr(counters, name))
        yield family
    lag = GaugeMetricFamily(
        "spillwatch_capture_lag_seconds",
        "How late the last frame was, against the stream's best.",
        labels=["camera"],
    )
    for camera, counters in captures.items():
        lag.add_metric([camera], counters.lag_s)
    yield lag


def _ages(name: str, about: str, seen_s: Mapping[str, float], now_s: float) -> Metric:
    family = GaugeMetricFamily(f"spillwatch_{name}", about, labels=["camera"])
    for camera, then_s in dict(seen_s).items():  # the loop may add a camera meanwhile
        family.add_metric([camera], max(now_s - then_s, 0.0))
    return family


def _states(statuses: Sequence[CameraStatus]) -> Iterator[Metric]:
    cameras = GaugeMetricFamily("spillwatch_camera_state", "1 for the state it is in.", labels=["camera", "state"])
    rates = GaugeMetricFamily("spillwatch_camera_fps", "Frames judged per second.", labels=["camera"])
    wells = GaugeMetricFamily("spillwatch_wells", "Wells in each state; a blind camera watches none.",
                              labels=["camera", "state"])  # fmt: skip
    for status in statuses:
        for state in CameraState:
            cameras.add_metric([status.camera, state], status.state == state)
        rates.add_metric([status.camera], status.fps)
        for well_state, count in status.wells.items():
            wells.add_metric([status.camera, well_state], count)
    yield from (cameras, rates, wells)


def _self_tests(statuses: Sequence[CameraStatus]) -> Iterator[Metric]:
    told = {
        "ok": "1 if the camera's last self-test passed, 0 if it failed or could not be made.",
        "passed_timestamp_seconds": "When one of the camera's self-tests last passed, since the epoch.",
        "delay_seconds": "From a painted spill's first picture to its event's return from the broker.",
    }
    families = {name: GaugeMetricFamily(f"spillwatch_self_test_{name}", about, labels=["camera"])
                for name, about in told.items()}  # fmt: skip
    for status in statuses:
        if test := status.self_test:
            families["ok"].add_metric([status.camera], bool(test.ok))
            if test.passed_at:
                families["passed_timestamp_seconds"].add_metric([status.camera], test.passed_at.timestamp())
            if test.delay_ms is not None:
                families["delay_seconds"].add_metric([status.camera], test.delay_ms / 1000)
    yield from families.values()


def _alarms(alarms: Sequence[AlarmEvent]) -> Metric:
    family = GaugeMetricFamily(
        "spillwatch_alarms", "Alarms that are not back to normal.", labels=["camera", "condition", "state"]
    )
    for place, count in Tally((alarm.camera, alarm.condition, alarm.state) for alarm in alarms).items():
        family.add_metric(list(place), count)
    return family


def _shadow(tally: ShadowTally) -> Iterator[Metric]:
    counted = {
        "frames": ("Frames that the candidate looked at.", tally.frames),
        "shed": ("Frames that it left out for want of time.", tally.shed),
        "seconds": ("Time that it took.", tally.cost_s),
    }
    for name, (about, value) in counted.items():
        family = CounterMetricFamily(f"spillwatch_shadow_{name}", about, labels=["candidate"])
        family.add_metric([tally.candidate], value)
        yield family
    alarms = CounterMetricFamily(
        "spillwatch_shadow_alarms", "Spill alarms that are over, by who raised them.", labels=["candidate", "by"]
    )
    for name in ("both", "live_only", "candidate_only"):
        alarms.add_metric([tally.candidate, name], getattr(tally, name))
    yield alarms


def _delivery(figures: Figures) -> Iterator[Metric]:
    told = {
        "connections": (figures.delivery.connections, "Times that the broker let us in."),
        "published": (figures.delivery.acknowledged, "Messages that the broker acknowledged."),
        "denied": (figures.delivery.denied, "Messages that the broker's access list denied."),
        "commands": (figures.delivery.commands, "Commands that came over MQTT."),
        "commands_refused": (figures.delivery.commands_refused, "Commands that came too fast to be read."),
    }
    yield _gauge("mqtt_connected", "1 while the connection to the broker stands.", {}, figures.connected)
    yield _gauge("outbox_events", "Alarm events that the broker has not acknowledged.", {}, figures.outbox)
    for name, (value, about) in told.items():
        yield CounterMetricFamily(f"spillwatch_mqtt_{name}", about, value=value)
