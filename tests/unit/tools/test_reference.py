"""The reference pages are what the code says."""

from __future__ import annotations

from spillwatch.records import Condition
from tools import reference


def test_the_pages_are_what_the_code_says() -> None:
    for path, text in reference.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run: make reference"


def test_every_command_and_every_setting_is_there() -> None:
    assert "## calibrate" in reference.commands()
    assert "| `keepalive_s` | whole number, ≥ 5, ≤ 3600 | `10` |" in reference.settings()
    assert all(f"| `{condition}` |" in reference.words() for condition in Condition)
