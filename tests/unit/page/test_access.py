from __future__ import annotations

import time

import pytest

from spillwatch.page.access import COOKIE, LASTS_S, Access, same_origin

TOKEN = "0123456789abcdef"  # noqa: S105 - opens nothing


def test_the_cookie_names_its_owner_and_survives_a_restart() -> None:
    cookie = Access(token=TOKEN, user_header=None).cookie("Анна")
    assert Access(token=TOKEN, user_header=None).user({}, {COOKIE: cookie}) == "Анна"


def test_a_new_token_shuts_old_cookies_out() -> None:
    cookie = Access(token=TOKEN, user_header=None).cookie("Anna")
    assert Access(token=TOKEN[::-1], user_header=None).user({}, {COOKIE: cookie}) is None


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "QW5uYQ.99999999999.", "é.1.é", "." * 5])
def test_forged_cookies_open_nothing(forged: str) -> None:
    assert Access(token=TOKEN, user_header=None).user({}, {COOKIE: forged}) is None


def test_a_cookie_cannot_be_prolonged_or_renamed() -> None:
    access = Access(token=TOKEN, user_header=None)
    name, until, signature = access.cookie("Anna").split(".")
    for changed in (f"{name}.{int(until) + 9}.{signature}", f"Qm9i.{until}.{signature}"):
        assert access.user({}, {COOKIE: changed}) is None


def test_a_cookie_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(token=TOKEN, user_header=None)
    cookie = access.cookie("Anna")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LASTS_S + 2)
    assert access.user({}, {COOKIE: cookie}) is None


def test_without_a_token_no_token_opens() -> None:
    access = Access(token=None, user_header="x-remote-user")
    assert not access.opens("")
    assert access.user({}, {COOKIE: access.cookie("Anna")}) is None
    assert access.user({"x-remote-user": " Anna "}, {}) == "Anna"
    assert access.user({"x-remote-user": ""}, {}) is None


def test_a_header_counts_only_where_the_settings_name_it() -> None:
    assert Access(token=TOKEN, user_header=None).user({"x-remote-user": "Anna"}, {}) is None


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://a", "host": "a"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://line:8380", "host": "line:8380"}, True),
        ({"origin": "http://evil", "host": "line:8380"}, False),
        ({"origin": "null", "host": "line:8380"}, False),
        ({"host": "line:8380"}, False),
        ({}, False),
    ],
)
def test_only_our_own_pages_may_change_something(headers: dict[str, str], ours: bool) -> None:
    assert same_origin(headers) == ours
