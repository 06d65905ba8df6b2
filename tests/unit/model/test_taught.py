"""What the crew's judgements are to a model: kept together by alarm, counted for more, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from spillwatch.errors import ModelError
from spillwatch.model import bundle as bundles
from spillwatch.model import taught, training
from spillwatch.model.evaluation import score_all
from spillwatch.model.scoring import Scorer
from spillwatch.records import Preprocessing
from tests.unit.model.crops import well
from tests.unit.test_cli import fails

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spillwatch.model.training import TrainResult
    from spillwatch.records import U8

HOW = Preprocessing()


def clothed(seed: int) -> U8:
    """(28, 48, 3) uint8 BGR: a patchwork cloth over a normal well, which looks like a pour to who never saw one."""
    picture = well(seed, spill=False)
    patches = np.random.default_rng(seed).integers(0, 2, (6, 10, 3), np.uint8) * 255
    picture[6:24, 14:34] = np.kron(patches, np.ones((3, 2, 1), np.uint8))
    return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)


def teach(folder: Path, alarms: int, crops: int = 3, kind: str = "normal", first: int = 0) -> Path:
    to = folder / "learning" / kind
    to.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + alarms):
        for crop in range(crops):
            name = f"cam~{number}~spill~20261124T10{number:02}00.000000Z~{crop:02}.png"
            cv2.imwrite(str(to / name), clothed(100 * number + crop))
    return folder


def test_crops_of_one_alarm_are_never_on_both_sides(tmp_path: Path) -> None:
    kind = taught.load(teach(tmp_path, 12), HOW).normal
    held = {alarm for alarm, out in zip(kind.alarms, kind.held, strict=True) if out}
    learnt = {alarm for alarm, out in zip(kind.alarms, kind.held, strict=True) if not out}
    assert not held & learnt
    assert [name.split("~")[1] for name in sorted(held)] == ["4", "9"]


def test_few_alarms_are_all_learnt_from(tmp_path: Path) -> None:
    assert not taught.load(teach(tmp_path, 4), HOW).normal.held.any()


def test_a_few_crops_matter_among_thousands_and_many_do_not_take_over(tmp_path: Path) -> None:
    kind = taught.load(teach(tmp_path, 3), HOW).normal
    assert kind.weight(10_000) == 20
    assert kind.weight(100) == 4  # 36 of 136
    assert kind.weight(6) == 1


def test_the_state_directory_and_its_learning_folder_are_the_same(tmp_path: Path) -> None:
    teach(tmp_path, 2)
    teach(tmp_path, 1, kind="spill", first=7)
    one, other = (taught.load(folder, HOW) for folder in (tmp_path, tmp_path / "learning"))
    assert one.about() == other.about()
    assert (one.about()["normal"]["crops"], one.about()["spill"]["alarms"]) == (6, 1)


def test_nothing_was_judged(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no judged crops; judge spill alarms"):
        taught.load(tmp_path, HOW)


def test_a_model_leaves_alone_what_the_crew_marked_false_and_says_so(
    data: Path, trained: Callable[[str], TrainResult], tmp_path: Path
) -> None:
    before = trained("default").bundle
    after = training.train(data, preset="default", seed=3, extend=teach(tmp_path, 10)).bundle
    others = np.stack([taught.read_crop(path, HOW) for path in sorted((tmp_path / "learning/normal").iterdir())])
    scores = [score_all(Scorer(m, "cpu"), others[:, :, 8:40]) / m.threshold for m in (before, after)]
    assert np.median(scores[0]) > 10, [np.median(s) for s in scores]
    assert np.median(scores[1]) < np.median(scores[0]) / 5, [np.median(s) for s in scores]
    said = after.taught["normal"]
    assert (said["alarms"], said["crops"], said["held_out_crops"]) == (10, 30, 6)
    assert before.taught == {}
    bundles.save(after, tmp_path / "m.safetensors")
    assert bundles.load(tmp_path / "m.safetensors").taught == after.taught


def test_the_seed_preset_does_not_learn_from_the_crew(data: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--model", tmp_path / "m", "--preset", "seed", "--extend", teach(tmp_path, 2))
    assert "does not learn from the crew" in fails("train", *words)
