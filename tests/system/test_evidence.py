"""Evidence of a spill on a real stream: pictures at once, a clip that plays when its time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import pytest

from tests.support.site import FPS, Scene, Site
from tools.rig import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Scene(tmp_path))


@pytest.mark.parametrize(
    ("before_s", "after_s"),
    [pytest.param(3.0, 4.0, id="short"), pytest.param(10.0, 20.0, id="as by default", marks=pytest.mark.slow)],
)
def test_a_spill_leaves_a_snapshot_a_strip_and_a_clip_that_plays(site: Site, before_s: float, after_s: float) -> None:
    with site:
        site.configure(
            *("[evidence]", "enabled = true", f"before_s = {before_s}", f"after_s = {after_s}"),
            *("[state]", 'directory = "state"'),
            on_s=before_s,  # so that the stream has been seen for a while when it is raised
        )
        with site.daemon() as daemon:
            site.wait(lambda: site.events(condition="spill", active=True), daemon)
            event = site.events(condition="spill", active=True)[0]
            folder = site.folder / "state" / event["evidence"]
            site.wait((folder / "clip.mp4").exists, daemon, within_s=after_s + 30)
            site.wait((folder / "crop-03.png").exists, daemon)
            assert site.command(command="ack", well=event["well"], by="ann")["ok"]
            assert daemon.terminate() < 2
    assert {item["evidence"] for item in site.events(condition="spill")} == {event["evidence"]}
    names = {file.name for file in folder.iterdir()}
    assert {name for name in names if "crop" not in name} == {"snapshot.png", "strip.png", "clip.mp4"}
    for name in ("snapshot.png", "strip.png"):
        assert cv2.imread(str(folder / name)) is not None
    with av.open(str(folder / "clip.mp4")) as clip:
        pictures = [picture for picture in clip.decode(video=0) if not picture.is_corrupt]
    times = [picture.time for picture in pictures]
    assert (pictures[0].width, pictures[0].height, times[0]) == (640, 400, 0)
    key_frame_s = 12 / FPS
    assert before_s + after_s - 0.5 <= times[-1] <= before_s + after_s + key_frame_s + 0.5
    assert len(pictures) == pytest.approx(times[-1] * FPS, abs=3)


def test_a_daemon_that_stops_keeps_the_clip_that_it_has(site: Site) -> None:
    with site:
        site.configure("[evidence]", "enabled = true", "[state]", 'directory = "state"', on_s=2.0)
        with site.daemon() as daemon:
            site.wait(lambda: site.events(condition="spill", active=True), daemon)
            folder = site.folder / "state" / site.events(condition="spill", active=True)[0]["evidence"]
            wait_until((folder / "snapshot.png").exists)
            assert daemon.terminate() < 2
    with av.open(str(folder / "clip.mp4")) as clip:
        assert len(list(clip.decode(video=0))) > FPS
