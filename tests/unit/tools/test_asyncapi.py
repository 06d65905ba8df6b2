"""The AsyncAPI document itself; what is really sent is held against it in tests/system."""

from __future__ import annotations

import json

import pytest

from spillwatch.records import encode
from tests.support.asyncapi import Contract
from tests.support.publishers import alarm_event
from tools import asyncapi


def test_the_file_is_what_the_records_say() -> None:
    assert asyncapi.PATH.read_text(encoding="utf-8") == asyncapi.text(), "run: python -m tools.asyncapi"


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()

    def follow(node: object) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target: object = document
                for step in node["$ref"].removeprefix("#/").split("/"):
                    assert isinstance(target, dict)
                    target = target[step]
            for part in node.values():
                follow(part)
        elif isinstance(node, list):
            for part in node:
                follow(part)

    follow(document)


@pytest.mark.parametrize(
    ("topic", "channel"),
    [
        ("a/b/status", "status"),
        ("a/b/cam1/status", "cameraStatus"),
        ("a/b/cam1/3L4/state", "wellState"),
        ("a/b/cam1/3L4/alarm", "wellAlarm"),
        ("a/b/-/alarm", "cameraAlarm"),
        ("a/b/alarms", "alarms"),
        ("a/b/cmd", "command"),
        ("a/b/cmd/result", "result"),
        ("a/c/alarms", None),
    ],
)
def test_a_topic_has_one_channel(topic: str, channel: str | None) -> None:
    assert Contract("a/b").channel(topic) == channel


def test_the_judge_of_the_tests_is_strict() -> None:
    contract = Contract("a/b")
    good = json.loads(encode(alarm_event(1)))

    def faults(**changes: object) -> list[str]:
        return contract.faults("a/b/alarms", json.dumps(good | changes))

    assert not faults()
    assert faults(new_key=1)
    assert faults(at="2026-11-24 10:00")
    assert faults(state="purple")
    assert faults(score="0.1")
    assert contract.faults("a/b/alarms", json.dumps({key: good[key] for key in good if key != "seq"}))
    assert contract.faults("a/b/alarms", json.dumps(good), retained=True)
    assert contract.faults("a/b/cmd", '{"command":"ack","well":"3L4"}')
    assert not contract.faults("a/b/cmd", '{"command":"ack","well":"3L4","by":"anna"}')
