"""The model in force and those before it: ``NAME.earlier/`` beside the file, with a log of who changed it and why.

A change is two steps that are each there whole or not at all: the model in force is kept, then the new one takes its
name. Whoever reads in between, or after the power failed in between, has a whole model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spillwatch import inputs
from spillwatch.errors import ModelError
from spillwatch.inputs import plain
from spillwatch.model import bundle as bundles
from spillwatch.outputs import write_whole
from spillwatch.records import STAMP, rfc3339

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 10
"""Models of before; the oldest go."""

_LOG = "log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the model in force: ``model`` took over from ``before``. ``kept`` is the file of the latter."""

    at: str
    action: str
    model: str
    before: str
    by: str
    reason: str | None
    kept: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A model of before, in force until ``until`` (RFC 3339)."""

    path: Path
    name: str
    until: str


def digest(path: Path) -> str:
    """SHA-256 of a model file."""
    return hashlib.sha256(_content(path)).hexdigest()


def earlier(path: Path) -> list[Earlier]:
    """What was in force before, the newest first, and can be put back; the same model as now is none of them."""
    now = digest(path)
    found = [file for file in sorted(_folder(path).glob("*~*.safetensors"), reverse=True) if digest(file) != now]
    return [Earlier(path=file, name=file.stem.partition("~")[2], until=_when(file)) for file in found]


def changes(path: Path) -> list[Change]:
    """What the log tells, the oldest first; lines that tell nothing are left out."""
    try:
        content = inputs.read(_folder(path) / _LOG, what="log of models", error=ModelError).decode("utf-8")
        return [Change(**json.loads(line)) for line in content.splitlines() if line.strip()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as exc:
        raise ModelError(
            f"the log of models {_folder(path) / _LOG} cannot be read ({plain(exc)}); move it away"
        ) from exc


def last(path: Path) -> Change | None:
    """The newest change that can be read."""
    try:
        return next(iter(reversed(changes(path))), None)
    except ModelError:
        return None


def put(path: Path, new: Path, *, in_force: Path, by: str, reason: str | None) -> Change:
    """Promote: ``new`` takes the name ``path``; what is ``in_force``, there or elsewhere, is kept."""
    return _change(path, new, action="promote", in_force=in_force, by=by, reason=reason)


def back(path: Path, *, by: str, reason: str | None) -> Change:
    """Roll back: the model that was in force before takes its name again, and is no longer one of before."""
    found = earlier(path)
    if not found:
        raise ModelError(f"no earlier model is kept beside {path}, so there is none to go back to")
    change = _change(path, found[0].path, action="rollback", in_force=path, by=by, reason=reason)
    found[0].path.unlink(missing_ok=True)
    return change


def _change(path: Path, new: Path, *, action: str, in_force: Path, by: str, reason: str | None) -> Change:
    folder, now = _folder(path), datetime.now(UTC)
    name, before = bundles.load(new).name, bundles.load(in_force).name
    # One that was rolled back is kept under another ending: going back twice must not bring it again.
    kept = folder / f"{now:{STAMP}}~{before}.{'safetensors' if action == 'promote' else 'withdrawn'}"
    change = Change(at=rfc3339(now), action=action, model=name, before=before, by=by, reason=reason, kept=kept.name)
    try:
        folder.mkdir(exist_ok=True)
        # Weights are no secret: the daemon's account must be able to read them.
        write_whole(kept, _content(in_force), mode=0o644, synced=True)
        write_whole(path, _content(new), mode=0o644, synced=True)
        with open(folder / _LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(change), ensure_ascii=False) + "\n")
        for ending in ("safetensors", "withdrawn"):
            for file in sorted(folder.glob(f"*~*.{ending}"))[:-KEPT]:
                file.unlink()
    except OSError as exc:
        raise ModelError(
            f"model {path} cannot be changed: {exc.strerror}; run this as who may write to {path.parent}"
        ) from exc
    return change


def _content(path: Path) -> bytes:
    try:
        return inputs.read(path, what="model", error=ModelError, most=bundles.MOST_BYTES)
    except OSError as exc:
        raise ModelError(f"model {path} cannot be read: {exc.strerror}; name a model file") from exc


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.stem}.earlier")


def _when(path: Path) -> str:
    return rfc3339(datetime.strptime(path.name.partition("~")[0], STAMP).replace(tzinfo=UTC))
