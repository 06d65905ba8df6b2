"""Hostile and damaged input: each is refused with one clear sentence, or taken; nothing else may come out."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from spillwatch import build, config, configfile, profile, truth
from spillwatch.errors import SpillwatchError
from spillwatch.model import bundle
from spillwatch.watch.commands import parse
from spillwatch.wells import wellmap
from tools.faults.recorder import BASE
from tools.faults.scene import calm
from tools.faults.stage import Stage
from tools.faults.tally import Tally
from tools.rig import RigError, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

LONGEST_S = 3.0
"""An input that takes longer to refuse is an attack on the processor."""
LONGEST_SENTENCE = 1000

NASTY = [
    *(
        '""',
        '"../../etc/passwd"',
        '"a/b"',
        '"#"',
        '"+"',
        '"<script>alert(1)</script>"',
        '"\\u0000"',
        '"\\u202e"',
        '"é"',
    ),
    *("-1", "0", "1e308", "-1e308", "inf", "nan", "9223372036854775807", "99999999999999999999999", "0.0", "true"),
    *("[]", "{}", "[[1]]", "[{}]", "null", "1979-05-27", "07:32:00", f'"{"x" * 5000}"', "[" * 2000, "{a=" * 500),
    *('"$HOME"', '"$NOT_SET_ANYWHERE"', '"~nobody/x"', '"rtsp://a:b@c/d"', '"http://x"', '"/dev/zero"', '"."', '"/"'),
]
SETTINGS = """\
site = "line"
[model]
threshold = 0.02
[detection]
on_s = 0.8
off_s = 0.2
[mqtt]
host = "broker"
port = 1883
username = "line"
[events]
path = "events.jsonl"
[[cameras]]
id = "one"
kind = "rtsp"
url = "rtsp://camera/stream"
wells = "wells.toml"
[[cameras]]
id = "two"
kind = "usb"
device = "/dev/video0"
width = 1280
wells = "wells.toml"
"""
WELLS = "".join(
    f'[[wells]]\nid = "{n}"\nx = {100 * n}.0\ny = 50.0\nwidth = 48.0\nheight = 28.0\nout_of_service = false\n\n'
    for n in range(1, 5)
)
PROFILE = """\
[detection]
reference = 0.2
on_s = 0.35
off_s = 0.1
[evidence]
model = "default-0"
videos = ["a.mp4"]
well_hours = 1.0
events = 3
budget = "1 per 30 days"
budget_per_30_days = 1.0
fitted = true
met = true
expected_per_30_days = 0.5
interval_per_30_days = [0.1, 2.0]
confidence = 0.95
extrapolation = 10.0
strength = 0.7
expected_delay_s = 0.9
date = "2026-11-24"
version = "0.1.0"
"""
TRUTH = json.dumps(
    {"wells": [{"id": "a", "x": 1, "y": 2, "w": 3, "h": 4}], "spills": [{"well": "a", "start_s": 1.0, "end_s": 2.0}]},
    indent=1,
)


COMMAND = """\
{"command": "shelve",
"camera": "one",
"well": "1U1",
"by": "anna",
"reason": "hose in front of it",
"for_s": 60
}"""
WELL_IDS = {"one": ("1U1", "1U2"), "two": ("1U1",)}


@st.composite
def damaged_text(draw: Callable[..., Any], good: str) -> bytes:
    """A good text after one to four accidents, one of them sometimes to its bytes; now and then anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return bytes(draw(st.binary(max_size=400)))
    lines = good.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1)) if lines else 0
        what = draw(st.sampled_from(("value", "key", "drop", "twice", "text", "move")))
        if not lines or what == "text":
            lines.insert(at, draw(st.text(max_size=60)))
        elif what == "drop":
            del lines[at]
        elif what == "twice":
            lines.insert(at, lines[at])
        elif what == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        else:
            key, sign, value = lines[at].partition(":" if good.startswith("{") else "=")
            nasty = draw(st.sampled_from(NASTY))
            lines[at] = f"{key}{sign} {nasty}" if what == "value" else f"{nasty}{sign}{value}"
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return bytes(draw(damaged_bytes(text))) if draw(st.integers(0, 4)) == 0 else text


@st.composite
def damaged_bytes(draw: Callable[..., Any], good: bytes) -> bytes:
    """Cut off, or some of its bytes replaced."""
    data = bytearray(good[: draw(st.integers(0, len(good)))] if draw(st.booleans()) else good)
    for _ in range(draw(st.integers(1, 8))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def damaged_model(draw: Callable[..., Any], good: bytes) -> bytes:
    """A model file with damage to its header, to what the header says, or to anything."""
    (size,) = struct.unpack("<Q", good[:8])
    header, body = good[8 : 8 + size], good[8 + size :]
    what = draw(st.sampled_from(("bytes", "length", "header", "values")))
    if what == "bytes":
        return bytes(draw(damaged_bytes(good[: 8 + size + 64]))) + body[64:]
    if what == "length":
        return struct.pack("<Q", draw(st.sampled_from((0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1)))) + good[8:]
    if what == "header":
        header = draw(damaged_bytes(header))
        return struct.pack("<Q", len(header)) + header + body
    values = json.loads(header)
    said = json.loads(values["__metadata__"]["spillwatch"])
    place: Any = said
    for _ in range(draw(st.integers(0, 1))):
        inner = [value for value in place.values() if isinstance(value, dict) and value]
        place = draw(st.sampled_from(inner)) if inner else place
    key = draw(st.sampled_from(sorted(place)))
    place[key] = draw(
        st.sampled_from((None, -1, 0, 3, 10**9, 10**30, 1e308, "", "x", [], {}, [1, 2, 3, 4], [10**9] * 4, True))
        | st.floats()
        | st.text(max_size=20)
    )
    values["__metadata__"]["spillwatch"] = json.dumps(said)
    header = json.dumps(values).encode()
    return struct.pack("<Q", len(header)) + header + body


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    file: str
    inputs: SearchStrategy[bytes]
    read: Callable[[Path], object]
    share: float


def targets() -> list[Target]:
    """Every kind of file that spillwatch reads, with its share of the inputs."""
    model = bundle.default_path().read_bytes()
    return [
        Target("commands", "command.json", damaged_text(COMMAND), _command, 0.3),
        Target("settings", "config.toml", damaged_text(SETTINGS), configfile.load, 0.2),
        Target("wells files", "wells.toml", damaged_text(WELLS), wellmap.load, 0.2),
        Target("profiles", "profile.toml", damaged_text(PROFILE), profile.load, 0.05),
        Target("truth files", "truth.json", damaged_text(TRUTH), truth.load, 0.05),
        Target("model files", "model.safetensors", damaged_model(model), _judge, 0.2),
    ]


def _command(path: Path) -> object:
    return parse(path.read_bytes(), WELL_IDS, config.CommandSettings())


def _judge(path: Path) -> object:
    return build.judge(config.ModelSettings(path=path, device="cpu"))


def objections(read: Callable[[], object]) -> list[str]:
    """What is wrong with the answer to an input; none if it was taken, or refused as it should."""
    began_s = time.monotonic()
    faults = []
    try:
        read()
    except SpillwatchError as exc:
        sentence = str(exc)
        if not sentence.strip():
            faults.append("refused without a word")
        if any(len(line) > LONGEST_SENTENCE for line in sentence.splitlines()):
            faults.append(f"refused with {len(sentence)} letters: {sentence[:200]}")
        if any(not (letter.isprintable() or letter == "\n") for letter in sentence):
            faults.append(f"control characters in the refusal {sentence[:200]!r}")
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
        faults.append(f"{type(exc).__name__}: {exc}"[:300])
    if (took_s := time.monotonic() - began_s) > LONGEST_S:
        faults.append(f"took {took_s:.1f} s")
    return faults


def files(folder: Path, *, seed: int, times: int) -> Tally:
    """So many damaged files, shared out among the kinds."""
    tally = Tally()
    for target in targets():
        done, faults = _feed(target, folder / target.file, seed_=seed, times=round(times * target.share))
        tally.times += done
        tally.figures[target.name] = str(done)
        tally.breaches += [f"{target.name}: {fault}" for fault in sorted(set(faults))]
    return tally


def commands(folder: Path, *, seed: int, times: int) -> Tally:
    """So many payloads to the command topic of a running daemon: each is answered, and it goes on."""
    tally = Tally()
    payloads: list[bytes] = []
    _feed(
        Target("commands", "command.json", damaged_text(COMMAND), lambda path: payloads.append(path.read_bytes()), 1.0),
        folder / "command.json",
        seed_=seed,
        times=times,
    )
    payloads += [b"", b"\x00" * 5000, b"[" * 4000]
    with Stage(folder / "stage", {"one": calm(folder.parent / "scenes")}) as stage:

        def answers() -> list[dict[str, object]]:
            return [h.payload for h in list(stage.recorder.heard) if h.topic == f"{BASE}/cmd/result"]

        for too_long in (b"[" * 100_000, b"x" * 2_000_000):  # the broker is told not to pass such packets on
            stage.recorder.command(too_long)
        for tally.times, payload in enumerate(payloads, start=1):
            stage.recorder.command(payload)
            if tally.times % 10 == 0 or tally.times == len(payloads):
                with contextlib.suppress(RigError):
                    wait_until(lambda: len(answers()) >= tally.times, within_s=20)
        told = answers()
        tally.figures["answers"] = str(len(told))
        tally.figures["refused"] = str(sum(not answer["ok"] for answer in told))
        if len(told) != len(payloads):
            tally.breaches.append(f"{len(payloads)} commands got {len(told)} answers")
        tally.breaches += [f"refused without a reason: {a}" for a in told if not a["ok"] and not a["refused"]]
        tally.breaches += stage.judge()
    return tally


def _feed(target: Target, path: Path, *, seed_: int, times: int) -> tuple[int, list[str]]:
    faults: list[str] = []
    count = 0

    @seed(seed_)
    @settings(max_examples=times, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def feed(data: bytes) -> None:
        nonlocal count
        count += 1
        path.write_bytes(data)
        for fault in objections(lambda: target.read(path)):
            kept = path.with_name(f"{path.stem}-{len(set(faults))}{path.suffix}")
            if fault not in faults:
                kept.write_bytes(data)
            faults.append(fault)

    feed()
    path.unlink(missing_ok=True)
    return count, faults
