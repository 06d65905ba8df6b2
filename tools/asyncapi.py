"""Writes docs/asyncapi.yaml: every topic and payload as AsyncAPI 3.0, taken from the records that are sent.

python -m tools.asyncapi            write it
python -m tools.asyncapi --check    exit 1 if it is not what would be written
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from spillwatch.records import AlarmEvent, Answer, CameraSpills, CameraStatus, WellStatus
from spillwatch.watch.commands import CommandRequest

PATH = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"
MQTT_BINDING = "0.2.0"

_REFERENCE = "#/components/schemas/{model}"
_PARAMETERS = {
    "base": "First levels of every topic: spillwatch/{site}, unless mqtt.base says otherwise.",
    "camera": "A camera's id; '-' is the site itself, in alarms such as storage.",
    "well": "A well's id.",
}
_ANSWER_TOPIC = "The response topic of the command's MQTT 5 properties; without one, {base}/cmd/result."

# address, message, retained, who acts, what it is
_CHANNELS = {
    "status": ("{base}/status", "SitePresence", True, "send", "Whether spillwatch is there. Also the last will."),
    "cameraStatus": (
        "{base}/{camera}/status",
        "CameraStatus",
        True,
        "send",
        "Whether a camera's wells are watched, and how well; repeated every heartbeat_s.",
    ),
    "wellState": ("{base}/{camera}/{well}/state", "WellStatus", True, "send", "Whether one well is watched."),
    "wellAlarm": (
        "{base}/{camera}/{well}/alarm",
        "AlarmEvent",
        True,
        "send",
        "The latest alarm event of a well.",
    ),
    "cameraAlarm": (
        "{base}/{camera}/alarm",
        "AlarmEvent",
        True,
        "send",
        "The latest alarm event of the camera itself.",
    ),
    "spills": (
        "{base}/{camera}/spills",
        "CameraSpills",
        True,
        "send",
        "The wells that spill now; only with homeassistant.enabled.",
    ),
    "alarms": ("{base}/alarms", "AlarmEvent", False, "send", "Every alarm event, in the order of seq; none is lost."),
    "command": ("{base}/cmd", "CommandRequest", False, "receive", "What people ask of alarms and wells."),
    "result": ("{base}/cmd/result", "Answer", False, "send", "What became of a command that named no response topic."),
}

_PRESENCE = {
    "title": "SitePresence",
    "description": "Treat online false as blindness, not as calm. since is null in the last will, which cannot know "
    "when it will be sent; degraded names what fails (storage, history, events, gpu) and is there while online.",
    "type": "object",
    "properties": {
        "online": {"type": "boolean"},
        "version": {"type": "string"},
        "since": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "degraded": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["online", "version", "since"],
}


def document() -> dict[str, Any]:
    """The whole of it, as plain values."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "spillwatch",
            "version": "1.0.0",
            "description": "Which well of an aluminium casting table spills. JSON on one line, UTF-8, QoS 1; times are "
            "RFC 3339 in UTC. New keys may be added: ignore those you do not know.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {name: _channel(*channel) for name, channel in _CHANNELS.items()},
        "operations": {name: _operation(name, *channel) for name, channel in _CHANNELS.items()},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def text() -> str:
    """The file's content."""
    head = "# Made by `python -m tools.asyncapi` from spillwatch/records.py; change that, not this.\n"
    return head + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=110)


def _server() -> dict[str, Any]:
    will = {
        "topic": "{base}/status",
        "qos": 1,
        "retain": True,
        "message": '{"online":false,"version":"…","since":null}',
    }
    return {
        "host": "{host}:{port}",
        "protocol": "mqtt",
        "protocolVersion": "5",
        "description": "The broker of mqtt.host; with mqtt.tls, protocol secure-mqtt.",
        "variables": {"host": {"default": "localhost"}, "port": {"default": "1883"}},
        "bindings": {"mqtt": {"lastWill": will, "keepAlive": 10, "bindingVersion": MQTT_BINDING}},
    }


def _channel(address: str, message: str, _retain: bool, _action: str, description: str) -> dict[str, Any]:
    names = [name for name in _PARAMETERS if f"{{{name}}}" in address]
    return {
        "address": address,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "parameters": {name: {"description": _PARAMETERS[name]} for name in names},
    }


def _operation(name: str, _address: str, message: str, retain: bool, action: str, _about: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"}],
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": MQTT_BINDING}},
    }
    if name == "command":
        operation["reply"] = {
            "address": {"location": "$message.header#/responseTopic", "description": _ANSWER_TOPIC},
            "messages": [{"$ref": "#/channels/result/messages/Answer"}],
            "channel": {"$ref": "#/channels/result"},
        }
    return operation


def _messages() -> dict[str, Any]:
    names = dict.fromkeys(message for _, message, *_ in _CHANNELS.values())
    messages: dict[str, Any] = {}
    for name in names:
        messages[name] = {"name": name, "payload": {"$ref": _REFERENCE.format(model=name)}}
    messages["CommandRequest"]["headers"] = {
        "type": "object",
        "description": "MQTT 5 properties, both optional; the correlation data come back with the answer.",
        "properties": {"responseTopic": {"type": "string"}, "correlationData": {"type": "string"}},
    }
    return messages


def _schemas() -> dict[str, Any]:
    kinds = (AlarmEvent, CameraStatus, WellStatus, CameraSpills, Answer, CommandRequest)
    schemas: dict[str, Any] = {"SitePresence": _PRESENCE}
    for kind in kinds:
        mode = "validation" if kind is CommandRequest else "serialization"
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template=_REFERENCE)
        schemas |= {name: _told(part) for name, part in schema.pop("$defs", {}).items()}
        if mode == "serialization":
            schema["required"] = list(schema["properties"])  # what is sent has every key
        for part in schema["properties"].values():
            for key in ("default", "title"):  # what its name says already
                part.pop(key, None)
        schemas[kind.__name__] = _told(schema) | {"description": _prose(kind)}
    return schemas


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    """Docstrings of enumerations too are wrapped for editors, not for readers."""
    return schema | {"description": " ".join(schema["description"].split())} if "description" in schema else schema


def _prose(kind: type) -> str:
    text = (inspect.getdoc(kind) or "").replace("``", "`").replace("None", "null")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def main() -> int:
    """Exit code 1 when --check finds another text."""
    if "--check" in sys.argv[1:]:
        return 0 if PATH.read_text(encoding="utf-8") == text() else 1
    PATH.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
