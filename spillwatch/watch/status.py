"""What subscribers may count on: camera and well statuses, told when they change and at a steady pace besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spillwatch.records import HEARTBEAT_S, CameraState, CameraStatus, WellState, WellStatus

if TYPE_CHECKING:
    from datetime import datetime

    from spillwatch.records import Frame, SelfTest
    from spillwatch.watch.pipeline import Pipeline


class StatusBoard:
    """The statuses of one camera; ``last`` is what was told of it last."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._wells: list[WellState | None] = [None] * len(pipeline.wells)
        self._told: tuple[CameraState, str | None, SelfTest | None] | None = None
        self._told_s = 0.0
        self._since: tuple[CameraState, datetime] | None = None
        self._frames = 0
        self._last_frame_s: float | None = None
        self._last_score_s: float | None = None
        self.last: CameraStatus | None = None
        self.self_test: SelfTest | None = None

    def count(self, frame: Frame) -> int:
        """A frame has been through the pipeline; how many wells have a score in it."""
        self._frames += 1
        self._last_frame_s = frame.time_s
        view = self._pipeline.view
        scored = np.isfinite(view.scores).sum() if view is not None and view.time_s == frame.time_s else 0
        if scored:
            self._last_score_s = frame.time_s
        return int(scored)

    def update(self, at: datetime, time_s: float) -> list[CameraStatus | WellStatus]:
        """The statuses that are due now; wells first, so that no camera says "watching" before its wells do."""
        due: list[CameraStatus | WellStatus] = []
        states = self._pipeline.well_states()
        if states != self._wells:
            news = zip(self._pipeline.wells.ids, states, self._wells, strict=True)
            due += [
                WellStatus(camera=self._pipeline.camera, well=well, state=state, at=at, since=at)
                for well, state, told in news
                if state != told
            ]
            self._wells = list(states)
        now = (self._pipeline.camera_state, self._pipeline.reason, self.self_test)
        elapsed_s = time_s - self._told_s
        if now != self._told or elapsed_s >= HEARTBEAT_S:
            self.last = self._camera_status(states, at, time_s, elapsed_s)
            due.append(self.last)
            self._told, self._told_s, self._frames = now, time_s, 0
        return due

    def _camera_status(self, wells: list[WellState], at: datetime, time_s: float, elapsed_s: float) -> CameraStatus:
        state = self._pipeline.camera_state
        if self._since is None or self._since[0] != state:
            self._since = state, at
        counts = {kind: wells.count(kind) for kind in WellState}
        if state == CameraState.BLIND:
            counts[WellState.WATCHING] = 0
        return CameraStatus(
            camera=self._pipeline.camera,
            state=state,
            reason=self._pipeline.reason,
            fps=round(self._frames / elapsed_s, 2) if self._told and elapsed_s > 0 else 0.0,
            last_frame_age_s=_age_s(self._last_frame_s, time_s),
            at=at,
            since=self._since[1],
            last_score_age_s=_age_s(self._last_score_s, time_s),
            wells=counts,
            self_test=self.self_test,
        )


def _age_s(then_s: float | None, now_s: float) -> float | None:
    return None if then_s is None else round(max(now_s - then_s, 0.0), 3)
