"""From a step to everybody: kept on disk first, then handed to every publisher; and what of this does not work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from spillwatch import build
from spillwatch.errors import PublishError
from spillwatch.records import SITE, AlarmEvent, CameraState, CameraStatus, Condition, SiteStatus
from spillwatch.watch.alarms import Moment
from spillwatch.watch.standing import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import ExitStack
    from datetime import datetime

    from spillwatch.config import Settings
    from spillwatch.publish.base import Publisher, WellsPublisher
    from spillwatch.publish.mqtt import MqttPublisher
    from spillwatch.records import Answer, Message
    from spillwatch.store.keeping import Store
    from spillwatch.watch.alarms import Alarms

_LOG = structlog.get_logger()

STORE_EVERY_S = 1.0
"""How often the store looks after its disk."""


class Telling:
    """The store and the publishers, and the alarms of the site itself, whose camera is called ``SITE``."""

    def __init__(self, store: Store, site: build.Site) -> None:
        self.site_alarms = build.alarms(SITE, site, store.memory(SITE))
        self.broker: MqttPublisher | None = None
        self.degraded: tuple[str, ...] = ()
        self._store = store
        self._publishers: list[Publisher] = []
        self._shown: list[WellsPublisher] = []
        self._failing: set[str] = set()
        self._store_s = 0.0
        self._wells: Mapping[str, Collection[str]] = {}

    def open(
        self, settings: Settings, stack: ExitStack, *, wake: Callable[[], None], wells: Mapping[str, Collection[str]]
    ) -> None:
        """Open the publishers; the latest event of each well is told again, since the broker may not have it."""
        self._wells = wells
        if settings.events.path:
            log = stack.enter_context(build.event_log(settings.events.path, append=True))
            log.catch_up(self._store.events_after)
            self._publishers.append(log)
        if settings.mqtt.enabled:
            self.broker = build.broker(settings, outbox=self._store.outbox, wake=wake)
            for camera, ids in wells.items():
                for well in (None, *ids):
                    if payload := self._store.latest(camera, well):
                        self.broker.recall(camera, well, payload)
            self._publishers.append(stack.enter_context(self.broker))
        for publisher in build.mirrors(settings, self.broker):
            publisher.show(wells)
            self._publishers.append(stack.enter_context(publisher))
            self._shown.append(publisher)
            for camera in wells:
                for event in standing(self._store.memory(camera)):
                    self._hand_over(publisher, event)

    def show(self, wells: Mapping[str, Collection[str]]) -> None:
        """The wells are others from now on; of one that is no more, nothing shall stand that says it is watched."""
        before, self._wells = self._wells, wells
        for camera, ids in before.items():
            for well in sorted(set(ids) - set(wells.get(camera, ()))):
                if self.broker:
                    self.broker.forget(camera, well)
        for publisher in self._shown:
            publisher.show(wells)

    def add(self, publisher: Publisher) -> None:
        """One more who is told from now on; it is open already."""
        self._publishers.append(publisher)

    def tell(self, alarms: Alarms, events: Sequence[AlarmEvent], answers: Sequence[Answer] = ()) -> None:
        """What a step changed in a camera's alarms, and the answers to the commands that it obeyed."""
        self._store.record(events, {alarms.camera: alarms.memory()}, answers)
        self.publish(events)

    def tell_test(self, events: Sequence[AlarmEvent]) -> None:
        """Events of a self-test: numbered, kept and told like all others, but no camera remembers them."""
        self._store.record(events)
        self.publish(events)

    def publish(self, messages: Sequence[Message]) -> None:
        """Events must have been kept before; see ``tell``."""
        for message in messages:
            if isinstance(message, AlarmEvent):
                _LOG.warning("alarm.changed", **_brief(message))
            for publisher in self._publishers:
                self._hand_over(publisher, message)

    def look_after(self, at: datetime, time_s: float, *, lost: Collection[str] = ()) -> None:
        """To be called at least every second: is everything kept and told? If not, that is an alarm of its own.

        ``lost`` names other parts that do not work and are no alarm, since what they do is done another way.
        """
        if time_s - self._store_s >= STORE_EVERY_S:
            self._store_s = time_s
            self._store.tick()
            if self.broker:
                self.broker.revive()
        moment = Moment(at=at, time_s=time_s)
        for notice in self._store.notices():
            self._tell_storage(active=True, moment=replace(moment, reason=notice))
        self._tell_storage(active=bool(self._store.degraded), moment=replace(moment, reason=self._store.trouble))
        self.tell(self.site_alarms, self.site_alarms.tick(moment))
        degraded = (*self._store.degraded, *(["events"] if "JsonlPublisher" in self._failing else []), *lost)
        if degraded != self.degraded:
            self.degraded = degraded
            self.publish([SiteStatus(degraded=degraded)])

    def dismiss(self, cameras: Collection[str], site: build.Site, at: datetime, time_s: float) -> None:
        """These cameras are no longer configured: none of their alarms stays active, and nobody watches them."""
        for camera in sorted(cameras):
            alarms = build.alarms(camera, site, self._store.memory(camera))
            moment = Moment(at=at, time_s=time_s, reason="the camera is no longer configured")
            self.tell(alarms, [event for well in alarms.known() for event in alarms.forget(well, moment)])
            gone = CameraStatus(
                camera=camera,
                state=CameraState.BLIND,
                reason=moment.reason,
                fps=0.0,
                last_frame_age_s=None,
                at=at,
                since=at,
            )
            self.publish([gone])

    def _tell_storage(self, *, active: bool, moment: Moment) -> None:
        event = self.site_alarms.set_active(Condition.STORAGE, None, active=active, moment=moment)
        self.tell(self.site_alarms, [event] if event else [])

    def _hand_over(self, publisher: Publisher, message: Message) -> None:
        """One way that fails, such as a full disk, must not keep the others from telling."""
        name = type(publisher).__name__
        try:
            publisher.publish(message)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the others tell and the cameras are watched
            if name not in self._failing:
                fault = None if isinstance(exc, PublishError) else exc
                _LOG.error("publish.failed", publisher=name, reason=str(exc), exc_info=fault)
            self._failing.add(name)
        else:
            if isinstance(message, AlarmEvent):
                self._failing.discard(name)


def _brief(event: AlarmEvent) -> dict[str, object]:
    names = ("id", "seq", "camera", "well", "condition", "state", "score", "delay_ms")
    return {name: getattr(event, name) for name in names}
