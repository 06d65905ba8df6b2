"""Writes docs/reference: the command line, the settings and the words of events, taken from the code.

python -m tools.reference            write it
python -m tools.reference --check    exit 1 if it is not what would be written
"""

from __future__ import annotations

import inspect
import sys
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from spillwatch.cli import main as command_line
from spillwatch.config import CameraSettings, Settings
from spillwatch.lineup import FIXED
from spillwatch.records import AlarmState, CameraState, Condition, Priority, Verb, WellState
from spillwatch.watch.priorities import CALLING_AGAIN, PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "Made from the code by `make reference`; edit the code, not this page."
WIDTH = 110
HELP = command_line.context_settings["help_option_names"]

_NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", SecretStr: "text"}

_MEANINGS = {
    Condition.SPILL: "a well spills: metal runs, or the well is empty",
    Condition.OBSTRUCTED: "something stands before a well, so nobody watches it",
    Condition.CAMERA_LOST: "no picture comes",
    Condition.CAMERA_FROZEN: "the same picture comes again and again",
    Condition.CAMERA_DARK: "the picture is too dark",
    Condition.CAMERA_SATURATED: "the picture is too bright",
    Condition.CAMERA_SHIFTED: "the table is not where the wells file has it",
    Condition.CAMERA_BLURRED: "the picture shows too little detail: grease, fog, a cloth",
    Condition.CAMERA_LATE: "the pictures come too late",
    Condition.COMMON_CAUSE: "many wells change at once: light, steam, not a spill of each",
    Condition.OVERLOAD: "this machine cannot look at every picture",
    Condition.STORAGE: "the disk does not keep what happens now",
    Condition.SELF_TEST_FAILED: "a painted spill did not make its way to the broker and back",
}
_WHOSE = {Condition.SPILL: "well", Condition.OBSTRUCTED: "well", Condition.STORAGE: "site"}


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", MADE, *parts]) + "\n"


def _table(head: str, rows: Iterator[tuple[str, ...]]) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + "---|" * columns]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def commands() -> str:
    """Each command's own help."""
    context = _context(command_line, "spillwatch")
    return _page("The command line", _help(command_line, context), *_below(command_line, context))


def _below(group: click.Group, context: click.Context, *path: str) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # noqa: S101 - it was listed
        inner = _context(command, name, context)
        yield f"##{'#' * len(path)} {' '.join((*path, name))}\n\n{_help(command, inner)}"
        if isinstance(command, click.Group):
            yield from _below(command, inner, *path, name)


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, parent, name, help_option_names=HELP, max_content_width=WIDTH, terminal_width=WIDTH)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```\n{command.get_help(context)}\n```"


def settings() -> str:
    """Each section's keys: type, default, meaning."""
    top = {name: field for name, field in Settings.model_fields.items() if not _section(field)}
    parts = [
        "A file with every setting in it: [config.example.toml](../../config.example.toml). "
        "`spillwatch check --config FILE` says what is wrong with yours. The environment wins over the file: "
        "`SPILLWATCH_MQTT__HOST=broker.plant`. A dash means that there is no default. "
        "`systemctl reload spillwatch` takes in what changed, but for `site` and the sections that say otherwise.",
        _keys({name: field for name, field in top.items() if name != "cameras"}),
    ]
    for name, field in Settings.model_fields.items():
        if section := _section(field):
            restart = " Takes a restart." if name in FIXED else ""
            parts += [f"## [{name}]", _prose(section) + restart, _keys(section.model_fields)]
    parts += ["## [[cameras]]", _prose(CameraSettings), _keys(CameraSettings.model_fields)]
    return _page("Settings", *parts)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _keys(fields: dict[str, FieldInfo]) -> str:
    rows = (
        (f"`{name}`", _kind(field), _default(field), " ".join((field.description or "").split()))
        for name, field in fields.items()
    )
    return _table("key | type | default | meaning", rows)


def _kind(field: FieldInfo) -> str:
    bounds = [f"{sign} {bound}" for rule in field.metadata for sign, bound in _bounds(rule)]
    return ", ".join([_name(field.annotation), *bounds])


def _bounds(rule: object) -> Iterator[tuple[str, object]]:
    for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
        if (bound := getattr(rule, attribute, None)) is not None:
            yield sign, bound


def _name(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in inner)
    if origin is tuple:
        return f"list of {_name(inner[0])}"
    if origin is Annotated:
        return _name(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(_name(one) for one in inner if one is not NoneType)
    return "[words](words.md)" if issubclass(kind, StrEnum) else _NAMES[kind]


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**must be given**"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(repr(str(item)) for item in value)}]`".replace("'", '"')
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def words() -> str:
    """The enumerations of events, statuses and commands."""
    rows = (
        (f"`{it}`", _WHOSE.get(it, "camera"), PRIORITIES[it], "yes" if it in CALLING_AGAIN else "no", _MEANINGS[it])
        for it in Condition
    )
    parts = [
        "The words of events, statuses and commands. How they hang together: [alarms](../alarms.md); "
        "in which message they stand: [MQTT](../mqtt.md).",
        "## condition",
        _prose(Condition),
        _table("condition | whose | priority | calls again | means", rows),
    ]
    for title, kind in (
        ("state of an alarm", AlarmState),
        ("priority", Priority),
        ("state of a camera", CameraState),
        ("state of a well", WellState),
        ("command", Verb),
    ):
        parts += [f"## {title}", _prose(kind), ", ".join(f"`{word}`" for word in kind)]
    return _page("Words", *parts)


def _prose(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


def pages() -> dict[Path, str]:
    """Every page of the reference."""
    return {FOLDER / f"{make.__name__}.md": make() for make in (commands, settings, words)}


def main() -> int:
    """Exit code 1 when --check finds another text."""
    if "--check" in sys.argv[1:]:
        return int(any(not path.exists() or path.read_text(encoding="utf-8") != text for path, text in pages().items()))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
