"""Settings: what there is to set, in sections; ``configfile`` reads them.

Each part of the house gets its own section and never the whole.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from spillwatch import inputs
from spillwatch.errors import ConfigError
from spillwatch.records import SITE, Condition, Verb


def _expand(value: object) -> object:
    """``$CREDENTIALS_DIRECTORY/name`` and ``~`` in paths."""
    if isinstance(value, str) and "$" in (expanded := os.path.expandvars(value)):
        raise ValueError(f"{value!r} names an environment variable that is not set")
    return os.path.expanduser(expanded) if isinstance(value, str) else value


def _secret(path: Path) -> Path:
    """A file with a password in it, which nobody else may read."""
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        raise ValueError(f"{path} cannot be read: {exc.strerror}") from exc
    if mode & stat.S_IRWXO:
        raise ValueError(f"{path} can be read by everyone; run: chmod o-rwx {path}")
    return path


def _topic_level(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise ValueError(
            "use 1 to 64 letters, digits, '.', '_' or '-', since it becomes part of an MQTT topic, "
            f"not {inputs.shown(value)}"
        )
    return value


def _topic(value: str) -> str:
    for level in value.split("/"):
        _topic_level(level)
    return value


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_SHORTEST_TOKEN = 16  # characters

PathSetting = Annotated[Path, BeforeValidator(_expand)]
SecretFile = Annotated[Path, BeforeValidator(_expand), AfterValidator(_secret)]
TopicLevel = Annotated[str, AfterValidator(_topic_level)]
Topic = Annotated[str, AfterValidator(_topic)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

MOST_SECRET = 64 * 1024
"""Bytes of a password or key file."""


class Section(BaseModel):
    """One stage's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelSettings(Section):
    """Which model judges the wells."""

    path: PathSetting | None = None
    """A model made by `spillwatch train`; without it, the bundled one."""
    shadow: PathSetting | None = None
    """A candidate that watches beside it without raising alarms, for `spillwatch model compare`."""
    threshold: Annotated[float, Field(gt=0)] | None = None
    """Overrides the model's own threshold (its score's units). Leave it out: thresholds travel with the model."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where scores are computed; auto takes CUDA where there is one."""


class DetectionSettings(Section):
    """When a well's scores become a spill. Levels are evidence: strength beyond the reference times seconds."""

    on_s: Seconds = 0.35
    """A spill is raised once this much evidence has gathered."""
    off_s: Annotated[float, Field(ge=0, le=3600)] = 0.1
    """Evidence must fall to this before a spill may return to normal."""
    off_delay_s: Annotated[float, Field(ge=0, le=3600)] = 3.0
    """... and stay there this long."""
    reference: Annotated[float, Field(ge=-0.5, le=0.8)] = 0.2
    """Strength at which evidence neither grows nor falls: -1 a typical normal well, 0 the model's threshold, 1 a
    typical spill. A spill of strength s is raised after on_s / (s - reference) seconds, a typical one after 0.44 s;
    and a well that stays somewhat above the threshold is none."""
    max_step_s: Seconds = 0.5
    """One frame counts for at most this much time, however late it comes."""
    obstructed_after_s: Seconds = 20.0
    """A well that something stands before for this long is an alarm of its own, since nobody watches it."""

    @model_validator(mode="after")
    def _ordered(self) -> DetectionSettings:
        if self.off_s >= self.on_s:
            raise ValueError(f"off_s ({self.off_s}) must be below on_s ({self.on_s})")
        return self


class AlarmSettings(Section):
    """How alarms live, after ISA-18.2 / IEC 62682."""

    latching: tuple[Condition, ...] = ()
    """Conditions whose alarms stay active after their cause is gone, until they are reset."""
    realarm_s: Annotated[float, Field(ge=0, le=86400)] = 300.0
    """An alarm of high priority that is still active calls again after this, acknowledged or not; 0: never."""
    shelve_max_s: Annotated[float, Field(gt=0, le=604800)] = 43200.0
    """No shelf lasts longer than this; a one-shot shelf ends then at the latest."""


class CommandSettings(Section):
    """What may be asked over MQTT, and by whom."""

    enabled: bool = True
    """False: every command is refused."""
    allow: tuple[Verb, ...] = tuple(Verb)
    """Commands that are obeyed."""
    by: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()
    """Who may ask; when empty, anybody who gives a name. A name proves nothing: the broker's access list must."""


class MqttSettings(Section):
    """The broker that alarms go to (MQTT 5, QoS 1)."""

    enabled: bool = True
    """False: `run` publishes to JSONL only."""
    host: str = "localhost"
    """Broker's name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Default: 8883 with TLS, 1883 without."""
    base: Topic | None = None
    """First levels of every topic; `spillwatch/{site}` by default."""
    client_id: TopicLevel | None = None
    """Must be unique at the broker; `spillwatch-{site}` by default."""
    username: str | None = None
    """Broker account."""
    password_file: SecretFile | None = None
    """File that holds the password alone; not readable by everyone."""
    tls: bool = False
    """Encrypt, and check the broker's certificate."""
    ca_file: PathSetting | None = None
    """Certificate authority in PEM; the system's by default."""
    cert_file: PathSetting | None = None
    """Client certificate in PEM."""
    key_file: SecretFile | None = None
    """Client certificate's key in PEM."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 10
    """A dead connection is noticed, and the last will sent, after about 1.5 times this."""

    @property
    def resolved_port(self) -> int:
        return self.port or (8883 if self.tls else 1883)

    def password(self) -> str | None:
        """The password, read when it is needed; None without a password_file."""
        return read_secret(self.password_file)

    @model_validator(mode="after")
    def _complete(self) -> MqttSettings:
        if self.password_file and not self.username:
            raise ValueError("password_file needs username")
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise ValueError("ca_file, cert_file and key_file need tls = true")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file go together")
        return self


class HomeAssistantSettings(Section):
    """Home Assistant's MQTT discovery, over the connection of [mqtt]."""

    enabled: bool = False
    """True: each camera announces itself as a device."""
    prefix: Topic = "homeassistant"
    """Home Assistant's own discovery prefix."""


class SparkplugSettings(Section):
    """Eclipse Sparkplug B 3.0 for SCADA: a second connection to the broker of [mqtt], with the same account."""

    enabled: bool = False
    """True: be an edge node, with each camera as a device."""
    group: TopicLevel = "spillwatch"
    """Sparkplug's group id."""
    node: TopicLevel | None = None
    """Sparkplug's edge node id, which no other node of the group may have; by default the site."""


class EventsSettings(Section):
    """The alarm log beside MQTT."""

    path: PathSetting | None = None
    """JSON lines, one per alarm event, appended."""


class StateSettings(Section):
    """What survives a restart: alarms, shelves, undelivered events, and the history."""

    directory: PathSetting | None = None
    """Default: the state directory that systemd gives, else ~/.local/state/spillwatch."""
    history_days: Annotated[float, Field(gt=0, le=36500)] = 400.0
    """Events and commands are kept for so long ..."""
    history_events: Annotated[int, Field(ge=1000, le=10_000_000)] = 100_000
    """... and no more than so many of each (about half a kB an event)."""
    trend_days: Annotated[float, Field(ge=0, le=36500)] = 30.0
    """Scores by the minute are kept for so long; 0 keeps none ..."""
    trend_rows: Annotated[int, Field(ge=0, le=10_000_000)] = 200_000
    """... and no more than so many rows, one per camera and minute (about 4 bytes a well)."""

    def folder(self) -> Path:
        """Where it is."""
        if self.directory:
            return self.directory
        if given := os.environ.get("STATE_DIRECTORY"):
            return Path(given.split(":")[0])
        home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        return Path(home) / "spillwatch"


class EvidenceSettings(Section):
    """Pictures of each spill alarm, kept below the state directory."""

    enabled: bool = False
    """True: keep them."""
    before_s: Annotated[float, Field(ge=1, le=120)] = 10.0
    """What happened so long before the alarm is kept ..."""
    after_s: Annotated[float, Field(ge=0, le=120)] = 20.0
    """... and what happens so long after it."""
    max_days: Annotated[float, Field(gt=0, le=3650)] = 30.0
    """Evidence is kept for so long ..."""
    max_bytes: Annotated[int, Field(ge=1_000_000)] = 4_000_000_000
    """... and no more than so many bytes of it: the oldest goes first."""


class SelfTestSettings(Section):
    """A painted spill through one well of each camera, to the broker and back; `test` is true in its events."""

    enabled: bool = False
    """True: test on a schedule. First see to it that sirens leave out events with `test: true`."""
    every_s: Annotated[float, Field(ge=10, le=604800)] = 900.0
    """Each camera is tested so often, one well after another: 84 wells take 21 hours."""
    timeout_s: Annotated[float, Field(ge=2, le=120)] = 10.0
    """Its event must be back from the broker within this; otherwise self_test_failed is raised."""


class PageSettings(Section):
    """The operators' page: a small web server for browsers."""

    enabled: bool = False
    """True: serve it."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8380
    """TCP port."""
    beyond_loopback: bool = False
    """True: `host` may be an address that other machines reach. Better: a reverse proxy with TLS on this machine."""
    token_file: SecretFile | None = None
    """File that holds the token alone, which opens the page; 16 characters at least, not readable by everyone."""
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    """Header in which a reverse proxy on this machine names the user whom it has let in, such as X-Remote-User."""
    metrics: bool = False
    """True: `/metrics` gives the daemon's figures to Prometheus, which shows the page's token as a bearer token."""

    def token(self) -> str | None:
        """The token, read when it is needed; None without a token_file."""
        token = read_secret(self.token_file)
        if token is not None and len(token) < _SHORTEST_TOKEN:
            raise ConfigError(
                f"page.token_file {self.token_file}: the token has {len(token)} characters, which can be guessed; "
                "make one with: openssl rand -hex 16"
            )
        return token

    @model_validator(mode="after")
    def _guarded(self) -> PageSettings:
        if not self.enabled:
            return self
        if self.token_file is None and self.user_header is None:
            raise ValueError("the page needs token_file or user_header: nobody may acknowledge alarms unknown")
        if not _is_loopback(self.host):
            if not self.beyond_loopback:
                raise ValueError(
                    f"host {self.host!r} can be reached by other machines; set beyond_loopback = true if that is meant"
                )
            if self.user_header is not None:
                raise ValueError("user_header needs a host of this machine alone, since anybody could send the header")
        return self


class LogSettings(Section):
    """The daemon's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON otherwise."""


class CameraSettings(Section):
    """One camera and its wells."""

    id: TopicLevel
    """Name in topics and events."""
    kind: Literal["rtsp", "usb"]
    """What kind of source it is."""
    wells: PathSetting
    """Wells file, made by `spillwatch locate`."""
    profile: PathSetting | None = None
    """Camera profile, made by `spillwatch calibrate`; its reference, on_s and off_s replace those of [detection]."""
    url: SecretStr | None = None
    """RTSP address; a password in it is masked everywhere, but password_file is better."""
    username: str | None = None
    """RTSP account, when it is not in the url."""
    password_file: SecretFile | None = None
    """File that holds the RTSP password alone; not readable by everyone."""
    device: str | int | None = None
    """USB: an index, `/dev/videoN`, or better a link in `/dev/v4l/by-id/`, which stays when it is plugged elsewhere."""
    width: Annotated[int, Field(ge=16, le=16384)] | None = None
    """USB: pixels asked of the device."""
    height: Annotated[int, Field(ge=16, le=16384)] | None = None
    """USB: pixels asked of the device."""
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    """USB: frames per second asked of the device."""
    pixel_format: Annotated[str, Field(pattern=r"^[A-Z0-9 ]{4}$")] | None = None
    """USB: FourCC asked of the device, for example MJPG or YUYV."""
    open_timeout_s: Seconds = 5.0
    """Give up opening after this."""
    read_timeout_s: Seconds = 2.0
    """A source that is silent for this long is reopened."""
    lost_after_s: Seconds = 2.0
    """Without a frame for this long the camera is blind: camera_lost is raised."""

    @model_validator(mode="after")
    def _complete(self) -> CameraSettings:
        if self.kind == "rtsp":
            if self.url is None:
                raise ValueError("an rtsp camera needs url")
            scheme, _, rest = self.url.get_secret_value().partition("://")
            if scheme not in ("rtsp", "rtsps"):
                raise ValueError("url must begin with rtsp:// or rtsps://")
            if not rest.rpartition("@")[2].split("/")[0]:
                raise ValueError("url must name the camera's address after rtsp://")
            if self.device is not None:
                raise ValueError("device is for usb cameras")
        if self.kind == "usb":
            if self.device is None:
                raise ValueError("a usb camera needs device")
            if self.url is not None:
                raise ValueError("url is for rtsp cameras")
        if self.password_file and not self.username:
            raise ValueError("password_file needs username")
        return self

    def password(self) -> str | None:
        """The password, read when it is needed; None without a password_file."""
        return read_secret(self.password_file)


class Settings(BaseSettings):
    """The whole file."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="SPILLWATCH_",
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    site: TopicLevel = "line"
    """This line's name, part of every topic: `spillwatch/{site}/...`."""
    model: ModelSettings = ModelSettings()
    detection: DetectionSettings = DetectionSettings()
    alarms: AlarmSettings = AlarmSettings()
    commands: CommandSettings = CommandSettings()
    mqtt: MqttSettings = MqttSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    sparkplug: SparkplugSettings = SparkplugSettings()
    events: EventsSettings = EventsSettings()
    state: StateSettings = StateSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    self_test: SelfTestSettings = SelfTestSettings()
    page: PageSettings = PageSettings()
    log: LogSettings = LogSettings()
    cameras: tuple[CameraSettings, ...] = ()

    def files(self) -> list[Path]:
        """Every file that is named here: no output may take the place of one."""
        sections = [section for _name, section in self if isinstance(section, Section)]
        return [value for section in (*sections, *self.cameras) for _key, value in section if isinstance(value, Path)]

    @property
    def base_topic(self) -> str:
        return self.mqtt.base or f"spillwatch/{self.site}"

    @model_validator(mode="after")
    def _reachable(self) -> Settings:
        if self.homeassistant.enabled and not self.mqtt.enabled:
            raise ValueError("homeassistant.enabled needs mqtt.enabled: it finds the cameras over that connection")
        if self.self_test.enabled and not self.mqtt.enabled:
            raise ValueError("self_test.enabled needs mqtt.enabled: its event goes to the broker and back")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        ids = [camera.id for camera in self.cameras]
        if twice := {i for i in ids if ids.count(i) > 1}:
            raise ValueError(f"camera id {sorted(twice)[0]!r} is used twice")
        if SITE in ids:
            raise ValueError(f"camera id {SITE!r} stands for the site itself; choose another")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings calls with these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose content comes as init arguments."""
        return env_settings, init_settings


def read_secret(path: Path | None) -> str | None:
    """The one line in a secret's file."""
    if path is None:
        return None
    try:
        content = inputs.read(path, what="secret", error=ConfigError, most=MOST_SECRET)
        return content.decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"the secret in {path} cannot be read: {exc}") from exc
