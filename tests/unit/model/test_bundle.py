from __future__ import annotations

import dataclasses
import errno
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from spillwatch.errors import ModelError
from spillwatch.model import bundle as bundles

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.model.bundle import Bundle, State


@pytest.fixture
def path(bundle: Bundle, tmp_path: Path) -> Path:
    bundles.save(bundle, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def rewrite(path: Path, tensors: State | None = None, **changes: Any) -> None:
    """The same file with other metadata or tensors; a change to None takes the key away."""
    with safe_open(str(path), framework="numpy") as file:
        values = json.loads(file.metadata()["spillwatch"]) | changes
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    values = {key: value for key, value in values.items() if value is not None}
    save_file(state | (tensors or {}), path, metadata={"spillwatch": json.dumps(values)})


def test_what_is_saved_comes_back(bundle: Bundle, path: Path) -> None:
    again = bundles.load(path)
    for name, value in vars(bundle).items():
        if name != "state":
            assert getattr(again, name) == value
    assert again.state.keys() == bundle.state.keys()
    assert all(np.array_equal(again.state[name], bundle.state[name]) for name in bundle.state)


def test_equal_bundles_are_equal_files(bundle: Bundle, path: Path) -> None:
    before = path.read_bytes()
    bundles.save(bundle, path)
    assert path.read_bytes() == before


def test_the_name_follows_the_weights(bundle: Bundle) -> None:
    assert bundle.name == bundles.name_of(bundle.preset, bundle.state)
    other = {name: value + 1 for name, value in bundle.state.items()}
    assert bundles.name_of(bundle.preset, other) != bundle.name


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.safetensors does not exist; make it with"):
        bundles.load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, os.urandom(4096), b"PK\x03\x04" + b"x" * 200])
def test_bytes_that_are_no_model_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        bundles.load(tmp_path / "m")


def test_a_cut_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        bundles.load(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no regular file"):
        bundles.load(tmp_path)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"a": np.zeros(1)}, tmp_path / "m")
    with pytest.raises(ModelError, match="not a spillwatch model"):
        bundles.load(tmp_path / "m")


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_another_format_version_is_named(path: Path, version: object) -> None:
    rewrite(path, version=version)
    with pytest.raises(ModelError, match=f"format version {version}, this spillwatch reads 1; train it again"):
        bundles.load(path)


@pytest.mark.parametrize("key", sorted(bundles.KEYS - {"version"}))
def test_a_missing_key_is_named(path: Path, key: str) -> None:
    rewrite(path, **{key: None})
    with pytest.raises(ModelError, match=f"lacks {key} in its metadata"):
        bundles.load(path)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("architecture", {"kind": "resnet"}, "cannot be used"),
        ("architecture", {"kind": "patch", "latent": 32, "token": 24, "hidden": 96}, "cannot be used"),  # 0.1's first
        ("architecture", {"kind": "patch"}, "cannot be used"),
        ("architecture", {"kind": "pyramid", "depth": 3}, "cannot be used"),
        ("architecture", {"kind": "pyramid", "widths": [24, 64]}, "2 widths instead of 4"),
        ("architecture", {"kind": "pyramid", "widths": 24}, "cannot be used"),
        ("architecture", {"kind": "pyramid", "latent": -1}, "cannot be used"),
        ("architecture", {"kind": "pyramid", "latent": "32"}, "cannot be used"),
        ("architecture", "pyramid", "cannot be used"),
        ("preprocessing", {"heigth": 32}, "cannot be used"),
        ("preprocessing", {"size": 64}, "preprocessing.size 64"),
        ("threshold", "high", "cannot be used"),
        ("threshold", 0, "threshold 0.0"),
        ("threshold", float("nan"), "threshold nan"),
    ],
)
def test_values_that_cannot_be_used_are_named(path: Path, key: str, value: object, fault: str) -> None:
    rewrite(path, **{key: value})
    with pytest.raises(ModelError, match=fault):
        bundles.load(path)


def test_a_tensor_of_another_shape_is_named(bundle: Bundle, path: Path) -> None:
    name, value = next(iter(sorted(bundle.state.items())))
    rewrite(path, {name: np.zeros((*value.shape, 2))})
    with pytest.raises(ModelError, match=rf"tensor {name} of shape .*, not .* as it says; train it again"):
        bundles.load(path)


def test_a_tensor_too_many_is_named(path: Path) -> None:
    rewrite(path, {"extra": np.zeros(3)})
    with pytest.raises(ModelError, match="tensor extra of shape"):
        bundles.load(path)


def test_numbers_that_are_not_finite_are_refused(bundle: Bundle, path: Path) -> None:
    name, value = next(iter(sorted(bundle.state.items())))
    rewrite(path, {name: np.full_like(value, np.nan)})
    with pytest.raises(ModelError, match=f"tensor {name} that are not finite"):
        bundles.load(path)


def test_a_full_disk_leaves_the_old_model(bundle: Bundle, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match=r"m\.safetensors cannot be written: No space left on device"):
        bundles.save(dataclasses.replace(bundle, threshold=9.0), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be written: No such file"):
        bundles.save(bundle, tmp_path / "no" / "m.safetensors")


def test_the_bundled_model_loads_and_is_small() -> None:
    assert bundles.load(bundles.default_path()).preset == "default"
    assert bundles.default_path().stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "<script>"}, "name: String should match pattern"),
        ({"name": ["default"]}, "name: Input should be a valid string"),
        ({"normal_quantiles": {"0.5": "high"}}, r"normal_quantiles\.0\.5: Input should be a valid number"),
        ({"spill_quantiles": {"0.9": 1.0}}, "lacks the median"),
        ({"preprocessing": {"height": 10**9, "width": 48}}, r"preprocessing\.height: .* less than or equal to 512"),
        ({"version": "\x1b[2J"}, r"version \\x1b\[2J, this"),
    ],
)
def test_what_others_rely_on_is_checked(bundle: Bundle, path: Path, changes: dict[str, Any], said: str) -> None:
    whole = {"size": 32, "blur_kernel": 7, "blur_sigma": 1.0}
    if "preprocessing" in changes:
        changes = {"preprocessing": changes["preprocessing"] | whole}
    rewrite(path, **changes)
    with pytest.raises(ModelError, match=said):
        bundles.load(path)
