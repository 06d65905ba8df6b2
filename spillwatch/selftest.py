"""A self-test on demand: asked of the daemon over its broker, as any panel may ask."""

from __future__ import annotations

import json
import queue
import secrets
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from spillwatch import viewing
from spillwatch.errors import PublishError

if TYPE_CHECKING:
    from spillwatch.config import Settings

ANSWER_S = 10.0
"""The daemon answers a command within a moment; a busy broker is given longer."""


def order(settings: Settings, *, camera: str | None, well: str | None, by: str) -> dict[str, Any]:
    """What became of one, as the camera's status tells it, with the camera's name.

    Raises PublishError when it is refused, when no daemon answers, or when nothing more is heard of it.
    """
    heard: viewing.Heard = queue.SimpleQueue()
    site = viewing.Site(settings.base_topic, since_s=time.monotonic())
    with viewing.connected(settings, heard.put) as client:
        viewing.gather(site, heard)
        viewing.check_online(site)
        answer_topic = f"{site.base}/cmd/result/{secrets.token_hex(8)}"
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = answer_topic
        asked = {"command": "self_test", "camera": camera, "well": well, "by": by}
        client.publish(f"{site.base}/cmd", json.dumps(asked), qos=1, properties=properties)
        _, answer = _next(heard, lambda topic, _: topic == answer_topic, within_s=ANSWER_S)
        if not answer["ok"]:
            raise PublishError(answer["refused"])

        def ended(topic: str, told: dict[str, Any]) -> bool:
            here = topic.endswith("/status") and topic.count("/") == site.base.count("/") + 2
            meant = here and camera in (None, told.get("camera"))
            test = told.get("self_test")
            return bool(meant and test and test["at"] >= answer["at"])  # RFC 3339 of one kind sorts as text

        _, status = _next(heard, ended, within_s=settings.self_test.timeout_s + ANSWER_S)
    return {"camera": status["camera"], **status["self_test"]}


def _next(heard: viewing.Heard, wanted: Any, *, within_s: float) -> tuple[str, dict[str, Any]]:
    for topic, payload in viewing.messages(heard, until_s=time.monotonic() + within_s):
        try:
            told = json.loads(payload)
        except ValueError:
            continue
        if isinstance(told, dict) and wanted(topic, told):
            return topic, told
    raise PublishError(f"nothing was heard of the self-test within {within_s:g} s; see the daemon's log")
