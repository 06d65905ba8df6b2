"""The driver for archives: every video with every model, over many processes, and what that says of the models."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from pyarrow import ArrowInvalid

from spillwatch import build, profile
from spillwatch.errors import ConfigError, ModelError, PublishError, SpillwatchError
from spillwatch.footage import archive, calibrating, pieces, spreading
from spillwatch.footage.pieces import Kept, KeptStretch, Piece
from spillwatch.footage.results import Result, Watched, combine
from spillwatch.footage.sweep import aligned, shown, summary
from spillwatch.model import bundle as bundles
from spillwatch.outputs import write_text, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from spillwatch.config import DetectionSettings, ModelSettings, Settings
    from spillwatch.footage.archive import Clip
    from spillwatch.footage.spreading import Crew
    from spillwatch.records import Wells

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to watch, with which ``models`` (none: that of the settings), by whom, and where results go."""

    archives: Sequence[Path]
    out: Path
    crew: Crew
    wells: Path | None = None
    models: Sequence[Path] = ()
    budget: str | None = None
    strength: float = 0.7
    on_piece: Callable[[int, int | None], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``models``, ``cameras`` and ``faults`` (videos not watched to their end) are what summary.json holds."""

    models: list[dict[str, Any]]
    cameras: list[dict[str, Any]]
    faults: list[str]
    found_done: int


@dataclass(slots=True, eq=False)
class _Camera:
    """Normal footage of one camera with one model."""

    wells: Wells
    videos: list[Path] = field(default_factory=list)
    stretches: list[KeptStretch] = field(default_factory=list)
    raised: list[tuple[str, str, float]] = field(default_factory=list)


def backtest(settings: Settings, job: Job) -> Outcome:
    """Watch what is not yet watched, then write tables, summary and profiles into ``job.out``."""
    if job.budget:
        calibrating.parse_budget(job.budget)  # before days of watching
    clips = archive.find(job.archives, job.wells)
    models = _models(settings, job.models)
    try:
        (job.out / "pieces").mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise PublishError(f"{job.out} cannot be made: {exc.strerror}; choose another --out") from exc
    wanted = {(clip.name, name): _piece(clip, model, settings.detection) for clip in clips for name, model in models}
    keys = {who: piece.key() for who, piece in wanted.items() if piece}
    todo = {key: wanted[who] for who, key in keys.items() if not _done(_path(job, key))}
    found_done = len(set(keys.values())) - len(todo)
    try:
        faults = _watch(job, {key: piece for key, piece in todo.items() if piece})
    except KeyboardInterrupt as exc:
        exc.add_note(f"what was finished is kept in {job.out}, so run the same command again")
        raise
    every = []
    for clip in clips:
        for name, _model in models:
            key = keys.get((clip.name, name))
            fault = clip.fault if key is None else faults.get(key)
            piece = None if fault or key is None else _path(job, key)
            every.append(Watched(clip=clip, model=name, piece=piece, fault=fault))
    return _summed_up(settings, job, every, found_done)


def _models(settings: Settings, paths: Sequence[Path]) -> list[tuple[str, ModelSettings]]:
    """Names and settings, sorted. Results must not depend on who has a GPU, so `auto` is the CPU here."""
    device = "cpu" if settings.model.device == "auto" else settings.model.device
    models: dict[str, ModelSettings] = {}
    chosen: Sequence[Path | None] = paths or (settings.model.path,)
    for path in chosen:
        model = settings.model.model_copy(update={"path": path.resolve() if path else None, "device": device})
        name = build.judge(model).bundle.name
        if name in models:
            raise ConfigError(f"models {models[name].path} and {path} are the same, {name}; give each once")
        models[name] = model
    return sorted(models.items())


def _piece(clip: Clip, model: ModelSettings, detection: DetectionSettings) -> Piece | None:
    if clip.fault or clip.wells is None:
        return None
    return Piece(
        video=clip.video,
        wells=clip.wells,
        model=model,
        model_digest=pieces.digest_of(model.path or bundles.default_path()),
        detection=detection,
        made_by=pieces.made_by(),
    )


def _path(job: Job, key: str) -> Path:
    return job.out / "pieces" / f"{key}.parquet"


def _done(path: Path) -> bool:
    try:
        Kept.read(path)
    except FileNotFoundError:
        return False
    except (OSError, ArrowInvalid, IndexError) as exc:
        _LOG.warning("backtest.piece_unreadable", path=str(path), reason=str(exc))
        return False
    return True


def _watch(job: Job, todo: dict[str, Piece]) -> dict[str, str]:
    """Have the pieces watched, and keep them; why some could not be, by key."""
    faults: dict[str, str] = {}
    if not todo:
        return faults
    largest_first = sorted(todo, key=lambda key: (-todo[key].video.stat().st_size, key))
    job.on_piece(0, len(todo))
    with closing(spreading.spread(pieces.watch, {key: todo[key] for key in largest_first}, job.crew)) as results:
        for done, (key, result) in enumerate(results, start=1):
            if isinstance(result, bytes):
                _keep(_path(job, key), result)
            elif isinstance(result, ConfigError | ModelError):
                raise result  # would be the same for every piece
            elif isinstance(result, SpillwatchError):
                faults[key] = str(result)
            else:
                _LOG.error("backtest.piece_failed", video=str(todo[key].video), exc_info=result)
                faults[key] = f"{todo[key].video} could not be watched: {type(result).__name__}: {result}"
            job.on_piece(done, len(todo))
    return faults


def _keep(path: Path, content: bytes) -> None:
    """Only this process writes: a piece is there whole or not at all, and never twice."""
    try:
        write_whole(path, content)
    except OSError as exc:
        raise PublishError(f"{path} cannot be written: {exc.strerror}; free some space and run this again") from exc


def _summed_up(settings: Settings, job: Job, every: Sequence[Watched], found_done: int) -> Outcome:
    results = combine(every, job.out)
    cameras = _cameras(results) if job.budget else {}
    outcome = Outcome(
        models=_by_model(results),
        cameras=[_calibrated(settings, job, *who, camera) for who, camera in sorted(cameras.items())],
        faults=sorted({result.fault for result in results if result.fault}),
        found_done=found_done,
    )
    content = {"models": outcome.models, "cameras": outcome.cameras, "faults": outcome.faults}
    write_text(job.out / "summary.json", json.dumps(content, indent=2) + "\n", what="summary")
    return outcome


def _cameras(results: Sequence[Result]) -> dict[tuple[str, str], _Camera]:
    """Normal footage by model and camera; the same wells are one camera, called after its first video."""
    labels: dict[tuple[object, ...], str] = {}
    cameras: dict[tuple[str, str], _Camera] = {}
    for result in results:
        clip, piece, wells = result.watched.clip, result.watched.piece, result.watched.clip.wells
        if piece is None or wells is None or (clip.truth and clip.truth.spills):
            continue
        places = (wells.ids, *(column.tobytes() for column in (wells.centres, wells.sizes, wells.in_service)))
        label = labels.setdefault(places, clip.camera)
        camera = cameras.setdefault((result.watched.model, label), _Camera(wells))
        camera.videos.append(clip.video)
        camera.raised += [(clip.name, well, at_s) for well, at_s in result.raised]
        if stretch := KeptStretch.of(Kept.read(piece), wells):
            camera.stretches.append(stretch)
    return cameras


def _by_model(results: Sequence[Result]) -> list[dict[str, Any]]:
    grouped: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        grouped[result.watched.model].append(result)
    rows = []
    for model, some in grouped.items():
        unjudged = [result for result in some if result.kept and result.score is None]
        rows.append(
            {
                "model": model,
                "videos": sum(result.kept is not None for result in some),
                "cut_short": sum(bool(result.kept and result.fault) for result in some),
                "not_watched": sum(result.kept is None for result in some),
                **summary([result.score for result in some if result.score]),
                "alarms_without_truth": sum(len(result.raised) for result in unjudged),
                "well_hours_without_truth": round(sum(result.well_hours for result in unjudged), 6),
            }
        )
    return rows


def _calibrated(settings: Settings, job: Job, model: str, label: str, camera: _Camera) -> dict[str, Any]:
    """Levels of one camera for the budget, as `calibrate` would find them, and its profile."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{model}-{label}")
    path = job.out / "profiles" / f"{name}.toml"
    footage = calibrating.Footage(wells=camera.wells, model=model, series=camera.stretches, raised=camera.raised)
    row: dict[str, Any] = {"model": model, "camera": label, "videos": len(camera.videos)}
    try:
        wish = calibrating.Job(
            videos=camera.videos, wells=path, profile=path, budget=job.budget or "", strength=job.strength
        )
        found = calibrating.choose(footage, settings.detection, wish)
    except ConfigError as exc:
        return row | {"profile": None, "sentences": [str(exc)]}
    path.parent.mkdir(exist_ok=True)
    profile.save(found.profile, path)
    levels = found.profile.detection.model_dump()
    evidence = found.profile.evidence.model_dump(include={"expected_per_30_days", "expected_delay_s", "fitted", "met"})
    sentences = calibrating.sentences(found)
    return row | {"profile": path.relative_to(job.out).as_posix(), **levels, **evidence, "sentences": sentences}


def table(outcome: Outcome) -> str:
    """The outcome as lines of text: models side by side, then each camera's levels."""
    heads = {
        "videos": "videos",
        "cut_short": "cut short",
        "not_watched": "not watched",
        "spill_count": "spills",
        "missed": "missed",
        "delay_median_s": "median delay",
        "delay_worst_s": "worst",
        "false_alarms": "false",
        "well_hours": "well-hours",
        "false_alarms_per_well_hour": "false/well-hour",
        "alarms_without_truth": "alarms, no truth",
        "well_hours_without_truth": "well-hours, no truth",
    }
    rows = [("model", *heads.values())]
    rows += [(row["model"], *(shown(row[key]) for key in heads)) for row in outcome.models]
    lines = aligned(rows)
    for row in outcome.cameras:
        lines += [
            "",
            f"{row['model']}, {row['camera']}, {row['videos']} normal videos: {row['profile'] or 'no profile'}",
        ]
        lines += [f"  {sentence}" for sentence in row["sentences"]]
    return "\n".join(lines)
