"""A model as one file: weights, and everything needed to use and judge them, in safetensors; no pickle."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from spillwatch import inputs
from spillwatch.errors import ModelError
from spillwatch.inputs import plain
from spillwatch.model.architecture import SIDE, Architecture, shapes
from spillwatch.outputs import write_whole
from spillwatch.records import Preprocessing

State = dict[str, npt.NDArray[Any]]

VERSION = 1
MOST_BYTES = 64 * inputs.MIB
"""Of a model file; the bundled one has a third of a MiB."""
KEYS = frozenset(
    {
        "version",
        "name",
        "preset",
        "seed",
        "architecture",
        "preprocessing",
        "threshold",
        "threshold_rule",
        "normal_quantiles",
        "spill_quantiles",
        "metrics",
        "data_digest",
    }
)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Quantiles = dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]


class _Shape(BaseModel):
    """Bounds of what the cropper will be asked to make."""

    height: Annotated[int, Field(ge=SIDE, le=512)]
    width: Annotated[int, Field(ge=SIDE, le=512)]
    blur_kernel: Annotated[int, Field(ge=1, le=63)]
    blur_sigma: Annotated[float, Field(ge=0, le=64)]


class _Said(BaseModel):
    """What others will rely on: a name goes into every alarm, quantiles scale the scores."""

    name: Name
    preset: Name
    seed: int
    threshold_rule: Annotated[str, Field(max_length=1000)]
    normal_quantiles: Quantiles
    spill_quantiles: Quantiles
    metrics: dict[str, Any]
    data_digest: Annotated[str, Field(max_length=200)]
    preprocessing: _Shape
    taught: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """A trained model. ``threshold`` and the quantiles are in the score's own units (mean squared error, 0..1 pixels).

    Quantiles are of held-out crops as a video would show them; their keys are "0.01" ... "0.99". ``taught`` says what
    it learnt from the crew's judgements, see ``taught.Taught.about``; it is empty where that is nothing.
    """

    name: str
    preset: str
    seed: int
    architecture: Architecture
    preprocessing: Preprocessing
    threshold: float
    threshold_rule: str
    normal_quantiles: dict[str, float]
    spill_quantiles: dict[str, float]
    metrics: dict[str, Any]
    data_digest: str
    state: State = field(repr=False)
    taught: dict[str, Any] = field(default_factory=dict)


def default_path() -> Path:
    """The model that comes with the package."""
    return Path(str(resources.files("spillwatch") / "models" / "default.safetensors"))


def name_of(preset: str, state: State) -> str:
    """``preset-`` and 8 hex digits of the weights, so that an alarm says exactly which model spoke."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode() + state[key].tobytes())
    return f"{preset}-{digest.hexdigest()[:8]}"


def save(bundle: Bundle, path: Path) -> None:
    """Write all or nothing: a reader sees the old file or the new one."""
    metadata = {key: value for key, value in asdict_shallow(bundle).items() if key != "state"} | {"version": VERSION}
    data = to_bytes(bundle.state, metadata={"spillwatch": json.dumps(metadata, sort_keys=True, allow_nan=False)})
    try:
        write_whole(path, data, synced=True)
    except OSError as exc:
        raise ModelError(
            f"model {path} cannot be written: {exc.strerror}; choose an existing folder with {len(data)} B free"
        ) from exc


def asdict_shallow(bundle: Bundle) -> dict[str, Any]:
    """The bundle's fields, with its two small records as dicts."""
    fields = dict(vars(bundle))
    return fields | {key: asdict(fields[key]) for key in ("architecture", "preprocessing")}


def load(path: Path) -> Bundle:
    """Read and check a model file; every fault is a ModelError that names the file, the value and the mend."""
    try:
        inputs.check(path, what="model", error=ModelError, most=MOST_BYTES)
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError as exc:
        raise ModelError(f"model {path} does not exist; make it with 'spillwatch train' or leave it out") from exc
    except (SafetensorError, OSError) as exc:
        raise ModelError(
            f"model {path} cannot be read as safetensors ({plain(exc)}); train it again or copy it again"
        ) from exc
    return _bundle(path, _checked(path, metadata), state)


def _checked(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        values = json.loads(metadata["spillwatch"])
    except (KeyError, ValueError, RecursionError) as exc:
        raise ModelError(
            f"model {path} is not a spillwatch model: its metadata lacks a valid 'spillwatch'; train one"
        ) from exc
    version = values.get("version") if isinstance(values, dict) else None
    if version != VERSION:
        raise ModelError(
            f"model {path} has format version {plain(version)}, this spillwatch reads {VERSION}; train it again"
        )
    if missing := sorted(KEYS - values.keys()):
        raise ModelError(f"model {path} lacks {', '.join(missing)} in its metadata; train it again")
    return dict(values)


def _bundle(path: Path, values: dict[str, Any], state: State) -> Bundle:
    try:
        architecture = Architecture(**values["architecture"])
        wanted = shapes(architecture)
        preprocessing = Preprocessing(**values["preprocessing"])
        threshold = float(values["threshold"])
    except (TypeError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelError(
            f"model {path} has an architecture, preprocessing or threshold that cannot be used ({plain(exc)}); "
            "train it again"
        ) from exc
    _check_state(path, wanted, state)
    if not (math.isfinite(threshold) and threshold > 0):
        raise ModelError(
            f"model {path} has threshold {threshold}, which must be a finite number above 0; train it again"
        )
    if preprocessing.size != SIDE:
        raise ModelError(
            f"model {path} has preprocessing.size {plain(preprocessing.size)}, networks take {SIDE}; train it again"
        )
    _check_said(path, values)
    fields = {key: values[key] for key in KEYS - {"version", "architecture", "preprocessing", "threshold"}}
    fields["taught"] = values.get("taught", {})  # models made before it have none
    return Bundle(architecture=architecture, preprocessing=preprocessing, threshold=threshold, state=state, **fields)


def _check_said(path: Path, values: dict[str, Any]) -> None:
    try:
        said = _Said.model_validate(values)
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        key = plain(".".join(str(part) for part in fault["loc"]))
        raise ModelError(f"model {path}: {key}: {fault['msg']}; train it again") from None
    if "0.5" not in said.normal_quantiles or "0.5" not in said.spill_quantiles:
        raise ModelError(f"model {path} lacks the median (0.5) among its quantiles; train it again")


def _check_state(path: Path, wanted: dict[str, tuple[int, ...]], state: State) -> None:
    for name in sorted(wanted.keys() | state.keys()):
        found = state[name].shape if name in state else None
        if found != wanted.get(name):
            raise ModelError(
                f"model {path} has tensor {plain(name)} of shape {found}, not {wanted.get(name)} as it says; "
                "train it again"
            )
        if not np.isfinite(state[name]).all():
            raise ModelError(f"model {path} has numbers in tensor {plain(name)} that are not finite; train it again")
