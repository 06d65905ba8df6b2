"""Settings into wired parts: the only place that names concrete classes."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import cv2
from threadpoolctl import threadpool_limits

from spillwatch import profile
from spillwatch.config import AlarmSettings
from spillwatch.errors import ConfigError
from spillwatch.model import bundle as bundles
from spillwatch.model.scoring import Scorer
from spillwatch.publish.base import Identity
from spillwatch.publish.homeassistant import HomeAssistant
from spillwatch.publish.jsonl import JsonlPublisher
from spillwatch.publish.mqtt import MqttPublisher
from spillwatch.publish.tls import tls_context
from spillwatch.sources.rtsp import RtspSource
from spillwatch.sources.usb import UsbSource
from spillwatch.store.keeping import Store
from spillwatch.watch.alarms import Alarms
from spillwatch.watch.detection import ScoreScale, SpillDetector
from spillwatch.watch.health import Health
from spillwatch.watch.obstruction import ObstructionDetector
from spillwatch.watch.pipeline import Deciders, Pipeline
from spillwatch.watch.priorities import FloodCounter
from spillwatch.watch.senses import Senses
from spillwatch.wells import wellmap
from spillwatch.wells.cropping import Cropper
from spillwatch.wells.looking import Looker
from spillwatch.wells.painting import Painter
from spillwatch.wells.registration import Registrar
from spillwatch.wells.surround import Surround

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spillwatch.config import CameraSettings, DetectionSettings, ModelSettings, Settings
    from spillwatch.model.bundle import Bundle
    from spillwatch.page.base import Site as PageSite
    from spillwatch.publish.base import Outbox, Publisher, WellsPublisher
    from spillwatch.records import U8, Memory, Wells
    from spillwatch.sources.base import Source
    from spillwatch.sources.ring import PacketRing


def check(settings: Settings) -> str:
    """Look at every file that the settings name; a summary of what will be watched. Raises what is wrong first."""
    model = judge(settings.model).bundle.name
    if settings.model.shadow:
        judge(settings.model.model_copy(update={"path": settings.model.shadow, "threshold": None}))
    watched = []
    for camera in settings.cameras:
        wells = wellmap.load(camera.wells)
        if (luma := wellmap.reference_luma(wells)) is not None:
            wellmap.check_fits(wells, width=luma.shape[1], height=luma.shape[0])
        profile.detection_for(settings.detection, camera.profile, model)
        camera.password()
        watched.append(f"{camera.id} ({len(wells)} wells)")
    if settings.mqtt.enabled:
        settings.mqtt.password()
        if settings.mqtt.tls:
            tls_context(settings.mqtt)
    if settings.page.enabled:
        settings.page.token()
    return f"cameras {', '.join(watched) or 'none'}; model {model}; topics under {settings.base_topic}/"


def one_core_each() -> None:
    """Small arrays on one core each: decoding and analysis already overlap, and more threads only get in the way."""
    threadpool_limits(1)  # numpy's matrix products
    os.environ["OMP_NUM_THREADS"] = "1"  # torch, which reads it if a model needs torch at all
    cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class Judge:
    """A model ready to score, shared by all cameras."""

    bundle: Bundle
    scorer: Scorer
    scale: ScoreScale


def model_path(settings: ModelSettings) -> Path:
    """The file of the model that the settings name."""
    return settings.path or bundles.default_path()


def judge(settings: ModelSettings, *, wait_for_device: bool = True) -> Judge:
    """Load the model that the settings name, or the bundled one; see ``Scorer``."""
    path = model_path(settings)
    bundle = bundles.load(path)
    threshold = settings.threshold or bundle.threshold
    try:
        scale = ScoreScale(
            normal=bundle.normal_quantiles["0.5"], threshold=threshold, spill=bundle.spill_quantiles["0.5"]
        )
    except ValueError as exc:
        raise ConfigError(f"model.threshold with model {path}: {exc}") from exc
    return Judge(bundle, Scorer(bundle, settings.device, wait_for_device=wait_for_device), scale)


@dataclass(frozen=True, slots=True)
class Site:
    """What its cameras share: the model, the rules of alarms, the numbers of events and alarms, and whether pictures of
    spills are kept."""

    judge: Judge
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    next_seq: Callable[[], int] = field(default_factory=lambda: itertools.count(1).__next__)
    flood: FloodCounter = field(default_factory=FloodCounter)
    evidence: bool = False


def pipeline(
    camera: str,
    wells: Wells,
    detection: DetectionSettings,
    *,
    site: Site,
    memory: Memory | None = None,
    media_clock: bool = False,
    reference: U8 | None = None,
) -> Pipeline:
    """One camera's way from frames to events.

    With a ``memory`` its alarms go on as they were before a restart; ``reference`` is (H, W) uint8 luma, by default the
    wells file's.
    """
    judge, surround = site.judge, Surround(wells)
    reference = wellmap.reference_luma(wells) if reference is None else reference
    senses = Senses(
        look=Looker(wells, reference),
        align=Registrar(wells, reference),
        crop=Cropper(wells, judge.bundle.preprocessing),
        surround=surround,
        scorer=judge.scorer,
        paint=Painter(wells),
    )
    deciders = Deciders(
        health=Health(),
        obstruction=ObstructionDetector(surround.apart, wells.in_service, alarm_after_s=detection.obstructed_after_s),
        detector=detector(len(wells), judge, detection),
    )
    told = alarms(camera, site, memory)
    return Pipeline(wells, senses=senses, deciders=deciders, alarms=told, media_clock=media_clock)


def alarms(camera: str, site: Site, memory: Memory | None) -> Alarms:
    """The alarms of a camera, or of the site itself."""
    return Alarms(
        camera,
        model=site.judge.bundle.name,
        next_seq=site.next_seq,
        settings=site.alarms,
        flood=site.flood,
        evidence=site.evidence,
        memory=memory,
    )


def test_alarms(camera: str, site: Site) -> Alarms:
    """Those of one self-test, which count in no flood but have their numbers among all events."""
    return Alarms(camera, model=site.judge.bundle.name, next_seq=site.next_seq)


def detector(wells: int, judge: Judge, detection: DetectionSettings) -> SpillDetector:
    """The evidence of so many wells."""
    return SpillDetector(wells, judge.scale, **detection.model_dump(exclude={"obstructed_after_s"}))


def source(camera: CameraSettings, ring: PacketRing | None = None) -> Source:
    """Where a camera's frames come from; a network camera's packets go into the ``ring`` as well."""
    return RtspSource(camera, ring) if camera.kind == "rtsp" else UsbSource(camera)


def broker(
    settings: Settings, *, outbox: Outbox | None = None, wake: Callable[[], None] | None = None, replay: bool = False
) -> MqttPublisher:
    """The MQTT publisher; a replay is a client of its own beside the daemon, and gives up where the daemon waits."""
    identity = _identity(settings, suffix="-replay" * replay)
    return MqttPublisher(settings.mqtt, identity, outbox=outbox, wake=wake, wait_for_broker=replay)


def mirrors(settings: Settings, broker: MqttPublisher | None) -> Iterator[WellsPublisher]:
    """Those who tell the same in another language."""
    if settings.homeassistant.enabled and broker:
        yield HomeAssistant(settings.homeassistant.prefix, _identity(settings), broker.retain)
    if settings.sparkplug.enabled:
        from spillwatch.publish.sparkplug import SparkplugPublisher  # who has no SCADA needs no protobuf in memory

        own = settings.sparkplug.model_copy(update={"node": settings.sparkplug.node or settings.site})
        yield SparkplugPublisher(own, settings.mqtt, identity=_identity(settings))


def _identity(settings: Settings, *, suffix: str = "") -> Identity:
    client_id = (settings.mqtt.client_id or f"spillwatch-{settings.site}") + suffix
    return Identity(base=settings.base_topic, client_id=client_id, version=version("spillwatch"))


def store(settings: Settings) -> Store:
    """What survives a restart; without MQTT nobody takes events from its outbox."""
    return Store(settings.state, deliver=settings.mqtt.enabled)


def page(settings: Settings, site: PageSite, metrics: Callable[[], bytes] | None = None) -> Publisher:
    """The operators' page, and the text of its /metrics."""
    from spillwatch.page.server import Page  # who has no page needs no web server in memory

    return Page(settings.page, site, version=version("spillwatch"), metrics=metrics)


def event_log(path: Path, *, append: bool) -> JsonlPublisher:
    """The JSON lines file."""
    return JsonlPublisher(path, append=append)
