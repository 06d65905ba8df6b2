"""The driver that compares a candidate with the model in force, on the same pictures and in one pass of each."""

from __future__ import annotations

import base64
import json
import math
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spillwatch import build, profile, truth
from spillwatch.config import ModelSettings
from spillwatch.errors import ConfigError, ModelError, SourceError, StoreError
from spillwatch.footage import archive
from spillwatch.footage.comparison import Comparison, Said, write
from spillwatch.model import stock, taught
from spillwatch.model.dataset import centre
from spillwatch.model.evaluation import score_all
from spillwatch.promoting import comparison_of
from spillwatch.records import CLIP, CROPS, Condition, evidence_path, rfc3339
from spillwatch.shadow import CASES, FIGURES, Shadow, place
from spillwatch.sources.ahead import read_ahead
from spillwatch.sources.file import FileSource
from spillwatch.store.reading import Past
from spillwatch.watch.contest import Contest, Scores, later_s
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from spillwatch.build import Judge
    from spillwatch.config import Settings
    from spillwatch.records import Judgement, Wells
    from spillwatch.truth import Truth

LATE_S = 10.0
"""A candidate's alarm in the clip of an alarm counts for it up to so long after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to compare, and on what beside the evidence and the shadow of the settings' state directory."""

    candidate: Path
    archives: Sequence[Path] = ()
    state: Path | None = None
    wells: Path | None = None
    clips: int = 40
    on_clip: Callable[[int, int | None], None] = lambda _done, _total: None


@dataclass(slots=True, kw_only=True)
class _Bench:
    """Both models, and what they have been seen to do so far."""

    settings: Settings
    live: Judge
    candidate: Judge
    said: list[Said] = field(default_factory=list)
    watched: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scores: Scores = field(default_factory=Scores)

    @property
    def learnt(self) -> set[str]:
        """The alarms that the candidate was taught by, as the last part of their evidence's path."""
        return {name for names in self.candidate.bundle.taught.get("learnt", {}).values() for name in names}


def compare(settings: Settings, job: Job) -> Comparison:
    """Look at everything there is, and write ``CANDIDATE.comparison.json`` and ``.html`` beside the candidate."""
    build.one_core_each()
    if job.state:
        state = settings.state.model_copy(update={"directory": job.state})
        settings = settings.model_copy(update={"state": state})
    live = build.judge(settings.model)
    candidate = build.judge(ModelSettings(path=job.candidate, device=settings.model.device))
    if candidate.bundle.preprocessing != live.bundle.preprocessing:
        raise ModelError(f"{job.candidate} sees wells through another preprocessing than the model in force")
    bench = _Bench(settings=settings, live=live, candidate=candidate)
    videos = archive.find(job.archives, job.wells) if job.archives else []
    judgements = _judgements(bench)
    alarms = [each for each in judgements if each.verdict is not None][: job.clips]
    total = len(videos) + len(alarms)
    for done, clip in enumerate(videos, start=1):
        _footage(bench, clip)
        job.on_clip(done, total)
    for done, judgement in enumerate(alarms, start=len(videos) + 1):
        _evidence(bench, judgement)
        job.on_clip(done, total)
    _shadow(bench, {judgement.alarm: judgement for judgement in judgements})
    comparison = Comparison(
        candidate=_about(job.candidate, candidate),
        live=_about(build.model_path(settings.model), live),
        at=rfc3339(datetime.now(UTC)),
        watched=bench.watched,
        said=bench.said,
        crops=_crops(bench),
        scores=bench.scores,
        notes=bench.notes,
    )
    write(comparison, comparison_of(job.candidate))
    return comparison


def sentences(comparison: Comparison) -> Iterator[str]:
    """The outcome for people, each on one line."""
    of = comparison.figures
    yield (
        f"{comparison.candidate['name']} against {comparison.live['name']}: spills found {of['candidate_found']} and "
        f"{of['live_found']} of {of['spills']}, false alarms {of['candidate_false']} and {of['live_false']}, "
        f"in {of['well_hours']:g} well-hours"
    )
    yield from comparison.notes
    yield "no worse: it may be promoted" if not comparison.worse else f"worse: {'; '.join(comparison.worse)}"
    page = comparison_of(Path(comparison.candidate["path"])).with_suffix(".html")
    yield f"wrote {page}, and the JSON beside it"


def _about(path: Path, judge: Judge) -> dict[str, Any]:
    bundle = judge.bundle
    told = {name: bundle.taught[name] for name in ("normal", "spill")} if bundle.taught else {}
    return {"name": bundle.name, "path": str(path), "sha256": stock.digest(path), "threshold": judge.scale.threshold,
            "taught": told}  # fmt: skip


# Footage with truth


def _footage(bench: _Bench, clip: archive.Clip) -> None:
    if clip.fault or clip.wells is None:
        raise ConfigError(clip.fault or f"{clip.video}: its wells are not known")
    cases = _watch(bench, clip.video, clip.wells, camera=None, where=clip.name)
    if clip.truth is None:
        bench.said += [_of_case(case, "footage", f"{clip.name} {case['well']}") for case in cases]
        return
    extent = truth.Extent(frames=0, seconds=0.0, wells=clip.wells)
    bench.said += _of_truth(clip.name, cases, clip.truth, extent)


def _of_truth(name: str, cases: list[dict[str, Any]], told: Truth, extent: truth.Extent) -> Iterator[Said]:
    """Every spill of the truth, and every case that is none of them."""
    explained: set[int] = set()
    for spill in truth.score_raised([], told, extent)["spills"]:
        (end_s,) = [s.end_s for s in told.spills if (s.well, s.start_s) == (spill["well"], spill["onset_s"])][:1]
        inside = [
            (number, case)
            for number, case in enumerate(cases)
            if case["well"] == spill["well"]
            and any(spill["onset_s"] <= s <= end_s + truth.GRACE_S for s in _raised_s(case))
        ]
        explained |= {number for number, _ in inside}
        first = _first(case for _, case in inside)
        yield Said(
            where="footage",
            what=f"{name} {spill['well']} at {spill['onset_s']:g} s",
            true=True,
            live=first["live_s"] is not None,
            candidate=first["candidate_s"] is not None,
            delay_s=later_s(**first),
            note=spill["kind"],
            png=next((case["png"] for _, case in inside), None),
        )
    for number, case in enumerate(cases):
        if number not in explained:
            yield _of_case(case, "footage", f"{name} {case['well']}", true=False)


def _raised_s(case: dict[str, Any]) -> list[float]:
    """When it was raised, by the one, the other, or both."""
    return [s for s in (case["live_s"], case["candidate_s"]) if s is not None]


def _first(cases: Iterable[dict[str, Any]], *, until_s: float = math.inf) -> dict[str, float | None]:
    """When each model first raised any of them, if by ``until_s``."""
    kept = list(cases)
    return {
        by: min((case[by] for case in kept if case[by] is not None and case[by] <= until_s), default=None)
        for by in ("live_s", "candidate_s")
    }


def _of_case(case: dict[str, Any], where: str, what: str, **more: Any) -> Said:
    what = f"{what} at {_raised_s(case)[0]:.1f} s" if where == "footage" else f"{what} {case['at']}"
    values = {"true": None, "delay_s": case["delay_s"], "png": case["png"]} | more
    return Said(
        where=where,
        what=what,
        live=case["live_s"] is not None,
        candidate=case["candidate_s"] is not None,
        **values,
    )


def _watch(bench: _Bench, video: Path, wells: Wells, *, camera: str | None, where: str) -> list[dict[str, Any]]:
    """Both models over a video; the cases that they make of it."""
    levels = [_levels(bench.settings, camera, judge.bundle.name) for judge in (bench.live, bench.candidate)]
    pipeline = build.pipeline("compare", wells, levels[0], site=build.Site(bench.live), media_clock=True)
    contest = Contest(wells.ids, build.detector(len(wells), bench.candidate, levels[1]))
    beside = Shadow(bench.candidate, bench.live, [(pipeline, contest)])
    frames = 0
    with FileSource(video) as source, closing(read_ahead(source)) as pictures:
        wellmap.check_fits(wells, width=source.width, height=source.height)
        try:
            for frame in pictures:
                beside.look(pipeline, frame, pipeline.step(frame))
                beside.work()
                frames += 1
        except SourceError as exc:
            bench.notes.append(f"{where} was cut short: {exc}")
        hours = frames / source.fps * int(wells.in_service.sum()) / 3600
    cases = beside.close()
    if fault := beside.tally().fault:
        raise ModelError(f"the candidate cannot watch {video}: {fault}")
    bench.scores.join(beside.scores)
    bench.watched.append({"where": where, "frames": frames, "well_hours": round(hours, 4)})
    return cases


def _levels(settings: Settings, camera: str | None, model: str) -> Any:
    path = next((each.profile for each in settings.cameras if each.id == camera), None)
    return profile.detection_of_candidate(settings.detection, path, model)


# What the crew has judged


def _judgements(bench: _Bench) -> list[Judgement]:
    """Of spills, the newest first; none where there is no history yet."""
    try:
        found = Past(bench.settings.state.folder()).judgements().values()
    except StoreError as exc:
        bench.notes.append(f"no judged alarms: {exc}")
        return []
    spills = [each for each in found if f"/{Condition.SPILL}/" in each.alarm]
    return sorted(spills, key=lambda each: each.alarm.rpartition("/")[2], reverse=True)


def _evidence(bench: _Bench, judgement: Judgement) -> None:
    """The alarm's clip watched again; where the camera gives none, its crops."""
    state, (camera, well) = bench.settings.state.folder(), judgement.alarm.split("/")[:2]
    folder = state / evidence_path(judgement.alarm)
    settings = next((each for each in bench.settings.cameras if each.id == camera), None)
    crops = sorted(folder.glob(CROPS))
    wells = wellmap.load(settings.wells) if settings else None
    if wells is None or well not in wells.ids or not (folder / CLIP).is_file():
        return  # its crops are compared below, if they are kept
    cases = _watch(bench, folder / CLIP, wells, camera=camera, where=f"evidence {folder.name}")
    due_s = bench.settings.evidence.before_s + LATE_S
    raised = _first((case for case in cases if case["well"] == well), until_s=due_s)
    if raised["live_s"] is None and judgement.verdict:
        bench.notes.append(f"{judgement.alarm}: its clip no longer raises it, so it shows nothing")
        return
    bench.said.append(
        Said(
            where="evidence",
            what=judgement.alarm,
            true=judgement.verdict,
            live=raised["live_s"] is not None,
            candidate=raised["candidate_s"] is not None,
            delay_s=later_s(**raised),
            learnt=folder.name in bench.learnt,
            note=judgement.note,
            png=base64.b64encode(crops[0].read_bytes()).decode("ascii") if crops else None,
        )
    )


def _crops(bench: _Bench) -> list[dict[str, Any]]:
    """How many of the crew's crops lie above each threshold, those that the candidate learnt from apart."""
    try:
        kept = taught.load(bench.settings.state.folder(), bench.live.bundle.preprocessing)
    except ModelError:
        return []
    rows = []
    for name, kind in (("false alarms", kept.normal), ("true spills", kept.spill)):
        learnt = np.array([alarm in bench.learnt for alarm in kind.alarms], np.bool_)
        for chosen, what in ((learnt, "learnt from"), (~learnt, "new to it")):
            crops = centre(kind.crops[chosen], bench.live.bundle.preprocessing.size)
            if len(crops):
                above = {
                    by: int((score_all(judge.scorer, crops) > judge.scale.threshold).sum())
                    for by, judge in (("live", bench.live), ("candidate", bench.candidate))
                }
                rows.append({"kind": name, "of": what, "crops": len(crops), **above})
    return rows


# What the shadow saw


def _shadow(bench: _Bench, judgements: dict[str, Judgement]) -> None:
    folder = place(bench.settings.state.folder(), bench.candidate.bundle.name, bench.live.bundle.name)
    try:
        figures = json.loads((folder / FIGURES).read_bytes())
        path = folder / CASES
        cases = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        counted = Scores.of(figures["scores"])
        hours = float(counted.agreement.sum()) / max(figures["frames"], 1) * _seconds(figures) / 3600
    except FileNotFoundError:
        bench.notes.append("no shadow has watched this pair yet (model.shadow)")
        return
    except (OSError, ValueError, KeyError, TypeError) as exc:
        bench.notes.append(f"what the shadow saw cannot be read: {exc}")
        return
    bench.scores.join(counted)
    bench.watched.append(
        {"where": f"shadow since {figures['since']}", "frames": int(figures["frames"]), "well_hours": round(hours, 4)}
    )
    if figures["shed"]:
        bench.notes.append(f"the shadow left out {int(figures['shed'])} frames, beside {int(figures['frames'])}")
    again = {each.what for each in bench.said if each.where == "evidence"}
    for case in cases:
        if case["alarm"] not in again:  # its clip was watched again, by both from the same frame on
            judged = judgements.get(case["alarm"] or "")
            bench.said.append(_of_judged(case, judged, learnt=_stem(case["alarm"]) in bench.learnt))


def _of_judged(case: dict[str, Any], judged: Judgement | None, *, learnt: bool) -> Said:
    what, told = f"{case['camera']} {case['well']}", {"true": judged.verdict, "note": judged.note} if judged else {}
    return _of_case(case, "shadow", what, learnt=learnt, **told)


def _stem(alarm: str | None) -> str:
    return evidence_path(alarm).rpartition("/")[2] if alarm else ""


def _seconds(figures: dict[str, Any]) -> float:
    since, until = (datetime.fromisoformat(figures[name]) for name in ("since", "until"))
    return (until - since).total_seconds()
