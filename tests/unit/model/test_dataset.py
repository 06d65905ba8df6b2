from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from spillwatch.errors import ModelError
from spillwatch.model import dataset
from spillwatch.records import Preprocessing
from tests.unit.model.crops import well, write, write_data, write_test


def test_preprocessing_is_resize_blur_and_centre() -> None:
    picture = well(1, spill=True)
    resized = cv2.resize(picture, (48, 32), interpolation=cv2.INTER_LINEAR)
    expected = cv2.GaussianBlur(resized, (7, 7), 1.0, borderType=cv2.BORDER_REFLECT_101)[:, 8:40]
    found = dataset.preprocess(picture, Preprocessing())
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


def test_no_blur_leaves_a_crop_of_the_right_size_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    assert np.array_equal(dataset.preprocess(picture, Preprocessing(blur_sigma=0)), picture[:, 8:40])


def test_repeats_are_dropped_and_counted(tmp_path: Path) -> None:
    write_data(tmp_path, normal=6, spill=5)
    shutil.copy(tmp_path / "train/0002.png", tmp_path / "train/zz.png")
    data = dataset.load_folder(tmp_path)
    assert data.normal.shape == (6, 32, 48, 3)
    assert data.normal_counts.tolist() == [1, 1, 2, 1, 1, 1]
    assert (data.repeats, data.unreadable, len(data.spill)) == (1, 0, 5)


def test_the_digest_is_of_the_pixels(tmp_path: Path) -> None:
    first = dataset.load_folder(write_data(tmp_path / "a", normal=6, spill=5))
    again = dataset.load_folder(write_data(tmp_path / "b", normal=6, spill=5))
    other = dataset.load_folder(write_data(tmp_path / "c", normal=7, spill=5))
    assert first.digest == again.digest != other.digest


def test_normal_and_spill_are_names_too(tmp_path: Path) -> None:
    write(tmp_path / "normal", range(3))
    write(tmp_path / "spill", range(2), spill=True)
    data = dataset.load_folder(tmp_path)
    assert (len(data.normal), len(data.spill)) == (3, 2)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0broken"])
def test_a_corrupt_image_is_named_skipped_and_counted(tmp_path: Path, log: list[Any], content: bytes) -> None:
    write_data(tmp_path, normal=6, spill=5)
    (tmp_path / "train/0001.jpg").write_bytes(content)
    data = dataset.load_folder(tmp_path)
    assert (len(data.normal), data.unreadable) == (6, 1)
    warnings = [entry for entry in log if entry["event"] == "dataset.unreadable"]
    assert [Path(entry["path"]).name for entry in warnings] == ["0001.jpg"]


@pytest.mark.parametrize("make", ["nothing", "train only", "empty proliv"])
def test_an_empty_folder_is_named_with_what_it_should_hold(tmp_path: Path, make: str) -> None:
    if make != "nothing":
        write(tmp_path / "train", range(3))
    if make == "empty proliv":
        (tmp_path / "proliv").mkdir()
    what = "normal" if make == "nothing" else "spill"
    with pytest.raises(ModelError, match=f"{tmp_path} holds no {what} crops; put them as JPEG or PNG images into"):
        dataset.load_folder(tmp_path)


def test_a_folder_of_corrupt_images_only_is_named(tmp_path: Path) -> None:
    write_data(tmp_path, normal=1, spill=1)
    (tmp_path / "proliv/1000.png").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"no image of 1 in .*proliv can be read; put spill crops there"):
        dataset.load_folder(tmp_path)


def test_labelled_crops_come_from_test_if_it_is_there(tmp_path: Path) -> None:
    write_data(tmp_path, normal=6, spill=5)
    everything = dataset.load_labelled(tmp_path, Preprocessing())
    assert (everything.source, everything.crops.shape) == ("normal and spill crops", (11, 32, 32, 3))
    write_test(tmp_path, normal=4, spill=2)
    test = dataset.load_labelled(tmp_path, Preprocessing())
    assert (test.source, test.spill.tolist()) == ("test", [False] * 4 + [True] * 2)
    assert np.array_equal(test.crops[0], dataset.preprocess(well(2000, spill=False), Preprocessing()))


def test_an_annotation_may_name_what_is_missing(tmp_path: Path) -> None:
    write_test(tmp_path, normal=4, spill=2)
    (tmp_path / "test/imgs/2000.png").unlink()
    assert dataset.load_labelled(tmp_path, Preprocessing()).unreadable == 1


@pytest.mark.parametrize("line", ["name", "name 2", "1"])
def test_a_wrong_annotation_line_is_named(tmp_path: Path, line: str) -> None:
    write_test(tmp_path)
    with (tmp_path / "test/test_annotation.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ModelError, match=f"line 27: '{line}' is not"):
        dataset.load_labelled(tmp_path, Preprocessing())


def test_an_annotation_that_is_no_text_is_named(tmp_path: Path) -> None:
    write_test(tmp_path)
    (tmp_path / "test/test_annotation.txt").write_bytes(b"\xff\x00")
    with pytest.raises(ModelError, match=r"test_annotation\.txt is not UTF-8"):
        dataset.load_labelled(tmp_path, Preprocessing())


def test_a_test_of_one_kind_is_refused(tmp_path: Path) -> None:
    write_test(tmp_path, spill=0)
    with pytest.raises(ModelError, match="both kinds"):
        dataset.load_labelled(tmp_path, Preprocessing())
