"""The command line as a user meets it: exit codes, one sentence on standard error, data on standard output."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from spillwatch.cli import main
from spillwatch.wells import locating, wellmap
from tests.support.clips import write_clip
from tests.support.simulated import wells
from tools.rig import wait_until

ROOT = Path(__file__).parents[2]


def spillwatch(*words: object) -> Result:
    """One run of the command line."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def fails(*words: object) -> str:
    """One run that must fail with one sentence and exit code 1; the sentence."""
    result = spillwatch(*words)
    assert result.exit_code == 1, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("spillwatch: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of grey noise, 192x64, 10 frames per second."""
    rng = np.random.default_rng(0)
    path = tmp_path / "clip.mp4"
    write_clip(path, [rng.integers(100, 130, (64, 192, 3), dtype=np.uint8) for _ in range(20)], fps=10)
    return path


@pytest.fixture
def wells_file(tmp_path: Path) -> Path:
    path = tmp_path / "w.toml"
    wellmap.save(wells(3), path)
    return path


def test_wrong_use_is_exit_code_2() -> None:
    assert spillwatch("replay").exit_code == 2
    assert spillwatch("fly").exit_code == 2
    assert spillwatch("replay", "v.mp4", "--json", "s.json").exit_code == 2
    assert spillwatch("locate", "p.png", "--out", "w.toml", "--rows", 2).exit_code == 2


def test_a_missing_video(wells_file: Path, tmp_path: Path) -> None:
    assert "none.mp4" in fails("replay", tmp_path / "none.mp4", "--wells", wells_file)


def test_a_video_of_zero_length(wells_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "empty" in fails("replay", tmp_path / "empty.mp4", "--wells", wells_file)


def test_no_wells_to_be_seen(clip: Path, tmp_path: Path) -> None:
    assert "no casting table" in fails("replay", clip)
    assert "--corners" in fails("locate", clip, "--out", tmp_path / "located.toml")


def test_a_video_of_another_size_than_the_wells_file(clip: Path, tmp_path: Path) -> None:
    wellmap.save(wells(30), tmp_path / "w.toml")
    sentence = fails("replay", clip, "--wells", tmp_path / "w.toml")
    assert "27 of 30 wells lie outside the 192x64 frame" in sentence


def test_random_bytes_as_model(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(np.random.default_rng(0).bytes(5000))
    sentence = fails("replay", clip, "--wells", wells_file, "--model", tmp_path / "m.safetensors")
    assert "m.safetensors" in sentence


def test_a_threshold_outside_the_classes_is_refused(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[model]\nthreshold = 1e6\n")
    sentence = fails("replay", clip, "--wells", wells_file, "--config", tmp_path / "c.toml")
    assert "model.threshold" in sentence
    assert "between the median scores" in sentence


def test_a_config_typo(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[mqtt]\nhots = "broker"\n')
    for words in (["check"], ["run"], ["replay", clip]):
        sentence = fails(*words, "--config", tmp_path / "c.toml")
        assert "line 2: unknown key 'mqtt.hots'; did you mean 'host'?" in sentence


def test_check_says_what_will_be_watched(wells_file: Path, tmp_path: Path) -> None:
    config = '[[cameras]]\nid = "table"\nkind = "rtsp"\nurl = "rtsp://127.0.0.1/cam"\nwells = "w.toml"\n'
    (tmp_path / "c.toml").write_text(config)
    result = spillwatch("check", "--config", tmp_path / "c.toml")
    assert result.exit_code == 0, result.output
    assert "table (3 wells)" in result.stdout


def test_check_looks_at_every_file_that_is_named(wells_file: Path, tmp_path: Path) -> None:
    camera = '[[cameras]]\nid = "table"\nkind = "rtsp"\nurl = "rtsp://127.0.0.1/cam"\nwells = "w.toml"\n'
    config = tmp_path / "c.toml"
    config.write_text('[mqtt]\ntls = true\nca_file = "none.crt"\n' + camera)
    assert "mqtt.ca_file" in fails("check", "--config", config)
    (tmp_path / "token").write_text("short")
    (tmp_path / "token").chmod(0o600)
    config.write_text('[page]\nenabled = true\ntoken_file = "token"\n' + camera)
    assert "openssl rand" in fails("check", "--config", config)
    config.write_text(camera)
    wells_file.write_text('reference = "none.png"\n' + wells_file.read_text())
    assert "none.png cannot be read" in fails("check", "--config", config)


def test_check_says_that_a_camera_is_still_missing() -> None:
    result = spillwatch("check", "--config", ROOT / "config.example.toml")
    assert result.exit_code == 0
    assert "no camera is configured yet" in result.stderr


def test_a_number_that_is_none_is_wrong_use(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    words = ["extract", clip, "--wells", wells_file, "--out", tmp_path / "crops", "--every-s", "nan"]
    assert spillwatch(*words).exit_code == 2


def test_a_run_without_cameras_says_so(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('site = "a"\n')
    assert "no camera is configured" in fails("run", "--config", tmp_path / "c.toml")


def test_an_output_that_cannot_be_written(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    for option in ("--events", "--annotated", "--report"):
        sentence = fails("replay", clip, "--wells", wells_file, option, tmp_path / "none" / "out.mp4")
        assert "none" in sentence


def test_a_disk_that_is_full(clip: Path, wells_file: Path) -> None:
    assert "/dev/full" in fails("replay", clip, "--wells", wells_file, "--report", "/dev/full")


def test_an_annotated_video_on_a_full_disk(clip: Path, wells_file: Path) -> None:
    assert "/dev/full" in fails("replay", clip, "--wells", wells_file, "--annotated", "/dev/full")


def test_a_file_name_is_no_address(
    clip: Path, wells_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = spillwatch("replay", clip, "--wells", wells_file, "--annotated", "cast:1.mp4")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "cast:1.mp4").stat().st_size > 1000


def test_standard_output_on_a_full_disk() -> None:
    command = [sys.executable, "-m", "spillwatch", "check", "--config", ROOT / "config.example.toml"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "spillwatch: standard output cannot be written: No space left on device; send it elsewhere"
    ]


def test_long_work_looks_at_its_outputs_first(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    data, far = tmp_path / "data", tmp_path / "far" / "out"
    (tmp_path / "clip.json").write_text('{"spills": []}')
    for words in (
        ["replay", clip, "--wells", wells_file, "--truth", tmp_path / "clip.json", "--json", far],
        ["train", "--data", data, "--model", far],
        ["evaluate", "--data", data, "--json", far],
        ["calibrate", "--normal", clip, "--wells", wells_file, "--profile", far],
        ["score", tmp_path, "--json", far],
        ["locate", tmp_path / "none.png", "--out", far],
    ):
        assert f"there is no folder {far.parent}; create it" in fails(*words)


def test_what_is_read_is_not_overwritten(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    before = wells_file.read_bytes()
    new = tmp_path / "new"
    for words in (
        ["replay", clip, "--wells", wells_file, "--events", wells_file],
        ["replay", clip, "--wells", wells_file, "--events", new, "--report", new],
        ["calibrate", "--normal", clip, "--wells", wells_file, "--profile", wells_file],
        ["locate", wells_file, "--out", wells_file],
    ):
        assert "would be overwritten" in fails(*words)
    assert wells_file.read_bytes() == before


def test_no_output_takes_the_place_of_a_file_that_is_named_elsewhere(
    clip: Path, wells_file: Path, tmp_path: Path
) -> None:
    with_picture = replace(wellmap.load(wells_file), reference=tmp_path / "w.png")
    locating.write_picture(tmp_path / "w.png", np.full((64, 192, 3), 110, np.uint8))
    wellmap.save(with_picture, wells_file)
    config = tmp_path / "c.toml"
    config.write_text('[events]\npath = "events.jsonl"\n')
    (tmp_path / "events.jsonl").write_text("{}\n")
    for output in (config, tmp_path / "w.png", tmp_path / "events.jsonl"):
        before = output.read_bytes()
        for words in (
            ["replay", clip, "--wells", wells_file, "--config", config, "--events", output],
            ["calibrate", "--normal", clip, "--wells", wells_file, "--config", config, "--profile", output],
        ):
            assert f"{output} would be overwritten" in fails(*words)
        assert output.read_bytes() == before
    assert f"{config} would be overwritten" in fails("report", "--config", config, "--out", config)


def test_a_profile_that_the_settings_name_may_be_made_anew(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    config, camera = tmp_path / "c.toml", '[[cameras]]\nid = "a"\nkind = "rtsp"\nurl = "rtsp://127.0.0.1/a"\n'
    config.write_text(f'{camera}wells = "{wells_file.name}"\nprofile = "p.toml"\n')
    words = ["--normal", clip, "--wells", wells_file, "--profile", tmp_path / "p.toml", "--config", config]
    assert "nothing to calibrate on" in fails("calibrate", *words)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_is_stopped_leaves_the_annotated_video_of_before(
    number: signal.Signals, wells_file: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    long = tmp_path / "long.mp4"
    write_clip(long, [rng.integers(100, 130, (64, 192, 3), dtype=np.uint8) for _ in range(20)] * 80, fps=10)
    annotated = tmp_path / "a.mp4"
    annotated.write_bytes(b"a video of before")
    words = ["replay", str(long), "--wells", str(wells_file), "--annotated", str(annotated)]
    heard = ["env", "--default-signal=INT"]  # what starts in the background, tests too, is born deaf to Ctrl-C
    with subprocess.Popen(
        [*heard, sys.executable, "-m", "spillwatch", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: any(tmp_path.glob(".a.mp4.*.part")), within_s=60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    told = f"spillwatch: stopped by {by} before it was done; the annotated video {annotated} is not written"
    assert said.splitlines()[-1] == told
    assert "Traceback" not in said
    assert annotated.read_bytes() == b"a video of before"
    assert not list(tmp_path.glob("*.part"))


def test_a_truncated_video_is_watched_as_far_as_it_goes(wells_file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = tmp_path / "whole.ts"
    write_clip(whole, [rng.integers(100, 130, (64, 192, 3), dtype=np.uint8) for _ in range(100)], fps=10)
    cut = tmp_path / "cut.mkv"
    write_clip(cut, [rng.integers(100, 130, (64, 192, 3), dtype=np.uint8) for _ in range(100)], fps=10)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    report = tmp_path / "r.html"
    sentence = fails("replay", cut, "--wells", wells_file, "--report", report, "--events", tmp_path / "e.jsonl")
    assert "cut short" in sentence
    assert report.stat().st_size > 1000
    assert (tmp_path / "e.jsonl").exists()


def test_locate_writes_wells_reference_and_preview(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "located.toml"
    words = ["--rows", 2, "--columns", 3, "--corners", "30,16 150,16 150,48 30,48", "--well", "30x20"]
    result = spillwatch("locate", clip, "--out", out, "--preview", tmp_path / "p.png", *words)
    assert result.exit_code == 0, result.output
    located = wellmap.load(out)
    assert located.ids == ("1U1", "1U2", "1U3", "1L1", "1L2", "1L3")
    assert located.reference is not None
    assert located.reference.exists()
    assert (tmp_path / "p.png").exists()


def test_locate_keeps_what_it_replaces(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.toml"
    words = ["--rows", 2, "--columns", 3, "--corners", "30,16 150,16 150,48 30,48", "--well", "30x20"]
    assert "kept" not in spillwatch("locate", clip, "--out", out, *words).output
    out.write_text(edited := out.read_text().replace("out_of_service = false", "out_of_service = true", 1))
    picture = (tmp_path / "w.reference.png").read_bytes()
    result = spillwatch("locate", clip, "--out", out, *words)
    assert result.exit_code == 0, result.output
    [wells_copy], [picture_copy] = tmp_path.glob("w.toml.bak-*"), tmp_path.glob("w.reference.png.bak-*")
    assert wells_copy.read_text() == edited
    assert picture_copy.read_bytes() == picture
    assert f"{out} was there before, and is kept as {wells_copy}" in result.stderr
    assert "true" not in out.read_text()


def test_locate_that_cannot_write_leaves_all_as_it_was(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "w.toml"
    out.write_text("mine")
    (tmp_path / "w.reference.png").write_text("my picture")

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(wellmap, "write_whole", full)
    words = ["--rows", 2, "--columns", 3, "--corners", "30,16 150,16 150,48 30,48", "--well", "30x20"]
    assert "No space left" in fails("locate", clip, "--out", out, *words)
    left = {path.name: path.read_text() for path in tmp_path.iterdir() if path != clip}
    assert left == {"w.toml": "mine", "w.reference.png": "my picture"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--corners", "1,2 3"], "must be four points"),
        (["--corners", "1,2 3,4 5,x 7,8"], "must be numbers"),
        (["--corners", "1,2 300,4 5,6 7,8"], "must lie inside the 192x64 picture"),
        (["--corners", "30,16 150,16 150,48 30,48", "--well", "big"], "must be width and height"),
        (["--corners", "5,5 150,16 150,48 30,48"], "lie outside the 192x64 frame"),
    ],
)
def test_locate_refuses_what_cannot_be(clip: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    assert sentence in fails("locate", clip, "--out", tmp_path / "w.toml", "--rows", 2, "--columns", 3, *words)


def test_extract_cuts_crops_that_train_can_read(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops" / "normal"
    result = spillwatch("extract", clip, "--wells", wells_file, "--out", out, "--every-s", 1)
    assert result.exit_code == 0, result.output
    assert len(list(out.glob("*.png"))) == 2 * 3


def test_events_go_to_standard_output_unless_a_file_is_named(clip: Path, wells_file: Path, tmp_path: Path) -> None:
    result = spillwatch("replay", clip, "--wells", wells_file)
    assert result.exit_code == 0, result.output
    for line in result.stdout.splitlines():
        assert json.loads(line)["camera"] == "replay"
    assert spillwatch("replay", clip, "--wells", wells_file, "--events", tmp_path / "e.jsonl").stdout == ""
    assert (tmp_path / "e.jsonl").read_text(encoding="utf-8") == result.stdout
