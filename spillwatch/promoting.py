"""Putting a model in force, and taking it back; see ``model/stock.py`` for how."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spillwatch import build, inputs
from spillwatch.errors import ConfigError, ModelError
from spillwatch.model import bundle as bundles
from spillwatch.model import stock

if TYPE_CHECKING:
    from pathlib import Path

    from spillwatch.config import ModelSettings, Settings

RELOAD = "systemctl reload spillwatch takes it up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A line of the list: ``when`` is since or until when, None where nobody wrote it down."""

    name: str
    state: str
    when: str | None
    path: Path
    by: str | None = None
    reason: str | None = None


def promote(settings: Settings, candidate: Path, *, anyway: str | None) -> str:
    """Put a candidate in force, if a comparison finds it no worse, or ``anyway`` says why all the same."""
    path, in_force = _path(settings.model), _in_force(settings.model)
    if stock.digest(candidate) == stock.digest(in_force):
        raise ModelError(f"model {candidate} is in force already")
    _check(settings, candidate)
    faults = objections(candidate, in_force)
    if faults and not anyway:
        raise ModelError(
            f"{candidate} is not promoted: {'; '.join(faults)}. To do it all the same, say why: --anyway 'REASON'"
        )
    reason = f"{anyway} (although {'; '.join(faults)})" if faults else anyway
    change = stock.put(path, candidate, in_force=in_force, by=_who(), reason=reason)
    return f"{change.model} is in force in place of {change.before}, which is kept; {RELOAD}"


def rollback(settings: Settings, *, reason: str | None) -> str:
    """Put back the model that was in force before."""
    path = _path(settings.model)
    if found := stock.earlier(path) if path.exists() else []:
        _check(settings, found[0].path)
    change = stock.back(path, by=_who(), reason=reason)
    return f"{change.model} is in force again in place of {change.before}; {RELOAD}"


def standing(settings: Settings) -> list[Standing]:
    """The model in force, the shadow if there is one, and the models of before, the newest first."""
    in_force = _in_force(settings.model)
    last = next(iter(reversed(stock.changes(in_force))), None)
    name = bundles.load(in_force).name
    said = {"when": last.at, "by": last.by, "reason": last.reason} if last and last.model == name else {"when": None}
    rows = [Standing(name=name, state="in force", path=in_force, **said)]
    rows += [
        Standing(name=each.name, state="until", when=each.until, path=each.path) for each in stock.earlier(in_force)
    ]
    return rows


def comparison_of(candidate: Path) -> Path:
    """The file that `model compare` writes beside a candidate; its page has the same name, with .html."""
    return candidate.with_name(f"{candidate.stem}.comparison.json")


def objections(candidate: Path, in_force: Path) -> list[str]:
    """What speaks against a candidate: no comparison with what is in force now, or what that says."""
    path = comparison_of(candidate)
    try:
        said: dict[str, Any] = json.loads(inputs.read(path, what="comparison", error=ModelError))
        sound = said["candidate"]["sha256"], said["live"]["sha256"]
        worse = [str(each) for each in said["worse"]]
    except FileNotFoundError:
        return [f"it was not compared with what is in force (spillwatch model compare {candidate})"]
    except (OSError, ValueError, KeyError, TypeError):
        return [f"its comparison {path} cannot be read; make it anew (spillwatch model compare {candidate})"]
    if sound != (stock.digest(candidate), stock.digest(in_force)):
        return [f"its comparison {path} is of other models; make it anew (spillwatch model compare {candidate})"]
    return worse


def _check(settings: Settings, candidate: Path) -> None:
    """Whatever a reload would refuse is refused here."""
    with_it = settings.model.model_copy(update={"path": candidate, "device": "cpu"})
    build.check(settings.model_copy(update={"model": with_it}))


def _path(settings: ModelSettings) -> Path:
    if settings.path is None:
        raise ConfigError(
            'model.path is not set, so the bundled model is in force; add path = "model.safetensors" to [model] (the '
            "file need not exist yet)"
        )
    return settings.path


def _in_force(settings: ModelSettings) -> Path:
    """A path that was set for the first promotion has no file yet; until then the bundled one is watching."""
    return settings.path if settings.path and settings.path.exists() else bundles.default_path()


def _who() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()
