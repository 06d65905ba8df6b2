"""Home Assistant finds the cameras by itself: MQTT discovery, one device per camera.

A well's latest alarm event may be about something else than its spill, and there is none before the first; so which
wells spill stands in a retained topic of its own, ``{base}/{camera}/spills``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from spillwatch.records import (
    HEARTBEAT_S,
    SITE,
    AlarmEvent,
    AlarmState,
    CameraSpills,
    Condition,
    Message,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from spillwatch.publish.base import Identity

EXPIRES_S = round(3 * HEARTBEAT_S)
"""A camera whose status is older than this is shown as unavailable."""

_ASIDE = (AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE)
_GONE = {"platform": "binary_sensor"}  # what takes one entity away from a device


class HomeAssistant:
    """Keeps the discovery messages and the spills right; ``retain`` is what puts a value on a topic of the broker."""

    def __init__(self, prefix: str, identity: Identity, retain: Callable[[str, str], None]) -> None:
        self._prefix = prefix
        self._identity = identity
        self._retain = retain
        self._wells: dict[str, list[str]] = {}
        self._gone: dict[str, set[str]] = {}
        self._spills: dict[str, set[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """What it has said stays: availability tells that nobody is there."""

    def show(self, wells: Mapping[str, Collection[str]]) -> None:
        """The cameras and their wells are these."""
        for camera in self._wells.keys() - wells.keys():
            del self._wells[camera]
            self._spills.pop(camera, None)
            self._retain(self._config_topic(camera), "")
            self._retain(self._spills_topic(camera), "")
        for camera, ids in wells.items():
            if camera == SITE or self._wells.get(camera) == list(ids):
                continue
            self._gone[camera] = (self._gone.get(camera, set()) | set(self._wells.get(camera, ()))) - set(ids)
            self._wells[camera] = list(ids)
            self._spills[camera] = self._spills.get(camera, set()) & set(ids)
            config = json.dumps(self._device(camera), ensure_ascii=False, separators=(",", ":"))
            self._retain(self._config_topic(camera), config)
            self._tell(camera, datetime.now(UTC))

    def publish(self, message: Message) -> None:
        """An event may change which wells spill."""
        if isinstance(message, AlarmEvent) and self._take(message) and message.camera in self._wells:
            self._tell(message.camera, message.at)

    def _take(self, event: AlarmEvent) -> bool:
        """Whether it changes which wells spill. A spill that is shelved must not sound a siren."""
        if event.condition != Condition.SPILL or event.well is None or event.test:
            return False
        spills = self._spills.setdefault(event.camera, set())
        before = event.well in spills
        now = event.active and event.state not in _ASIDE
        (spills.add if now else spills.discard)(event.well)
        return now != before

    def _tell(self, camera: str, at: datetime) -> None:
        wells = tuple(well for well in self._wells[camera] if well in self._spills[camera])
        self._retain(self._spills_topic(camera), encode(CameraSpills(camera=camera, wells=wells, at=at)))

    # Topics and discovery messages

    def _spills_topic(self, camera: str) -> str:
        return f"{self._identity.base}/{camera}/spills"

    def _config_topic(self, camera: str) -> str:
        return f"{self._prefix}/device/{re.sub(r'[^A-Za-z0-9_-]', '_', self._name(camera))}/config"

    def _name(self, *parts: str) -> str:
        return "_".join([*self._identity.base.split("/"), *parts])

    def _device(self, camera: str) -> dict[str, Any]:
        """The discovery message; what all entities share stands at its root."""
        base = self._identity.base
        here = {"topic": f"{base}/status", "value_template": "{{ 'online' if value_json.online else 'offline' }}"}
        sees = {
            "topic": f"{base}/{camera}/status",
            "value_template": "{{ 'offline' if value_json.state == 'blind' else 'online' }}",
        }
        components = {f"{well}_spill": dict(_GONE) for well in sorted(self._gone[camera])}
        components |= {f"{well}_spill": self._well(camera, well) for well in self._wells[camera]}
        components["problem"] = self._problem(camera, here)
        return {
            "device": {
                "identifiers": [self._name(camera)],
                "name": f"{base} {camera}",
                "manufacturer": "spillwatch",
                "sw_version": self._identity.version,
            },
            "origin": {"name": "spillwatch", "sw_version": self._identity.version},
            "state_topic": self._spills_topic(camera),
            "availability": [here, sees],
            "availability_mode": "all",
            "qos": 1,
            "components": components,
        }

    def _well(self, camera: str, well: str) -> dict[str, Any]:
        return _GONE | {
            "unique_id": self._name(camera, well, "spill"),
            "name": f"Spill {well}",
            "device_class": "problem",
            "value_template": f"{{{{ 'ON' if '{well}' in value_json.wells else 'OFF' }}}}",
            "json_attributes_topic": f"{self._identity.base}/{camera}/{well}/alarm",
        }

    def _problem(self, camera: str, here: dict[str, str]) -> dict[str, Any]:
        topic = f"{self._identity.base}/{camera}/status"
        return _GONE | {
            "unique_id": self._name(camera, "problem"),
            "name": "Camera",
            "device_class": "problem",
            "state_topic": topic,
            "value_template": "{{ 'OFF' if value_json.state == 'watching' else 'ON' }}",
            "json_attributes_topic": topic,
            "expire_after": EXPIRES_S,
            "availability": [here],
        }
