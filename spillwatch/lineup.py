"""The cameras of a site, each with its pipeline: made from settings, and made over without losing what they know."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spillwatch import build, inputs, profile
from spillwatch.errors import ConfigError
from spillwatch.model import bundle
from spillwatch.store import plates
from spillwatch.watch.status import StatusBoard
from spillwatch.watch.trends import Minute
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from spillwatch.config import CameraSettings, Settings
    from spillwatch.records import Memory, Wells
    from spillwatch.sources.live import LiveCamera
    from spillwatch.watch.pipeline import Pipeline

FIXED = ("site", "mqtt", "homeassistant", "sparkplug", "events", "state", "evidence", "page", "log")
"""Sections that take a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One camera and all that is its own; cameras share the model and the publishers, nothing else.

    ``made_from`` is a digest of all that its pipeline was made from.
    """

    settings: CameraSettings
    camera: LiveCamera
    pipeline: Pipeline
    board: StatusBoard
    minute: Minute
    made_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """All units, and the model that they share with the digest of its file."""

    units: tuple[Unit, ...]
    site: build.Site
    model: str


def check(settings: Settings) -> None:
    """Raises ConfigError when there is nothing to watch."""
    if not settings.cameras:
        raise ConfigError("no camera is configured; add a [[cameras]] section, as config.example.toml shows")


def draw_up(settings: Settings, next_seq: Callable[[], int], cameras: Cameras) -> Lineup:
    """Nothing is started. Raises SpillwatchError for settings and files that cannot be used."""
    evidence = settings.evidence.enabled
    judge = build.judge(settings.model, wait_for_device=False)
    site = build.Site(judge, settings.alarms, next_seq=next_seq, evidence=evidence)
    lineup = Lineup(units=(), site=site, model=_model_digest(settings))
    return replace(lineup, units=tuple(_unit(settings, camera, lineup, cameras) for camera in settings.cameras))


def make_over(old: Lineup, settings: Settings, before: Settings, cameras: Cameras) -> Lineup:
    """What other settings make of it; cameras and pipelines that stay the same are the same objects.

    Raises SpillwatchError, and has changed nothing, for what cannot be used or takes a restart.
    """
    for name in FIXED:
        if getattr(settings, name) != getattr(before, name):
            raise ConfigError(f"{name} has changed, which takes a restart: systemctl restart spillwatch")
    check(settings)
    model = _model_digest(settings)
    judge = old.site.judge if model == old.model else build.judge(settings.model, wait_for_device=False)
    lineup = Lineup(units=(), site=replace(old.site, judge=judge, alarms=settings.alarms), model=model)
    known = {unit.settings.id: unit for unit in old.units}
    units = [_unit(settings, camera, lineup, cameras, known.get(camera.id)) for camera in settings.cameras]
    return replace(lineup, units=tuple(units))


@dataclass(frozen=True, slots=True)
class Cameras:
    """How to make a camera, and what an earlier run remembers of its alarms."""

    make: Callable[[CameraSettings], LiveCamera]
    memory: Callable[[str], Memory]


def _unit(
    settings: Settings, camera: CameraSettings, lineup: Lineup, cameras: Cameras, old: Unit | None = None
) -> Unit:
    wells = wellmap.load(camera.wells)
    detection = profile.detection_for(settings.detection, camera.profile, lineup.site.judge.bundle.name)
    files = [path for path in (camera.wells, wells.reference) if path]
    made_from = _digest(files, lineup.model, detection.model_dump_json(), settings.alarms.model_dump_json())
    live = old.camera if old and _source(old.settings) == _source(camera) else cameras.make(camera)
    if old and old.made_from == made_from:
        return replace(old, settings=camera, camera=live)
    memory = old.pipeline.alarms.memory() if old else cameras.memory(camera.id)
    pipeline = build.pipeline(camera.id, wells, detection, site=lineup.site, memory=memory)
    if old:
        free = old.pipeline.plates if _same_places(old.pipeline.wells, wells) else None
    else:
        free = plates.kept(settings.state.folder(), camera.id, made_from=made_from)
    if free is not None:
        pipeline.recall(free)
    return Unit(
        settings=camera,
        camera=live,
        pipeline=pipeline,
        board=StatusBoard(pipeline),
        minute=Minute(camera.id, wells.ids),
        made_from=made_from,
    )


def _same_places(one: Wells, other: Wells) -> bool:
    """The same wells at the same places, whatever else is said of them."""
    geometry = zip((one.centres, one.sizes), (other.centres, other.sizes), strict=True)
    return one.ids == other.ids and all(np.array_equal(here, there) for here, there in geometry)


def _source(settings: CameraSettings) -> dict[str, object]:
    """What its frames depend on."""
    return settings.model_dump(exclude={"wells", "profile"})


def _model_digest(settings: Settings) -> str:
    return _digest([build.model_path(settings.model)], settings.model.model_dump_json(exclude={"shadow"}))


def _digest(files: Iterable[Path], *texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    for path in files:
        try:
            content = inputs.read(path, what="file", error=ConfigError, most=bundle.MOST_BYTES, trusted=False)
        except OSError as exc:
            raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
        digest.update(content + b"\0")
    return digest.hexdigest()


def keep_plates(lineup: Lineup, folder: Path) -> None:
    """So that who stands before a well while the daemon restarts does not become its usual look."""
    for unit in lineup.units:
        free = unit.pipeline.plates
        if free is not None:
            plates.keep(folder, unit.settings.id, free, made_from=unit.made_from)


def leave(cameras: Iterable[LiveCamera]) -> list[threading.Thread]:
    """Let cameras go, all at once, since each may take a second; threads to join."""
    threads = [
        threading.Thread(target=camera.__exit__, name=f"leave-{camera.camera_id}", daemon=True) for camera in cameras
    ]
    for thread in threads:
        thread.start()
    return threads
