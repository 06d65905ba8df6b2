"""The figures for Prometheus, read back by Prometheus's own parser; and the dashboard that draws them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from spillwatch.metrics import Figures, Metrics
from spillwatch.publish.base import Counters
from spillwatch.records import AlarmState, CameraState, CameraStatus, CaptureCounters, Condition, WellState
from tests.conftest import ROOT
from tests.support.page import TOKEN, DrawnSite, Served
from tests.support.publishers import AT, alarm_event

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DASHBOARD = ROOT / "docs" / "grafana.json"


def figures() -> Figures:
    captures = CaptureCounters(frames=1000, dropped=7, damaged=3, reconnects=2, stalls=1, lag_s=0.125)
    status = CameraStatus(
        camera="cam1", state=CameraState.DEGRADED, reason="common cause", fps=24.5, last_frame_age_s=0.04, at=AT,
        wells={WellState.WATCHING: 82, WellState.OBSTRUCTED: 2},
    )  # fmt: skip
    lost = {"well": None, "condition": Condition.CAMERA_LOST, "state": AlarmState.ACKNOWLEDGED}
    return Figures(
        captures={"cam1": captures},
        statuses=[status],
        alarms=[alarm_event(1), alarm_event(2, well="3L5"), alarm_event(3, **lost)],
        degraded=["history"],
        delivery=Counters(connections=2, acknowledged=90, denied=1, commands=5),
        connected=True,
        outbox=4,
        loop_age_s=0.25,
        device="cuda",
        device_losses=2,
    )


def watched(now_s: float = 105.0) -> Metrics:
    metrics = Metrics(figures, site="line", version="0.1.0", clock=lambda: now_s)
    metrics.stepped("cam1", 100.0, took_s=0.015, scores=84)
    metrics.stepped("cam1", 102.0, took_s=0.3, scores=0)
    raised = alarm_event(1, id="cam1/3L4/spill/x.1")
    for event in (raised, replace(raised, id="cam1/3L4/spill/x.2")):
        metrics.publish(event)
    return metrics


def samples(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_figure_has_its_place() -> None:
    told = samples(watched())
    expected = {
        "spillwatch_info,site=line,version=0.1.0": 1,
        "spillwatch_loop_age_seconds": 0.25,
        "spillwatch_degraded": 1,
        "spillwatch_on_gpu": 1,
        "spillwatch_gpu_losses_total": 2,
        "spillwatch_frames_total,camera=cam1": 1000,
        "spillwatch_dropped_total,camera=cam1": 7,
        "spillwatch_damaged_total,camera=cam1": 3,
        "spillwatch_reconnects_total,camera=cam1": 2,
        "spillwatch_stalls_total,camera=cam1": 1,
        "spillwatch_capture_lag_seconds,camera=cam1": 0.125,
        "spillwatch_scores_total,camera=cam1": 84,
        "spillwatch_frame_age_seconds,camera=cam1": 3,
        "spillwatch_score_age_seconds,camera=cam1": 5,
        "spillwatch_camera_state,camera=cam1,state=watching": 0,
        "spillwatch_camera_state,camera=cam1,state=degraded": 1,
        "spillwatch_camera_fps,camera=cam1": 24.5,
        "spillwatch_wells,camera=cam1,state=watching": 82,
        "spillwatch_wells,camera=cam1,state=obstructed": 2,
        "spillwatch_alarms,camera=cam1,condition=spill,state=unacknowledged": 2,
        "spillwatch_alarms,camera=cam1,condition=camera_lost,state=acknowledged": 1,
        "spillwatch_alarms_raised_total,camera=cam1,condition=spill": 1,
        "spillwatch_step_seconds_bucket,camera=cam1,le=0.02": 1,
        "spillwatch_step_seconds_bucket,camera=cam1,le=0.5": 2,
        "spillwatch_step_seconds_count,camera=cam1": 2,
        "spillwatch_mqtt_connected": 1,
        "spillwatch_mqtt_connections_total": 2,
        "spillwatch_mqtt_published_total": 90,
        "spillwatch_mqtt_denied_total": 1,
        "spillwatch_mqtt_commands_total": 5,
        "spillwatch_outbox_events": 4,
    }
    assert expected.items() <= told.items()
    assert told["spillwatch_process_resident_memory_bytes"] > 1e6


def test_the_dashboard_draws_only_what_there_is_and_asks_nobody_for_a_data_source_by_name() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    named = {name for query in queries for name in re.findall(r"spillwatch_\w+", query)}
    known = {sample.partition(",")[0] for sample in samples(watched())}
    assert len(queries) >= 12
    assert named <= known
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"] if "targets" in panel} == {"${datasource}"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    labels = set(re.findall(r"by \((\w+)", " ".join(queries)))
    assert labels <= {"camera", "condition", "state", "le"}


def test_prometheus_gets_in_by_the_token_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spillwatch.page.guard.WRONG_TOKEN_S", 0.0)
    with Served(DrawnSite(tmp_path), tmp_path, metrics=watched().text) as served:
        reply, text = served.ask("GET", "/metrics", Cookie="", Authorization=f"Bearer {TOKEN}")
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b'spillwatch_frames_total{camera="cam1"} 1000' in text
        for wrong in ("Bearer 0123456789abcdeg", "Bearer", f"Basic {TOKEN}", ""):
            reply, text = served.ask("GET", "/metrics", Cookie="", Authorization=wrong)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert b"spillwatch_" not in text
        assert served.ask("GET", "/metrics")[0].status == 200  # a browser that may see the page


def test_without_metrics_there_is_no_such_address(tmp_path: Path) -> None:
    with Served(DrawnSite(tmp_path), tmp_path) as served:
        assert served.ask("GET", "/metrics", Authorization=f"Bearer {TOKEN}")[0].status == 404
