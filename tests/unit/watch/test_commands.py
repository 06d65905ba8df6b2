"""What comes to the command topic: a Command, or one sentence that says what is wrong with it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spillwatch.config import CommandSettings
from spillwatch.errors import CommandError
from spillwatch.records import Command, Verb
from spillwatch.watch.commands import LONGEST, parse

WELLS = {"cam1": ("1L1", "1L2"), "cam2": ("1L2", "2L1")}
ACK = {"command": "ack", "well": "1L1", "by": "anna"}
SHELVE = {"command": "shelve", "well": "1L1", "by": "anna", "reason": "dross", "for_s": 600}


def refusal(asked: object, policy: CommandSettings | None = None) -> str:
    payload = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    with pytest.raises(CommandError) as refused:
        parse(payload, WELLS, policy or CommandSettings())
    return str(refused.value)


def test_a_command_is_read() -> None:
    assert parse(json.dumps(SHELVE).encode(), WELLS, CommandSettings()) == Command(
        command=Verb.SHELVE, camera="cam1", well="1L1", by="anna", reason="dross", for_s=600.0
    )
    assert parse(json.dumps(ACK | {"by": " Анна "}).encode(), WELLS, CommandSettings()).by == "Анна"


def test_the_camera_is_only_needed_where_it_could_be_another() -> None:
    assert (
        parse(json.dumps(ACK | {"well": "1L2", "camera": "cam2"}).encode(), WELLS, CommandSettings()).camera == "cam2"
    )
    assert parse(json.dumps(ACK | {"well": None, "camera": "cam2"}).encode(), WELLS, CommandSettings()).camera == "cam2"
    assert parse(json.dumps(ACK | {"well": None}).encode(), {"cam1": ()}, CommandSettings()).camera == "cam1"
    assert refusal(ACK | {"well": "1L2"}) == "say which camera is meant: cam1, cam2"
    assert refusal(ACK | {"well": None}) == "say which camera is meant: cam1, cam2"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (b"", "the command is not valid JSON: EOF while parsing a value at line 1 column 0"),
        (b"\xff\xfe", "the command is not valid JSON: expected value at line 1 column 1"),
        (b"[" * 4000, "the command is not valid JSON: recursion limit exceeded at line 1 column 202"),
        (b" " * (LONGEST + 1), "the command has 4097 bytes; 4096 are the most"),
        ([], "the command should be an object, not []"),
        ({}, "command is missing"),
        ({"comand": "ack", "well": "1L1", "by": "anna"}, "unknown key 'comand'; did you mean 'command'?"),
        (ACK | {"command": "acc"}, "unknown command 'acc'; did you mean 'ack'?"),
        (ACK | {"command": ["ack"]}, "unknown command ['ack']; did you mean 'ack'?"),
        ({"command": "ack", "by": "anna"}, "well is missing; null means the camera itself"),
        ({"command": "ack", "well": "1L1"}, "by is missing"),
        (ACK | {"well": 1}, "well should be a valid string, not 1"),
        (ACK | {"well": "1L3"}, "there is no well '1L3'; did you mean '1L2'?"),
        (ACK | {"well": "2L1", "camera": "cam1"}, "there is no well '2L1'; did you mean '1L1'?"),
        (ACK | {"camera": "cam3"}, "there is no camera 'cam3'; did you mean 'cam2'?"),
        (ACK | {"by": "  "}, "by must not be empty, not '  '"),
        (ACK | {"by": "anna\nseq: 1"}, "by may hold no line breaks or control characters, not 'anna\\nseq: 1'"),
        (ACK | {"by": "x" * 65}, f"by string should have at most 64 characters, not '{'x' * 39}…"),
        (ACK | {"for_s": 60}, "for_s goes with shelve and out_of_service, not with ack"),
        (SHELVE | {"reason": None}, "shelve needs a reason"),
        (SHELVE | {"for_s": 0}, "for_s should be greater than 0, not 0"),
        (SHELVE | {"for_s": 1e9}, "for_s should be less than or equal to 31622400, not 1000000000.0"),
        (SHELVE | {"for_s": True}, "for_s should be a valid number, not True"),
        (json.dumps(SHELVE | {"for_s": float("nan")}).encode(), "for_s should be a finite number, not nan"),
    ],
)
def test_a_fault_is_named(asked: object, why: str) -> None:
    assert refusal(asked) == why


def test_the_policy_says_what_and_who() -> None:
    assert refusal(ACK, CommandSettings(enabled=False)) == "commands are switched off by commands.enabled"
    assert refusal(SHELVE, CommandSettings(allow=(Verb.ACK,))) == "shelve is not among commands.allow"
    assert refusal(ACK, CommandSettings(by=("boris",))) == "'anna' is not among commands.by"
    assert parse(json.dumps(ACK).encode(), WELLS, CommandSettings(by=("anna",), allow=(Verb.ACK,))).by == "anna"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "command": st.sampled_from(list(Verb)) | JSON,
        "camera": st.sampled_from([*WELLS, None]) | JSON,
        "well": st.sampled_from(["1L1", "1L2", "2L1", None]) | JSON,
        "by": st.text() | JSON,
        "reason": st.text() | JSON,
        "for_s": st.floats() | JSON,
        "Command": JSON,
    },
)


@settings(max_examples=400, deadline=None)
@given(payload=st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode) | NEARLY.map(json.dumps).map(str.encode))
def test_whatever_comes_is_a_sound_command_or_one_sentence(payload: bytes) -> None:
    try:
        command = parse(payload, WELLS, CommandSettings())
    except CommandError as exc:
        sentence = str(exc)
        assert sentence.isprintable()
        assert 0 < len(sentence) < 300
        return
    assert command.well is None or command.well in WELLS[command.camera]
    assert command.by == command.by.strip() != ""
    assert command.by.isprintable()
    assert command.for_s is None or 0 < command.for_s < 1e8
    assert command.reason or command.command not in (Verb.SHELVE, Verb.OUT_OF_SERVICE)
