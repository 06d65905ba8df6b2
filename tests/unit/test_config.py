"""Settings: the example, the mistakes people make, and secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from spillwatch.config import CameraSettings, MqttSettings, PageSettings, Settings
from spillwatch.configfile import load, strange_variables
from spillwatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
SECTIONS = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
} | {"cameras": CameraSettings}
RTSP = '[[cameras]]\nid = "cam1"\nkind = "rtsp"\nwells = "w.toml"\nurl = "rtsp://10.0.0.21/a"\n'
USB = '[[cameras]]\nid = "cam2"\nkind = "usb"\nwells = "w.toml"\ndevice = "/dev/video0"\n'


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SPILLWATCH_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Puts a settings file into a folder of its own."""

    def put(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return put


@pytest.fixture
def fault(write: Callable[[str], Path]) -> Callable[[str], str]:
    """What loading a faulty file says, without the file's own path."""

    def say(text: str) -> str:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            load(path)
        return str(caught.value).replace(str(path), "FILE")

    return say


def secret(path: Path, text: str = "bleed-0ut\n", mode: int = 0o640) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def uncommented(text: str) -> str:
    """The example with every setting in force."""
    return re.sub(r"(?m)^# (?=(\w+ = |\[\[))", "", text)


# The example


def test_the_example_loads_as_it_is_and_holds_the_defaults() -> None:
    assert load(EXAMPLE) == Settings()


def test_the_example_loads_with_every_line_in_force(
    tmp_path: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("mqtt-password", "mqtt-key", "cam1-password", "page-token"):
        secret(tmp_path / f"credentials_{name}")
    settings = load(write(uncommented(EXAMPLE.read_text())))

    assert [camera.id for camera in settings.cameras] == ["cam1", "cam2"]
    assert settings.mqtt.password() == settings.cameras[0].password() == "bleed-0ut"
    assert settings.model.path == tmp_path / "model.safetensors"
    assert settings.cameras[1].width == 1920


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_the_example_explains_every_field_of(section: str) -> None:
    model = SECTIONS.get(section, Settings)
    lines = uncommented(EXAMPLE.read_text()).splitlines()
    table, explained, previous = "", set(), ""
    for line in lines:
        if header := re.match(r"\[+(\w+)\]+", line):
            table = header[1]
        if (match := re.match(r"(\w+) = ", line)) and table == section:
            assert previous.startswith("# ") or match[1] in explained | {"id", "kind", "wells", "height"}, line
            explained.add(match[1])
        previous = line
    assert explained | set(SECTIONS if not section else ()) == set(model.model_fields)


# Mistakes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('sight = "a"\n', "FILE, line 1: unknown key 'sight'; did you mean 'site'?"),
        ("[mqt]\nport = 1\n", "FILE, line 1: unknown key 'mqt'; did you mean 'mqtt'?"),
        ('[mqtt]\nenabled = true\nhots = "b"\n', "FILE, line 3: unknown key 'mqtt.hots'; did you mean 'host'?"),
        (
            RTSP + "\n" + USB + "read_timout_s = 3\n",
            "FILE, line 12: unknown key 'cameras.2.read_timout_s'; did you mean 'read_timeout_s'?",
        ),
        ("[log]\nxyz = 1\n", "FILE, line 2: unknown key 'log.xyz'; known keys are level, format"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_right_one(
    fault: Callable[[str], str], text: str, said: str
) -> None:
    assert fault(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mqtt]\nport = 70000\n", "FILE, line 2: mqtt.port: Input should be less than or equal to 65535, not 70000"),
        (
            '[log]\nlevel = "loud"\n',
            "FILE, line 2: log.level: Input should be 'debug', 'info', 'warning' or 'error', not 'loud'",
        ),
        (RTSP.replace("10.0.0.21/a", ""), "FILE, line 1: cameras.1: url must name the camera's address"),
        ('site = "a/b"\n', "FILE, line 1: site: use 1 to 64 letters, digits, '.', '_' or '-'"),
        ("[detection]\non_s = 0.05\n", "FILE, line 1: detection: off_s (0.1) must be below on_s (0.05)"),
        (RTSP + RTSP, "FILE: camera id 'cam1' is used twice"),
        (RTSP.replace("rtsp://", "http://"), "FILE, line 1: cameras.1: url must begin with rtsp:// or rtsps://"),
        (RTSP + "device = 0\n", "FILE, line 1: cameras.1: device is for usb cameras"),
        (USB + 'url = "rtsp://a"\n', "FILE, line 1: cameras.1: url is for rtsp cameras"),
        (RTSP + USB.replace('device = "/dev/video0"\n', ""), "FILE, line 6: cameras.2: a usb camera needs device"),
        (RTSP.replace('url = "rtsp://10.0.0.21/a"\n', ""), "FILE, line 1: cameras.1: an rtsp camera needs url"),
        ('[mqtt]\nca_file = "a"\n', "FILE, line 1: mqtt: ca_file, cert_file and key_file need tls = true"),
        ('[mqtt]\ntls = true\ncert_file = "a"\n', "FILE, line 1: mqtt: cert_file and key_file go together"),
        ('[model]\npath = "$NOT_SET/m"\n', "FILE, line 2: model.path: '$NOT_SET/m' names an environment variable"),
        ("site = \n", "config FILE is not valid TOML: Invalid value (at line 1, column 8)"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(fault: Callable[[str], str], text: str, said: str) -> None:
    assert fault(text).startswith(said)


def test_every_fault_is_told_at_once(fault: Callable[[str], str]) -> None:
    assert fault('[mqtt]\nport = 0\nhots = "b"\n').count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: .*No such file"):
        load(tmp_path / "nowhere.toml")


# Environment and paths


def test_the_environment_wins_over_the_file(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWATCH_MQTT__HOST", "broker.plant")
    monkeypatch.setenv("SPILLWATCH_SITE", "two")
    settings = load(write('site = "one"\n[mqtt]\nhost = "other"\nport = 1234\n'))

    assert (settings.site, settings.mqtt.host, settings.mqtt.port) == ("two", "broker.plant", 1234)


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWATCH_MQTT__TLS", "true")
    assert load(None).mqtt.resolved_port == 8883


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SPILLWATCH_MQTT__PORT", "many", "environment variable SPILLWATCH_MQTT__PORT: mqtt.port: Input should be"),
        ("SPILLWATCH_MQTT__HOTS", "a", "environment variable SPILLWATCH_MQTT__HOTS: unknown key 'mqtt.hots'"),
        ("SPILLWATCH_CAMERAS", "cam1", "environment: "),
    ],
)
def test_a_fault_in_the_environment_is_not_blamed_on_the_file(
    fault: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    assert fault('[mqtt]\nhost = "a"\n').startswith(said)


def test_a_variable_that_only_looks_like_a_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWATCH_MQTT_HOST", "broker.plant")
    monkeypatch.setenv("SPILLWATCH_SIGHT", "a")
    monkeypatch.setenv("SPILLWATCH_SITE", "a")
    assert strange_variables() == [
        "environment variable SPILLWATCH_MQTT_HOST is no setting and is not read; did you mean SPILLWATCH_MQTT__HOST?",
        "environment variable SPILLWATCH_SIGHT is no setting and is not read",
    ]


def test_relative_paths_start_at_the_file(
    tmp_path: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/crew")
    monkeypatch.setenv("STATE", "/state")
    secret(tmp_path / "secret")
    settings = load(
        write(
            '[model]\npath = "models/m.safetensors"\n[events]\npath = "$STATE/e.jsonl"\n'
            '[mqtt]\ntls = true\nca_file = "~/ca.crt"\nusername = "a"\npassword_file = "secret"\n'
            + RTSP.replace("w.toml", "/abs/w.toml")
            + USB
        )
    )

    assert settings.model.path == tmp_path / "models/m.safetensors"
    assert settings.events.path == Path("/state/e.jsonl")
    assert settings.mqtt.ca_file == Path("/home/crew/ca.crt")
    assert settings.mqtt.password_file == tmp_path / "secret"
    assert [camera.wells for camera in settings.cameras] == [Path("/abs/w.toml"), tmp_path / "w.toml"]


def test_port_and_base_topic_have_defaults() -> None:
    assert MqttSettings().resolved_port == 1883
    assert MqttSettings(tls=True).resolved_port == 8883
    assert MqttSettings(tls=True, port=443).resolved_port == 443
    assert Settings(site="two").base_topic == "spillwatch/two"
    assert Settings(mqtt=MqttSettings(base="plant/2")).base_topic == "plant/2"


# Secrets


def test_a_password_in_a_url_is_never_shown(write: Callable[[str], Path]) -> None:
    settings = load(write(RTSP.replace("10.0.0.21", "crew:bleed-0ut@10.0.0.21")))

    url = settings.cameras[0].url
    assert url is not None
    assert "bleed-0ut" in url.get_secret_value()
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "bleed-0ut" not in shown


@pytest.mark.parametrize(
    "text",
    [
        RTSP.replace("rtsp://10.0.0.21", "http://crew:bleed-0ut@10.0.0.21"),
        RTSP.replace("rtsp://10.0.0.21", "rtsp://crew:bleed-0ut@10.0.0.21") + "device = 0\n",
        RTSP.replace("rtsp://10.0.0.21", "rtsp://crew:bleed-0ut@10.0.0.21") + "ulr = 1\n",
        RTSP.replace('"rtsp://10.0.0.21/a"', '["rtsp://crew:bleed-0ut@10.0.0.21/a"]'),
        RTSP.replace('10.0.0.21/a"', "crew:bleed-0ut@10.0.0.21/a"),
    ],
)
def test_a_password_in_a_url_is_not_in_the_text_of_an_error(fault: Callable[[str], str], text: str) -> None:
    assert "bleed-0ut" not in fault(text)


def test_a_password_comes_from_a_file_that_others_cannot_read(tmp_path: Path, fault: Callable[[str], str]) -> None:
    path = secret(tmp_path / "secret")
    assert MqttSettings(username="crew", password_file=path).password() == "bleed-0ut"

    path.chmod(0o644)
    text = '[mqtt]\nusername = "crew"\npassword_file = "secret"\n'
    assert fault(text) == (f"FILE, line 3: mqtt.password_file: {path} can be read by everyone; run: chmod o-rwx {path}")
    path.unlink()
    assert "cannot be read: No such file" in fault(text)


def test_a_password_without_a_name_is_refused(tmp_path: Path, fault: Callable[[str], str]) -> None:
    secret(tmp_path / "secret")
    assert fault('[mqtt]\npassword_file = "secret"\n') == "FILE, line 1: mqtt: password_file needs username"
    assert fault(RTSP + 'password_file = "secret"\n') == "FILE, line 1: cameras.1: password_file needs username"


def test_a_password_file_that_vanished_or_is_no_text_is_named(tmp_path: Path) -> None:
    path = secret(tmp_path / "secret")
    settings = MqttSettings(username="crew", password_file=path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="secret cannot be read"):
        settings.password()
    path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        settings.password()


def test_there_is_no_password_without_a_file() -> None:
    assert MqttSettings().password() is None


# The operators' page


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "the page needs token_file or user_header"),
        ('user_header = "X-User"\nhost = "10.0.0.5"', "can be reached by other machines; set beyond_loopback = true"),
        ('user_header = "X-User"\nhost = "10.0.0.5"\nbeyond_loopback = true', "needs a host of this machine alone"),
        ('user_header = "X-User"\nhost = "0.0.0.0"', "can be reached by other machines"),
        ('user_header = "X: User"', "page.user_header"),
    ],
)
def test_a_page_that_anybody_could_open_is_refused(lines: str, said: str, fault: Callable[[str], str]) -> None:
    assert said in fault(f"[page]\nenabled = true\n{lines}\n")


def test_a_page_beyond_loopback_must_be_asked_for(tmp_path: Path, write: Callable[[str], Path]) -> None:
    secret(tmp_path / "token")
    text = f'[page]\nenabled = true\nhost = "10.0.0.5"\nbeyond_loopback = true\ntoken_file = "{tmp_path / "token"}"\n'
    assert load(write(text)).page.host == "10.0.0.5"


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    secret(tmp_path / "token")  # a short one
    with pytest.raises(ConfigError, match="can be guessed; make one with: openssl rand -hex 16"):
        PageSettings(enabled=True, token_file=tmp_path / "token").token()
