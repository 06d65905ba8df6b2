"""Telling: one way that fails keeps no other from telling, and evidence keeps no alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from spillwatch import build
from spillwatch.config import EvidenceSettings, ModelSettings, StateSettings
from spillwatch.store.keeping import Store
from spillwatch.telling import Telling
from spillwatch.witness import Witness
from tests.support.publishers import alarm_event
from tests.support.simulated import NORMAL, SPILL, SimulatedLine, frame

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.records import Message


class ListPublisher:
    def __init__(self) -> None:
        self.told: list[Message] = []

    def publish(self, message: Message) -> None:
        self.told.append(message)


class BrokenPublisher:
    """Throws what nobody foresaw."""

    def publish(self, message: Message) -> None:
        raise ValueError(f"cannot encode {message}")


@pytest.mark.logs_error("publish.failed")
def test_a_publisher_with_a_fault_of_its_own_keeps_no_other_from_telling(
    tmp_path: Path, log: list[dict[str, object]]
) -> None:
    with Store(StateSettings(directory=tmp_path), deliver=False) as store:
        telling = Telling(store, build.Site(build.judge(ModelSettings())))
        sound: Any = ListPublisher()
        broken: Any = BrokenPublisher()
        telling.add(broken)
        telling.add(sound)
        events = [alarm_event(1), alarm_event(2)]
        telling.publish(events)
    assert sound.told == events
    assert [entry["event"] for entry in log].count("publish.failed") == 1


class BrokenScorer:
    def errors(self, crops: object) -> None:
        raise RuntimeError(f"out of memory for {crops}")


@pytest.mark.logs_error("evidence.crashed")
def test_evidence_that_cannot_be_made_ends_nothing_else(tmp_path: Path, log: list[dict[str, object]]) -> None:
    line, witness = SimulatedLine(), Witness(EvidenceSettings(), tmp_path)
    (event,) = line.run(2, lambda _: (SPILL, NORMAL, NORMAL))
    line.pipeline.crops = np.zeros((3, 3, 32, 32), np.uint8)
    scorer: Any = BrokenScorer()
    for _ in range(2):
        witness.look(line.pipeline, scorer, frame(line.time_s), [replace(event, evidence="evidence/2026-01-01/x")])
    assert [entry["event"] for entry in log] == ["evidence.crashed"]
