"""Camera profiles: detection levels that `spillwatch calibrate` found for one camera, with their evidence (TOML)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spillwatch import inputs
from spillwatch.config import DetectionSettings
from spillwatch.errors import ConfigError
from spillwatch.outputs import write_whole

if TYPE_CHECKING:
    from pathlib import Path

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Levels(_Part):
    """What replaces the settings' own; see DetectionSettings."""

    reference: Number
    on_s: Number
    off_s: Number


class Evidence(_Part):
    """What the levels rest on. Rates are expected false alarms of the whole camera in 30 days."""

    model: str
    videos: tuple[str, ...]
    well_hours: Number
    events: int
    budget: str
    budget_per_30_days: Number
    fitted: bool
    """False: too few disturbances to choose levels by; those in force were kept."""
    met: bool
    """Expected false alarms are within the budget."""
    expected_per_30_days: Number
    interval_per_30_days: tuple[Number, Number]
    confidence: Number
    extrapolation: Number
    """Well-hours for one false alarm of the budget, over the well-hours of the footage."""
    strength: Number
    expected_delay_s: Number
    date: str
    version: str


class Profile(_Part):
    """The whole file."""

    detection: Levels
    evidence: Evidence


def load(path: Path) -> Profile:
    """Read a profile. Raises ConfigError that names the file, the key and the mend."""
    try:
        return Profile.model_validate(inputs.read_toml(path, what="profile", error=ConfigError))
    except OSError as exc:
        raise ConfigError(
            f"profile {path} cannot be read: {exc.strerror}; make one with: spillwatch calibrate"
        ) from exc
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        key = inputs.plain(".".join(str(part) for part in fault["loc"]))
        raise ConfigError(f"profile {path}: {key}: {fault['msg']}; make it anew with: spillwatch calibrate") from None


def save(profile: Profile, path: Path) -> None:
    """Write a profile, whole or not at all."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Made by `spillwatch calibrate`: levels of one camera, and what they rest on."))
    for name, values in profile.model_dump().items():
        table = tomlkit.table()
        for key, value in values.items():
            table[key] = list(value) if isinstance(value, tuple) else value
        document[name] = table
    try:
        write_whole(path, tomlkit.dumps(document).encode())
    except OSError as exc:
        raise ConfigError(f"profile {path} cannot be written: {exc.strerror}; choose another place") from exc


def detection_of_candidate(detection: DetectionSettings, path: Path | None, model: str) -> DetectionSettings:
    """As ``detection_for``, but the settings' own levels where there is no profile for this model yet."""
    try:
        return detection_for(detection, path, model)
    except ConfigError:
        return detection


def detection_for(detection: DetectionSettings, path: Path | None, model: str) -> DetectionSettings:
    """The settings with a profile's levels in them; ``model`` is the name of the loaded one.

    ``NAME.MODEL.toml`` beside ``NAME.toml`` goes before it, so that models can be changed to and fro.
    """
    if path is None:
        return detection
    own = path.with_name(f"{path.stem}.{model}{path.suffix}")
    if own.exists():
        path = own
    profile = load(path)
    if profile.evidence.model != model:
        raise ConfigError(
            f"profile {path} was made for model {profile.evidence.model!r}, but {model!r} is loaded; make one for "
            f"it with: spillwatch calibrate --model MODEL --profile {own}"
        )
    try:
        return DetectionSettings.model_validate(detection.model_dump() | profile.detection.model_dump())
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        key = ".".join(str(part) for part in ("detection", *fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        raise ConfigError(f"profile {path}: {key}: {message}; make it anew with: spillwatch calibrate") from None
