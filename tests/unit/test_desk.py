"""Commands at the desk: each is done once, kept, and answered, whatever it looks like."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from spillwatch.config import CommandSettings
from spillwatch.desk import REMEMBERED, REPEATED_WITHIN_S, Desk
from spillwatch.errors import CommandError
from spillwatch.publish.base import Request
from spillwatch.records import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spillwatch.records import Answer, Command

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
ACK = b'{"command":"ack","well":"3L4","by":"anna"}'


class DrawnSite:
    """Does what it is asked, unless ``refuses``."""

    def __init__(self) -> None:
        self.refuses: str | None = None
        self.done: list[Command] = []
        self.kept: list[Answer] = []

    def wells(self) -> Mapping[str, Collection[str]]:
        return {"cam1": ("3L4", "3L5"), "-": ()}

    def obey(self, command: Command, answer: Answer) -> None:
        if self.refuses:
            raise CommandError(self.refuses)
        self.done.append(command)
        self.kept.append(answer)

    def keep(self, answer: Answer) -> None:
        self.kept.append(answer)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def desk(site: DrawnSite) -> Desk:
    return Desk(site, CommandSettings)


def test_a_command_is_done_kept_and_answered() -> None:
    site = DrawnSite()
    answer = desk(site).attend(Request(payload=ACK), AT)
    assert answer.ok
    assert answer.request == json.loads(ACK)
    assert [command.by for command in site.done] == ["anna"]
    assert site.kept == [answer]


def test_a_command_that_makes_no_sense_is_kept_and_answered_with_the_reason() -> None:
    site = DrawnSite()
    site.refuses = "nothing is unacknowledged"
    answer = desk(site).attend(Request(payload=ACK), AT)
    assert (answer.ok, answer.refused) == (False, "nothing is unacknowledged")
    assert site.kept == [answer]


def test_a_retained_command_is_refused_since_it_may_be_old() -> None:
    site = DrawnSite()
    answer = desk(site).attend(Request(payload=ACK, retained=True), AT)
    assert "retained" in (answer.refused or "")
    assert site.done == []


def test_a_request_that_comes_twice_is_done_once_and_answered_twice() -> None:
    site = DrawnSite()
    subject = desk(site)
    once = Request(payload=ACK, response_topic="panel/1", correlation=b"7")
    assert subject.attend(once, AT) == subject.attend(once, AT)
    assert len(site.done) == 1
    subject.attend(Request(payload=ACK, response_topic="panel/2", correlation=b"7"), AT)
    subject.attend(Request(payload=ACK), AT)
    subject.attend(Request(payload=ACK), AT)  # nothing says that these are one
    assert len(site.done) == 4
    for number in range(REMEMBERED):
        subject.attend(Request(payload=ACK, correlation=str(number).encode()), AT)
    subject.attend(once, AT)
    assert len(site.done) == 4 + REMEMBERED + 1  # forgotten by now


def test_a_panel_that_always_sends_the_same_correlation_data_is_obeyed_each_time() -> None:
    site, clock = DrawnSite(), Clock()
    subject = Desk(site, CommandSettings, clock=clock)
    shelve = b'{"command":"shelve","well":"3L4","by":"anna","reason":"x","for_s":600}'
    unshelve = b'{"command":"unshelve","well":"3L4","by":"anna"}'
    for payload in (shelve, unshelve, shelve, unshelve):
        subject.attend(Request(payload=payload, correlation=b"1"), AT)
    clock.now_s += REPEATED_WITHIN_S + 1
    subject.attend(Request(payload=unshelve, correlation=b"1"), AT)
    verbs = [str(command.command) for command in site.done]
    assert verbs == ["shelve", "unshelve", "shelve", "unshelve", "unshelve"]


@given(payload=st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.sampled_from([
    b"[" * 4000, b'{"a":' * 2000, b"1" * 4090, b"1" * 9000, b'{"command":NaN}', b'{"by":"\\ud800"}', b'{"a":1e999}',
    b"null", b"\xff\xfe", b'{"command":"ack","well":null,"by":"\\u0000"}', b'{"request":{"request":[]}}',
]))  # fmt: skip
def test_whatever_comes_is_refused_in_a_sentence_and_its_answer_can_be_sent(payload: bytes) -> None:
    site = DrawnSite()
    answer = desk(site).attend(Request(payload=payload), AT)
    assert not answer.ok
    assert answer.refused
    text = encode(answer).encode()
    assert len(text) < 10_000
    assert json.loads(text)["ok"] is False
    assert site.kept == [answer]
