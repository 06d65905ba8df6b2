"""Reads settings: one TOML file, overridden by environment variables (``SPILLWATCH_MQTT__HOST``).

Every fault is told with its key, its line and its mend; unknown keys are faults that suggest the right one.
"""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from spillwatch import inputs
from spillwatch.config import CameraSettings, Settings
from spillwatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path | None) -> Settings:
    """Read and check a settings file (None: environment and defaults alone).

    Relative paths in it are taken from the file's own folder. Raises ConfigError with every fault on a line of its
    own, each with its key, its line and its mend.
    """
    content = b""
    if path is not None:
        try:
            content = inputs.read(path, what="config", error=ConfigError)
        except OSError as exc:
            raise ConfigError(f"config {path} cannot be read: {exc.strerror}; name a settings file") from exc
    data = inputs.parse_toml(content, what=f"config {path}", error=ConfigError)
    text = inputs.text(content, what=f"config {path}", error=ConfigError)
    if path is not None:
        _anchor(data, path.resolve().parent)
    try:
        return Settings(**data)
    except SettingsError as exc:  # an environment variable for a whole table, which must be JSON
        raise ConfigError(f"environment: {exc}; write it as JSON, or set its keys one by one") from None
    except ValidationError as exc:
        faults = [_sentence(path, text, error) for error in exc.errors(include_url=False)]
        raise ConfigError("\n".join(faults)) from None


def strange_variables() -> list[str]:
    """Variables of the environment that look like settings and are none, each with the one that may be meant.

    They are no errors: container platforms put their own there.
    """
    sections = list(Settings.model_fields)
    strange = []
    for name in sorted(os.environ):
        prefix, _, rest = name.partition("_")
        if prefix != "SPILLWATCH" or not rest or rest.split("__")[0].lower() in sections:
            continue
        section = next((s for s in sections if rest.lower().startswith(f"{s}_")), None)
        meant = f"; did you mean {prefix}_{section.upper()}__{rest[len(section) + 1 :]}?" if section else ""
        strange.append(f"environment variable {name} is no setting and is not read{meant}")
    return strange


_PATH_KEYS = {
    "path", "shadow", "directory", "wells", "profile", "password_file", "ca_file", "cert_file", "key_file", "token_file"
}  # fmt: skip


def _anchor(data: dict[str, Any], folder: Path) -> None:
    """Make the paths in a file's tables relative to its folder, unless they begin with ``$``, ``~`` or ``/``."""
    tables = [value for value in data.values() if isinstance(value, dict)]
    cameras = data.get("cameras")
    if isinstance(cameras, list):
        tables += [item for item in cameras if isinstance(item, dict)]
    for table in tables:
        for key in _PATH_KEYS & table.keys():
            if isinstance(table[key], str) and not table[key].startswith(("$", "~")):
                table[key] = str(folder / table[key])


def _sentence(path: Path | None, text: str, error: Any) -> str:
    loc = tuple(error["loc"])
    key = ".".join(f"{part + 1}" if isinstance(part, int) else str(part) for part in loc)
    line = _line_of(text, loc)
    where = f"{path}, line {line}" if path and line else str(path or "environment")
    variable = "SPILLWATCH_" + "__".join(str(part) for part in loc).upper()
    if loc and variable in os.environ:  # it wins over the file
        where = f"environment variable {variable}"
    if error["type"] == "extra_forbidden":
        known = _keys_at(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}"
        return f"{where}: unknown key {inputs.shown(key)}; {mend}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] != "value_error" and isinstance(error["input"], str | int | float) and "url" not in loc:
        message += f", not {inputs.shown(error['input'])}"  # ours name what they must; a url may hold a password
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _keys_at(loc: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Settings
    for part in loc:
        if part == "cameras":
            section = CameraSettings
        elif isinstance(part, str):
            annotation = section.model_fields[part].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                section = annotation
    return list(section.model_fields)


def _line_of(text: str, loc: tuple[int | str, ...]) -> int | None:
    """The line of a key in a TOML text, found by its table's header; None when it is not there (environment)."""
    table = [str(part) for part in loc if isinstance(part, str)]
    index = next((part for part in loc if isinstance(part, int)), 0)
    here: list[str] = []
    seen: dict[str, int] = {}
    header_line = None
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*(\[\[?)\s*([\w.\"-]+)\s*\]", line):
            here = match[2].replace('"', "").split(".")
            count = seen[match[2]] = seen.get(match[2], -1) + 1
            if here == table and (match[1] == "[" or count == index):
                header_line = number
        elif match := re.match(r"\s*([\w\"-]+)\s*=", line):
            name = match[1].strip('"')
            if [*here, name] == table and seen.get(".".join(here), 0) == (index if here == ["cameras"] else 0):
                return number
    return header_line
