"""One piece of an archive: what decides it, and that nothing is lost between watching and calibrating."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spillwatch import build
from spillwatch.config import DetectionSettings, ModelSettings
from spillwatch.errors import ConfigError, ModelError, SourceError
from spillwatch.footage import pieces, recording
from spillwatch.footage.pieces import Kept, KeptStretch, Piece
from spillwatch.footage.recording import Recording
from spillwatch.model import bundle as bundles
from spillwatch.watch import budget
from tests.support.clips import moving_square, write_clip
from tests.support.simulated import wells


def piece(video: Path) -> Piece:
    return Piece(
        video=video,
        wells=wells(3),
        model=ModelSettings(device="cpu"),
        model_digest=pieces.digest_of(bundles.default_path()),
        detection=DetectionSettings(),
        made_by=pieces.made_by(),
    )


def seen(one: Piece, *, seconds: float) -> Recording:
    """A video of busy wells, as the model would see it at 12.5 frames per second."""
    shape = (round(seconds * 12.5), len(one.wells))
    usual = np.log(bundles.load(bundles.default_path()).threshold)  # busy for this model, whichever is bundled
    scores = np.exp(np.random.default_rng(1).normal(usual, 1.0, shape))
    return Recording(
        video=one.video,
        wells=one.wells,
        frames=shape[0],
        seconds=seconds,
        times_s=np.arange(shape[0]) / 12.5,
        scores=scores.astype(np.float32),
        covered=np.zeros(shape, np.bool_),
        raised=[],
    )


def kept(content: bytes, folder: Path) -> Kept:
    (folder / "kept.parquet").write_bytes(content)
    return Kept.read(folder / "kept.parquet")


def test_what_decides_a_result_decides_its_key(tmp_path: Path) -> None:
    one = piece(tmp_path / "v.mp4")
    one.video.write_bytes(b"video")
    moved = tmp_path / "elsewhere" / "v.mp4"
    moved.parent.mkdir()
    shutil.copy2(one.video, moved)
    assert replace(one, video=moved).key() == one.key()
    others = [
        replace(one, wells=wells(4)),
        replace(one, wells=wells(3, out_of_service=[1])),
        replace(one, model_digest="another"),
        replace(one, model=ModelSettings(threshold=0.5, device="cpu")),
        replace(one, detection=DetectionSettings(on_s=0.5)),
        replace(one, made_by="another version"),
    ]
    keys = {one.key(), *(other.key() for other in others)}
    os.utime(one.video, (0, 0))
    assert len(keys | {one.key()}) == len(others) + 2


def test_all_code_that_decides_a_result_decides_its_key() -> None:
    root = Path(pieces.__file__).parents[1]
    text = "".join(path.read_text() for name in pieces._DECIDES for path in (root / name).rglob("*.py"))
    used = {name for names in re.findall(r"^ *from spillwatch import (.+)", text, re.M) for name in names.split(", ")}
    used |= set(re.findall(r"^ *from spillwatch\.(\w+)", text, re.M))
    plain = {"config", "errors", "inputs", "outputs", "pages", "patience"}  # these change no picture and no score
    assert {name for name in used - plain if {name, f"{name}.py"}.isdisjoint(pieces._DECIDES)} == set()


def test_calibration_from_kept_pieces_is_that_from_the_footage(tmp_path: Path) -> None:
    one = replace(piece(tmp_path / "v.mp4"), wells=wells(3, out_of_service=[1]))
    recorded = seen(one, seconds=480)
    judge = build.judge(one.model)
    strengths = recording.strengths(recorded, judge.scale, one.detection)
    footage = budget.Series(recorded.times_s, strengths)
    stretch = KeptStretch.of(kept(pieces.packed(recorded, judge, one.detection), tmp_path), one.wells)
    assert stretch is not None
    times = {"max_step_s": one.detection.max_step_s, "apart_s": one.detection.off_delay_s}
    found = 0
    for reference in budget.REFERENCES:
        direct, again = (budget.gather([source], reference, **times) for source in (footage, stretch))
        for name in ("peaks", "wells", "blocks", "hours"):
            assert np.array_equal(getattr(direct, name), getattr(again, name)), (reference, name)
        found += len(direct.peaks)
    assert found > 50


def test_scores_are_kept_in_spans_of_ten_seconds(tmp_path: Path) -> None:
    one = piece(tmp_path / "v.mp4")
    recorded = seen(one, seconds=12)
    recorded.covered[:25, 0] = True
    here = kept(pieces.packed(recorded, build.judge(one.model), one.detection), tmp_path)
    rows = here.rows("scores").to_pylist()
    assert [(row["start_s"], row["well"], row["seen"]) for row in rows] == [
        *((0.0, "1", 100), (0.0, "2", 125), (0.0, "3", 125)),
        *((10.0, "1", 25), (10.0, "2", 25), (10.0, "3", 25)),
    ]
    assert rows[1]["score_median"] == np.median(recorded.scores[:125, 1])
    assert rows[0]["score_highest"] == recorded.scores[25:125, 0].max()
    assert all(-1 <= row["strength_highest"] <= 1 for row in rows)


def test_what_can_be_read_of_a_truncated_video_is_kept_with_the_reason(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "v.mkv", moving_square(60))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    content = pieces.watch(piece(whole))
    assert content == pieces.watch(piece(whole))
    here = kept(content, tmp_path)
    assert 0 < here.row["frames"] < 60
    assert "is cut short" in here.row["cut_short"]


def test_what_cannot_be_watched_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"")
    with pytest.raises(SourceError, match="is empty"):
        pieces.watch(piece(tmp_path / "v.mp4"))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"made_by": "x"}, ConfigError, "has another spillwatch"),
        ({"model_digest": "x"}, ModelError, "is another file than here"),
        ({"model": ModelSettings(path=Path("/none/m"))}, ModelError, "put it at the same path there"),
    ],
)
def test_a_worker_that_would_give_other_results_refuses(
    tmp_path: Path, change: dict[str, object], error: type[Exception], said: str
) -> None:
    one = replace(piece(tmp_path / "v.mp4"), **change)
    with pytest.raises(error, match=said):
        pieces.watch(one)
