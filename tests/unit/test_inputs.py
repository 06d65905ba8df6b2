from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from spillwatch import config, configfile, inputs, pictures, profile, truth
from spillwatch.errors import ConfigError, ModelError, SourceError, SpillwatchError, WellsError
from spillwatch.model import bundle
from spillwatch.preparing import locate
from spillwatch.wells import wellmap

LOADERS = {
    "settings": (configfile.load, 'site = "line"\n'),
    "wells": (wellmap.load, '[[wells]]\nid = "1"\nx = 9\ny = 9\nwidth = 9\nheight = 9\n'),
    "profile": (profile.load, ""),
    "model": (bundle.load, ""),
}
OF_NOBODY = 4242  # neither an account nor a group


def a_file(folder: Path, text: str, mode: int) -> Path:
    path = folder / "file"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("kind", LOADERS)
def test_what_everyone_can_change_is_refused_with_its_mend(kind: str, tmp_path: Path) -> None:
    load, text = LOADERS[kind]
    path = a_file(tmp_path, text, 0o666)
    with pytest.raises(SpillwatchError, match=rf"can be changed by everyone; run: chmod o-w {path}"):
        load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_a_group_may_change_what_its_own_member_owns_and_nothing_else(tmp_path: Path) -> None:
    load, text = LOADERS["wells"]
    path = a_file(tmp_path, text, 0o664)
    load(path)
    os.chown(path, -1, OF_NOBODY)
    with pytest.raises(WellsError, match=rf"can be changed by the group {OF_NOBODY}; run: chmod g-w"):
        load(path)
    os.chown(path, OF_NOBODY, OF_NOBODY)
    load(path)
    path.chmod(0o644)
    load(path)


def test_a_secret_that_everyone_can_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="changed by everyone"):
        config.read_secret(a_file(tmp_path, "password", 0o602))


@pytest.mark.parametrize("kind", LOADERS)
def test_pipes_devices_and_folders_are_not_waited_for(kind: str, tmp_path: Path) -> None:
    load, _ = LOADERS[kind]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(SpillwatchError, match="no regular file"):
            load(path)


@pytest.mark.parametrize("kind", LOADERS)
def test_a_file_of_any_size_is_refused_before_it_is_read(kind: str, tmp_path: Path) -> None:
    load, _ = LOADERS[kind]
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(SpillwatchError, match=r"1099511627776 bytes, at most .* is it the right file"):
        load(path)
    with pytest.raises(ConfigError, match="is it the right file"):
        truth.load(path)


@pytest.mark.parametrize("load", [configfile.load, wellmap.load, profile.load])
def test_nesting_without_end_is_no_toml(load: object, tmp_path: Path) -> None:
    with pytest.raises(SpillwatchError, match="brackets within brackets"):
        load(a_file(tmp_path, "a = " + "[" * 5000, 0o600))  # type: ignore[operator]


@pytest.mark.parametrize("load", [configfile.load, wellmap.load, profile.load])
def test_text_that_is_not_utf_8_is_named(load: object, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("# Gr\u00fc\u00dfe".encode("latin-1"))
    with pytest.raises(SpillwatchError, match=r"file is not UTF-8 \(byte 5 is 0xfc\); save it as UTF-8"):
        load(path)  # type: ignore[operator]


def test_the_mark_that_windows_puts_first_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf" + LOADERS["settings"][1].encode())
    assert configfile.load(path).site == "line"
    path.write_bytes(b"\xef\xbb\xbf" + LOADERS["wells"][1].encode())
    assert wellmap.load(path).ids == ("1",)


def test_nesting_without_end_is_no_truth(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid JSON"):
        truth.load(a_file(tmp_path, "[" * 100_000, 0o600))


def test_a_number_beyond_all_numbers_is_no_pixel(tmp_path: Path) -> None:
    with pytest.raises(WellsError, match=r"x must be a number of pixels, not 9{80}…"):
        wellmap.load(a_file(tmp_path, f'[[wells]]\nid = "1"\nx = {"9" * 400}\n', 0o600))


def test_an_error_repeats_nobodys_text_at_length_or_raw() -> None:
    assert inputs.shown("x" * 100) == "'" + "x" * 79 + "…"
    assert inputs.shown("a\x1b[31m") == "'a\\x1b[31m'"
    assert inputs.shown("ü") == "'ü'"


def test_models_are_refused_by_their_own_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        bundle.load(tmp_path / "none")


def test_a_small_file_that_claims_a_gigapixel_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(start + b"\0" * 100)
    assert pictures.read(path, what="picture", error=WellsError) is None


def test_a_password_may_not_stand_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"rtsp://eva:\*\*\*@camera/1 has a password in it.*--password-file"
    ) as caught:
        locate("rtsp://eva:geheim@camera/1", out=tmp_path / "w.toml", preview=None, corners=None)
    assert "geheim" not in str(caught.value)
