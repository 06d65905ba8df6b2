"""The systemd unit and its installer, as far as can be seen without a running systemd."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "spillwatch.service"
NEEDED = {"AF_INET", "AF_INET6", "AF_UNIX"}  # broker and cameras; sd_notify


@pytest.fixture
def analyze() -> str:
    return shutil.which("systemd-analyze") or pytest.skip("systemd-analyze is not installed (Debian: systemd)")


def setting(name: str) -> list[str]:
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())


def test_the_unit_has_no_fault(analyze: str, tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", UNIT.read_text()))
    done = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""  # an unknown key is only a warning to it


def test_the_unit_is_well_shut_in(analyze: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True, check=True
    )
    exposure = re.search(r"Overall exposure level for spillwatch\.service: ([\d.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= 2.0


def test_the_unit_leaves_open_what_the_daemon_needs() -> None:
    assert set(setting("RestrictAddressFamilies")[0].split()) >= NEEDED
    assert setting("DeviceAllow") == ["char-video4linux rw"]
    assert setting("SupplementaryGroups") == ["video"]
    assert not setting("MemoryDenyWriteExecute")  # torch's convolutions fail with it
    assert not setting("PrivateDevices")  # cameras
    assert not setting("ProcSubset")
    assert (setting("Type"), setting("NotifyAccess"), setting("Restart")) == (["notify"], ["main"], ["always"])


def test_the_installer_and_the_unit_agree(tmp_path: Path) -> None:
    script = (SYSTEMD / "install.sh").read_text()
    program, _, _, config = setting("ExecStart")[0].split()
    assert f"program={Path(program).parents[1]}\n" in script
    assert config == "/etc/spillwatch/config.toml"
    assert setting("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert setting("LoadCredential") == ["credentials:/etc/spillwatch/credentials"]
    assert f"--no-create-home --shell /usr/sbin/nologin {setting('User')[0]}" in script


def test_the_installer_can_be_repeated_and_keeps_settings(tmp_path: Path) -> None:
    def install() -> None:
        subprocess.run(
            [SYSTEMD / "install.sh"],
            check=True,
            capture_output=True,
            env={"DESTDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )

    install()
    config = tmp_path / "etc/spillwatch/config.toml"
    assert config.read_bytes() == (SYSTEMD.parent / "config.example.toml").read_bytes()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "etc/spillwatch/credentials").stat().st_mode) == 0o700
    assert (tmp_path / "etc/systemd/system/spillwatch.service").read_bytes() == UNIT.read_bytes()

    config.write_text('site = "mine"\n')
    install()
    assert config.read_text() == 'site = "mine"\n'


def test_a_dry_run_does_nothing_but_tell() -> None:
    done = subprocess.run([SYSTEMD / "install.sh", "--dry-run"], capture_output=True, text=True, check=True)
    assert "+ python3 -m venv /opt/spillwatch\n" in done.stdout
    assert not Path("/opt/spillwatch").exists() or "useradd" not in done.stdout
    wrong = subprocess.run([SYSTEMD / "install.sh", "--wet"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.startswith("usage: ")) == (2, True)


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_the_scripts_are_shell(script: str) -> None:
    subprocess.run(["sh", "-n", SYSTEMD / script], check=True)
