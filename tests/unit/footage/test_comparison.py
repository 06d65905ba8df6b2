"""When a candidate is worse, and what a comparison leaves for people and for `model promote`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.footage.comparing import _of_truth
from spillwatch.footage.comparison import Comparison, Said, write
from spillwatch.truth import Extent, TrueSpill, Truth
from tests.support.simulated import wells

if TYPE_CHECKING:
    from pathlib import Path

ONE = {"name": "x", "path": "x", "sha256": "0" * 64, "threshold": 0.1, "taught": {}}


def said(*, true: bool | None, live: bool, candidate: bool, **more: Any) -> Said:
    return Said(where="footage", what="3L4", true=true, live=live, candidate=candidate, **more)


def comparison(*what: Said) -> Comparison:
    watched = [{"where": "a.mp4", "frames": 10, "well_hours": 1.0}]
    return Comparison(candidate=ONE, live=ONE, at="2026-11-24T10:00:00Z", watched=watched, said=what, crops=[])


FOUND = said(true=True, live=True, candidate=True, delay_s=0.1)


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ([FOUND], None),
        ([FOUND, said(true=True, live=False, candidate=True)], None),
        ([FOUND, said(true=False, live=True, candidate=False)], None),
        ([FOUND, said(true=None, live=False, candidate=True), said(true=None, live=True, candidate=False)], None),
        ([], "no true spill to find"),
        ([FOUND, said(true=True, live=True, candidate=False)], "misses 1 true spills that the other finds"),
        ([FOUND, said(true=False, live=False, candidate=True)], "1 false alarms, the other 0"),
        ([FOUND, said(true=None, live=False, candidate=True)], "1 false alarms, the other 0"),
        ([said(true=True, live=True, candidate=True, delay_s=0.9)], "0.9 s later in the median"),
        # One spill more that it finds does not make up for one that it misses
        ([said(true=True, live=True, candidate=False), said(true=True, live=False, candidate=True)], "misses 1 true"),
    ],
)
def test_a_candidate_is_worse_when(what: list[Said], fault: str | None) -> None:
    assert (fault is None) == (comparison(*what).worse == [])
    assert fault is None or fault in "; ".join(comparison(*what).worse)


def test_the_page_says_what_the_json_says(tmp_path: Path) -> None:
    lost = said(true=True, live=True, candidate=False, note="<b>hose</b>", png="aGVsbG8=")
    write(comparison(FOUND, lost), tmp_path / "c.json")
    values, page = json.loads((tmp_path / "c.json").read_text()), (tmp_path / "c.html").read_text()
    assert values["worse"] == ["it misses 1 true spills that the other finds (3L4)"]
    assert values["worse"][0] in page
    assert "<b>hose" not in page
    assert "aGVsbG8=" in page
    assert (values["figures"]["spills"], values["figures"]["live_found"]) == (2, 2)


def case(live_s: float | None, candidate_s: float | None, well: str = "1") -> dict[str, Any]:
    delay = None if None in (live_s, candidate_s) else 0.0
    return {"well": well, "live_s": live_s, "candidate_s": candidate_s, "delay_s": delay, "png": None, "at": ""}


def test_an_alarm_in_the_very_first_picture_counts() -> None:
    told = Truth(spills=(TrueSpill(well="1", start_s=0, end_s=5),))
    found = list(_of_truth("a.mp4", [case(0.0, 0.0)], told, Extent(frames=0, seconds=0, wells=wells(3))))
    assert [(each.true, each.live, each.candidate, each.delay_s) for each in found] == [(True, True, True, 0.0)]


def test_cases_are_held_against_the_truth_of_a_clip() -> None:
    told = Truth(spills=(TrueSpill(well="1", start_s=10, end_s=15), TrueSpill(well="2", start_s=5, end_s=8)))
    cases = [case(11.0, 11.5), case(None, 30.0), case(40.0, None, "3")]
    found = list(_of_truth("a.mp4", cases, told, Extent(frames=0, seconds=0, wells=wells(3))))
    assert [(each.true, each.live, each.candidate, each.delay_s) for each in found] == [
        (True, True, True, 0.5),
        (True, False, False, None),
        (False, False, True, None),
        (False, True, False, None),
    ]
