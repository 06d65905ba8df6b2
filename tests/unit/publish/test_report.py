"""The replay report: what it says, and that it stands alone."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from spillwatch.errors import PublishError
from spillwatch.publish.report import ReplayData, write_replay_report
from spillwatch.records import AlarmEvent, AlarmState, Condition, Priority, Wells

if TYPE_CHECKING:
    from pathlib import Path

FPS = 12.5
FRAMES = 250
WELLS = Wells(
    ids=("1U1", "1U2", "1L1", "1L2"),
    centres=np.array([[40.0, 30.0], [120.0, 30.0], [40.0, 80.0], [120.0, 80.0]]),
    sizes=np.full((4, 2), [48.0, 28.0]),
    in_service=np.array([True, True, True, False]),
)
SCORE = {
    "spills": [
        {"well": "1U2", "kind": "pour", "onset_s": 7.25, "alarm_s": 8.0, "delay_s": 0.75},
        {"well": "1L1", "kind": "drained", "onset_s": 15.0, "alarm_s": None, "delay_s": None},
    ],
    "missed": 1,
    "false_alarms": 2,
    "well_hours": 0.5,
    "frames": FRAMES,
    "seconds": 20.0,
}


def event(number: int, *, at_s: float, active: bool, well: str | None = "1U2", **more: Any) -> AlarmEvent:
    condition = more.pop("condition", Condition.SPILL)
    state = AlarmState.UNACKNOWLEDGED if active else AlarmState.RTN_UNACKNOWLEDGED
    return AlarmEvent(
        id=f"c/{well}/{condition}/20260101T000000.{number // 10:06}Z.{number % 10}",
        seq=number,
        camera="c",
        well=well,
        condition=condition,
        state=state,
        active=active,
        acked=False,
        priority=Priority.HIGH,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        media_time_s=at_s,
        score=0.02 if well else None,
        threshold=0.0075,
        model="m",
        **more,
    )


def replayed(**changes: Any) -> ReplayData:
    """Twenty seconds; 1U2 spills from 7.25 to 12 s and peaks at 0.0625."""
    rng = np.random.default_rng(0)
    times_s = np.arange(FRAMES) / FPS
    scores = rng.gamma(40, 0.0001, (FRAMES, 4)).astype(np.float32)
    scores[(times_s >= 7.25) & (times_s < 12), 1] = 0.02
    scores[130, 1] = 0.0625
    scores[:, 3] = np.nan
    evidence = np.where(scores > 0.0075, np.float32(1), np.float32(0))
    data = ReplayData(
        video="cast <7>.mp4",
        camera="c",
        wells=WELLS,
        model="default",
        threshold=0.0075,
        on_s=0.8,
        times_s=times_s,
        scores=scores,
        evidence=evidence,
        events=[event(1, at_s=8.0, active=True), event(2, at_s=15.5, active=False)],
        snapshots={},
        score=None,
        wells_located=False,
        version="0.1.0",
    )
    return dataclasses.replace(data, **changes)


def written(path: Path, data: ReplayData) -> str:
    write_replay_report(path, data)
    return path.read_text(encoding="utf-8")


def text(page: str) -> str:
    """What a reader sees, on one line."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def test_alarm_with_its_well_times_and_peak(tmp_path: Path) -> None:
    page = text(written(tmp_path / "r.html", replayed()))
    assert "1 spill alarm 1U2 at 00:08.00." in page
    assert "1U2 00:08.00 00:15.50 0.0625 8.3" in page
    assert "Out of service: 1L2" in page
    assert "cast &lt;7&gt;.mp4" in page


def test_alarm_that_lasts_to_the_end(tmp_path: Path) -> None:
    assert "not by the end" in written(tmp_path / "r.html", replayed(events=[event(1, at_s=8.0, active=True)]))


def test_acknowledging_is_no_second_alarm(tmp_path: Path) -> None:
    events = [event(number, at_s=8.0 + number, active=number < 3) for number in (1, 2, 3)]
    page = text(written(tmp_path / "r.html", replayed(events=events)))
    assert "1 spill alarm 1U2 at 00:09.00." in page
    assert "1U2 00:09.00 00:11.00" in page


def test_no_alarms_is_said_plainly(tmp_path: Path) -> None:
    page = text(written(tmp_path / "r.html", replayed(events=[])))
    assert "No spill alarms Nothing in 00:20.00 of video looked like a spill for long enough." in page
    assert "Back to normal" not in page


def test_silence_of_a_blind_camera_is_not_called_good(tmp_path: Path) -> None:
    dark = {"well": None, "condition": Condition.CAMERA_DARK}
    events = [event(1, at_s=1.0, active=True, **dark), event(2, at_s=19.0, active=False, **dark)]
    page = written(tmp_path / "r.html", replayed(events=events))
    assert '<h1 class="good">' not in page
    assert "camera dark whole camera 00:01.00 00:19.00" in text(page)


def test_video_without_a_judged_frame(tmp_path: Path) -> None:
    nothing = np.zeros((0,), np.float32)
    data = replayed(times_s=np.zeros(0), scores=nothing, evidence=nothing, events=[])
    assert "Nothing was watched" in text(written(tmp_path / "r.html", data))


def test_comparison_with_the_truth(tmp_path: Path) -> None:
    page = text(written(tmp_path / "r.html", replayed(score=SCORE)))
    assert "1U2 pour 00:07.25 00:08.00 0.75 s" in page
    assert "1L1 drained 00:15.00 missed" in page
    assert "1 spill missed; 2 false alarms in 0.50 well-hours, 4.00 per well-hour." in page
    assert "Compared with the truth" not in written(tmp_path / "r.html", replayed())


def test_pictures_are_inline(tmp_path: Path) -> None:
    raised = event(1, at_s=8.0, active=True)
    picture = np.full((400, 800, 3), 90, np.uint8)
    page = written(tmp_path / "r.html", replayed(events=[raised], snapshots={raised.id: picture}))
    assert page.count("data:image/jpeg;base64,") == 1


def test_stands_alone(tmp_path: Path) -> None:
    page = written(tmp_path / "r.html", replayed(score=SCORE))
    assert set(re.findall(r"(?:src|href)=(.{6})", page)) == {'"data:'}
    assert not re.search(r"https?://|@import|url\(", page)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "a.html", replayed(score=SCORE)) == written(tmp_path / "b.html", replayed(score=SCORE))


def test_long_video_stays_small_and_keeps_its_peaks(tmp_path: Path) -> None:
    frames = 60_000
    scores = np.random.default_rng(0).gamma(40, 0.0001, (frames, 4)).astype(np.float32)
    times_s = np.arange(frames) / 25
    data = replayed(times_s=times_s, scores=scores, evidence=np.zeros_like(scores), events=[])
    flat = written(tmp_path / "flat.html", data)
    scores[31_234, 2] = 0.5
    assert written(tmp_path / "peak.html", data) != flat
    assert len(flat) < 300_000


@pytest.mark.parametrize("name", ["missing/r.html", "."])
def test_unwritable_path_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(PublishError, match=r"^report .* cannot be written: .+; choose another place$"):
        write_replay_report(tmp_path / name, replayed())
