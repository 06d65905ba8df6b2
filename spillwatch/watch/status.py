"""What subscribers may count on: camera and well statuses, told when they change and at a steady pace besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spillwatch.records import CameraState, CameraStatus, WellState, WellStatus

if TYPE_CHECKING:
    from datetime import datetime

    from spillwatch.records import Frame
    from spillwatch.watch.pipeline import Pipeline

EVERY_S = 5.0
"""A camera's status is repeated this often, so that its age tells whether anybody is still watching."""


class StatusBoard:
    """The statuses of one camera."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._told_wells: dict[str, WellState] = {}
        self._told: tuple[CameraState, str | None] | None = None
        self._told_s = 0.0
        self._frames = 0
        self._last_frame_s: float | None = None

    def count(self, frame: Frame) -> None:
        """A frame was scored."""
        self._frames += 1
        self._last_frame_s = frame.time_s

    def update(self, at: datetime, time_s: float) -> list[CameraStatus | WellStatus]:
        """The statuses that are due now; wells first, so that no camera says "watching" before its wells do."""
        due: list[CameraStatus | WellStatus] = []
        for well, state in zip(self._pipeline.wells.ids, self._pipeline.well_states(), strict=True):
            if self._told_wells.get(well) != state:
                self._told_wells[well] = state
                due.append(WellStatus(camera=self._pipeline.camera, well=well, state=state, at=at))
        now = (self._pipeline.camera_state, self._pipeline.reason)
        elapsed_s = time_s - self._told_s
        if now != self._told or elapsed_s >= EVERY_S:
            due.append(self._camera_status(at, time_s, elapsed_s))
            self._told, self._told_s, self._frames = now, time_s, 0
        return due

    def _camera_status(self, at: datetime, time_s: float, elapsed_s: float) -> CameraStatus:
        seen = self._last_frame_s
        return CameraStatus(
            camera=self._pipeline.camera,
            state=self._pipeline.camera_state,
            reason=self._pipeline.reason,
            fps=round(self._frames / elapsed_s, 2) if self._told and elapsed_s > 0 else 0.0,
            last_frame_age_s=None if seen is None else round(max(time_s - seen, 0.0), 3),
            at=at,
        )
