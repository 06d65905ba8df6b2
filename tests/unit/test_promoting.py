"""Putting a model in force and taking it back, as a user meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from spillwatch import profile
from spillwatch.errors import ModelError
from spillwatch.model import bundle as bundles
from spillwatch.model import stock
from spillwatch.wells import wellmap
from tests.support.simulated import wells
from tests.unit.test_cli import fails, spillwatch
from tests.unit.test_profile import EVIDENCE, made

if TYPE_CHECKING:
    from pathlib import Path


def model(path: Path, factor: float = 1.0) -> Path:
    """The bundled model with other weights, and so with another name."""
    one = bundles.load(bundles.default_path())
    state = {name: value * factor if "bias" in name else value for name, value in one.state.items()}
    bundles.save(replace(one, state=state, name=bundles.name_of("default", state)), path)
    return path


def compared(candidate: Path, live: Path, *worse: str) -> None:
    shas = {"candidate": {"sha256": stock.digest(candidate)}, "live": {"sha256": stock.digest(live)}}
    candidate.with_name(f"{candidate.stem}.comparison.json").write_text(json.dumps(shas | {"worse": worse}))


def name(path: Path) -> str:
    return bundles.load(path).name


@pytest.fixture
def config(tmp_path: Path) -> Path:
    wellmap.save(wells(3), tmp_path / "w.toml")
    path = tmp_path / "c.toml"
    path.write_text(
        '[model]\npath = "model.safetensors"\n'
        '[[cameras]]\nid = "t"\nkind = "rtsp"\nurl = "rtsp://127.0.0.1:9/c"\nwells = "w.toml"\n'
    )
    return path


def ok(*words: object) -> str:
    result = spillwatch(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_there_and_back_again(config: Path, tmp_path: Path) -> None:
    live, first, second = tmp_path / "model.safetensors", model(tmp_path / "a", 1.01), model(tmp_path / "b", 1.02)
    compared(first, bundles.default_path())
    said = ok("model", "promote", first, "--config", config)
    assert f"{name(first)} is in force in place of {name(bundles.default_path())}" in said
    assert live.read_bytes() == first.read_bytes()
    compared(second, live)
    ok("model", "promote", second, "--config", config)
    listed = ok("model", "list", "--config", config).splitlines()
    assert [line.split()[0] for line in listed] == [name(second), name(first), name(bundles.default_path())]
    assert "in force  since 20" in listed[0]
    ok("model", "rollback", "--config", config, "--reason", "it slept")
    assert live.read_bytes() == first.read_bytes()
    assert "it slept" in ok("model", "list", "--config", config)
    ok("model", "rollback", "--config", config)
    assert name(live) == name(bundles.default_path()), "twice goes back two models, not to and fro"
    assert "no earlier model is kept" in fails("model", "rollback", "--config", config)
    assert [change.action for change in stock.changes(live)] == ["promote", "promote", "rollback", "rollback"]


def test_a_candidate_that_is_worse_or_unknown_needs_a_reason(config: Path, tmp_path: Path) -> None:
    live, candidate = model(tmp_path / "model.safetensors"), model(tmp_path / "a.safetensors", 1.01)
    words = ("model", "promote", candidate, "--config", config)
    assert "was not compared" in fails(*words)
    compared(candidate, candidate)
    assert "of other models" in fails(*words)
    compared(candidate, live, "it missed 1 spill that the other found")
    assert "it missed 1 spill that the other found" in fails(*words)
    ok(*words, "--anyway", "the spill was a reflection")
    (change,) = stock.changes(live)
    assert change.reason == "the spill was a reflection (although it missed 1 spill that the other found)"
    assert "in force already" in fails(*words)


@pytest.mark.parametrize("harm", ["truncated", "writable", "missing"])
def test_a_file_that_is_no_sound_model_is_never_put_in_force(config: Path, tmp_path: Path, harm: str) -> None:
    live, candidate = model(tmp_path / "model.safetensors"), model(tmp_path / "a.safetensors", 1.01)
    before = live.read_bytes()
    if harm == "truncated":
        candidate.write_bytes(candidate.read_bytes()[:5000])
    elif harm == "writable":
        candidate.chmod(0o666)
    else:
        candidate.unlink()
    assert str(candidate) in fails("model", "promote", candidate, "--config", config, "--anyway", "why not")
    assert live.read_bytes() == before
    assert not (tmp_path / "model.earlier").exists()


def test_without_a_path_the_bundled_model_cannot_be_replaced(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace('path = "model.safetensors"', ""))
    assert 'add path = "model.safetensors"' in fails(
        "model", "promote", model(tmp_path / "a", 1.01), "--config", config, "--anyway", "x"
    )


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    live, candidate = model(tmp_path / "model.safetensors"), model(tmp_path / "a.safetensors", 1.01)
    (tmp_path / "model.earlier").write_text("in the way")
    before = live.read_bytes()
    with pytest.raises(ModelError, match="cannot be changed"):
        stock.put(live, candidate, in_force=live, by="ann", reason=None)
    assert live.read_bytes() == before


def test_only_so_many_models_are_kept(tmp_path: Path) -> None:
    live, other = model(tmp_path / "model.safetensors"), model(tmp_path / "a.safetensors", 1.01)
    for _ in range(stock.KEPT // 2 + 1):
        for one in (other, model(tmp_path / "b.safetensors", 1.02)):
            stock.put(live, one, in_force=live, by="ann", reason=None)
    assert len(list((tmp_path / "model.earlier").glob("*.safetensors"))) == stock.KEPT


def test_a_camera_profile_is_needed_for_the_candidate_and_goes_with_it(config: Path, tmp_path: Path) -> None:
    live, candidate = model(tmp_path / "model.safetensors"), model(tmp_path / "a.safetensors", 1.01)
    config.write_text(config.read_text() + 'profile = "t.toml"\n')
    own = {}
    for path in (live, candidate):
        evidence = EVIDENCE.model_copy(update={"model": name(path)})
        own[path] = made().model_copy(update={"evidence": evidence})
    profile.save(own[live], tmp_path / "t.toml")
    compared(candidate, live)
    beside = tmp_path / f"t.{name(candidate)}.toml"
    assert f"--profile {beside}" in fails("model", "promote", candidate, "--config", config)
    profile.save(own[candidate], beside)
    ok("model", "promote", candidate, "--config", config)
    ok("check", "--config", config)
    ok("model", "rollback", "--config", config)
    ok("check", "--config", config)


def test_a_broken_log_is_named(tmp_path: Path) -> None:
    live, candidate = model(tmp_path / "model.safetensors"), model(tmp_path / "a.safetensors", 1.01)
    stock.put(live, candidate, in_force=live, by="ann", reason=None)
    (tmp_path / "model.earlier/log.jsonl").write_text("half a li")
    with pytest.raises(ModelError, match=r"log\.jsonl cannot be read"):
        stock.changes(live)
    assert stock.last(live) is None
