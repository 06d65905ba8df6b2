"""The operators' page as people use it, in a real Chromium."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from spillwatch.records import CameraState, Condition, Priority
from spillwatch.wells import wellmap
from tests.support.page import TOKEN, DrawnSite, Served
from tools.rig import wait_until
from tools.rig.browser import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome


class Reader:
    """What somebody before the screen does and sees."""

    def __init__(self, browser: Chrome, served: Served) -> None:
        self.browser, self.served, self.site = browser, served, served.site

    def open(self, path: str = "") -> None:
        """The page, as somebody who has logged in."""
        self.browser.get(self.served.url + "static/icon.svg")
        name, _, value = self.served.cookie.partition("=")
        self.browser.delete_all_cookies()
        self.browser.add_cookie({"name": name, "value": value})
        self.browser.get(self.served.url + path)
        self.site.watch()

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join('\\n')"
        return str(self.browser.execute_script(script, selector))

    def press(self, keys: str) -> None:
        self.one("body").send_keys(keys)

    def sound(self) -> str:
        return str(self.browser.execute_script("return document.body.dataset.sound"))

    def sees(self, text: str, selector: str = "body", within_s: float = 3) -> None:
        wait_until(lambda: text in self.text(selector), within_s=within_s, what=f"{text!r} in {selector}")

    def well(self, name: str, where: str = ".map") -> str:
        return str(self.one(f"{where} [data-well='{name}']").get_attribute("class"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def reader(browser: Chrome, tmp_path: Path) -> Iterator[Reader]:
    with Served(DrawnSite(tmp_path), tmp_path) as served:
        reader = Reader(browser, served)
        yield reader
        faults = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert [fault for fault in faults if "Failed to load resource" not in fault and "ERR_" not in fault] == []


def test_a_wrong_token_is_refused_and_the_right_one_opens(reader: Reader) -> None:
    reader.browser.delete_all_cookies()
    reader.browser.get(reader.served.url)
    for tried in ("guess", TOKEN):
        reader.one("[name=name]").send_keys("Анна")
        reader.one("[name=token]").send_keys(tried + "\n")
        if tried != TOKEN:
            reader.sees("This token is wrong")
    reader.sees("Анна", "#user")


def test_when_all_is_well_the_page_is_grey_and_silent(reader: Reader) -> None:
    reader.open()
    reader.sees("All 72 wells are watched", "#banner")
    wait_until(lambda: reader.one("img").get_property("naturalWidth") > 0, what="a live picture")
    assert len(reader.all(".map .normal")) == len(reader.all(".drawing .normal")) == 72
    assert reader.all(".flash, .block.high, .block.medium") == []
    assert reader.sound() == "quiet"
    colours = "return [getComputedStyle(document.body), getComputedStyle(document.querySelector('.block'))]"
    for colour in reader.browser.execute_script(f"{colours}.map(s => s.backgroundColor)"):
        levels = [int(level) for level in colour.strip("rgb()").split(",")]
        assert max(levels) - min(levels) <= 8, f"grey is grey: {colour}"


def test_a_spill_is_large_flashes_sounds_and_is_acknowledged_by_a_click(reader: Reader) -> None:
    reader.open()
    reader.site.alarm("3L4", first_out=True)
    reader.sees("Spill 3L4", "#banner")
    wait_until(lambda: reader.sound() == "sounding", what="the sound")
    reader.sees("★ FIRST", ".alarm")
    assert reader.well("3L4") == reader.well("3L4", ".drawing") == "spill flash first"
    height = "return document.querySelector('.block strong').getBoundingClientRect().height"
    assert reader.browser.execute_script(height) > 60, "legible from three metres"
    reader.one("button.ack").click()
    wait_until(lambda: reader.well("3L4") == "spill first", what="steady once it is acknowledged")
    assert reader.site.asked[-1]["command"] == "ack"
    assert reader.sound() == "quiet"


def test_silence_holds_for_what_sounds_now_and_never_for_the_next(reader: Reader) -> None:
    reader.open()
    reader.site.alarm("3L4")
    wait_until(lambda: reader.sound() == "sounding", what="the sound")
    reader.press("m")
    wait_until(lambda: reader.sound() == "silenced", what="silence")
    reader.sees("Silent 4:5", "#silence")
    reader.site.alarm("2U2")
    wait_until(lambda: reader.sound() == "sounding", what="a new alarm sounds again")


def test_a_flood_is_acknowledged_by_keyboard(reader: Reader) -> None:
    reader.open()
    wells = [f"{launder}U{column}" for launder in (1, 2) for column in range(1, 10)] + ["4L2", "4L3"]
    for number, well in enumerate(wells):
        reader.site.alarm(well, first_out=number == 0, flood=number > 10)
    reader.sees("20 spills", "#banner")
    reader.sees("first 1U1 · newest 4L3 · flood", "#banner")
    reader.sees("more below", ".below")
    reader.press("a")
    wait_until(lambda: len(reader.site.asked) == 1, what="one acknowledged")
    reader.sees("Acknowledge all 19", ".below")
    reader.press("A")
    wait_until(lambda: len(reader.site.asked) == 20, what="all acknowledged")
    assert {command["well"] for command in reader.site.asked} == set(wells)
    wait_until(lambda: reader.sound() == "quiet", what="quiet")


def test_shelving_asks_why_and_for_how_long_and_can_be_taken_back(reader: Reader) -> None:
    reader.open()
    reader.site.alarm("3L4")
    reader.sees("3L4", ".alarm")
    reader.press("s")
    reader.one("dialog .primary").click()  # nothing was said, so it stays open
    assert reader.site.asked == []
    reader.one("dialog .preset").click()
    reader.one("dialog [name=minutes][value='30']").find_element("xpath", "..").click()
    reader.one("dialog .primary").click()
    wait_until(lambda: reader.site.asked, what="the command")
    asked = reader.site.asked[0]
    assert (asked["command"], asked["reason"], asked["for_s"]) == ("shelve", "Work at the well", 1800)
    wait_until(lambda: reader.well("3L4") == "shelved", what="the map shows it")
    reader.sees("Put aside 1", ".tabs")
    reader.press("\ue014")  # right
    reader.sees("Work at the well · by Anna", ".aside")
    reader.one(".aside button").click()
    wait_until(lambda: reader.site.asked[-1]["command"] == "unshelve", what="back")


def test_a_refusal_is_shown_as_it_was_said(reader: Reader) -> None:
    reader.open()
    event = reader.site.alarm("3L4")
    reader.sees("3L4", ".alarm")
    reader.site.forget(event)
    reader.press("a")
    reader.sees("Not done: nothing to do there", "#toast")


def test_a_blind_camera_cries_as_loudly_as_a_spill(reader: Reader) -> None:
    reader.open()
    reader.site.watch(CameraState.BLIND, "no frame for 2.0 s")
    reader.site.alarm(None, Condition.CAMERA_LOST)
    reader.sees("BLIND table", "#banner")
    reader.sees("72 wells unwatched", "#banner")
    reader.sees("BLIND", ".picture")
    wait_until(lambda: reader.sound() == "sounding", what="the sound")
    assert "high" in reader.one(".block").get_attribute("class")
    assert len(reader.all(".map .unwatched")) == 72


def test_an_obstructed_well_has_a_shape_and_a_colour_of_its_own(reader: Reader) -> None:
    reader.open()
    reader.site.alarm("1U2", Condition.OBSTRUCTED, priority=Priority.MEDIUM)
    reader.sees("Obstructed", ".block.medium")
    assert reader.well("1U2").startswith("obstructed")


def kill(reader: Reader) -> None:
    reader.served.page.__exit__(None, None, None)


def freeze(reader: Reader) -> None:
    """Its connections stay open and silent, as those of a stopped process do."""
    reader.site.freeze_s = 4.0


@pytest.mark.parametrize("end", [kill, freeze])
def test_a_daemon_that_is_gone_is_known_within_three_seconds(reader: Reader, end: Any) -> None:
    reader.open()
    reader.sees("All 72 wells", "#banner")
    end(reader)
    start_s = time.monotonic()
    reader.sees("No connection to spillwatch", "#banner")
    assert time.monotonic() - start_s < 3
    wait_until(lambda: reader.sound() == "sounding", what="the sound")
    reader.site.freeze_s = 0.0


def test_a_watch_that_stands_still_is_not_hidden_by_a_page_that_goes_on(reader: Reader) -> None:
    reader.open()
    reader.sees("All 72 wells", "#banner")
    reader.site.stuck_s = 7.0
    reader.sees("spillwatch hangs", "#banner")
    assert len(reader.all(".map .unwatched")) == 72


def test_the_language_is_switched_and_remembered(reader: Reader) -> None:
    reader.open()
    reader.site.alarm("3L4")
    reader.sees("Spill 3L4", "#banner")
    reader.press("l")
    reader.sees("Пролив 3L4", "#banner")
    reader.browser.refresh()
    reader.sees("Пролив 3L4", "#banner")
    reader.sees("Принять", ".alarm")


def test_an_ended_alarm_is_judged_false_with_a_note(reader: Reader) -> None:
    reader.open()
    event = reader.site.alarm("3L4")
    reader.sees("3L4", ".alarm")
    reader.press("a")
    reader.sees("acknowledged · by Anna", ".alarm")
    reader.site.end(event)
    reader.sees("Ended 1", ".tabs")
    reader.press("\ue012")  # left: the last of the three
    reader.sees("3L4", ".list.recent")
    reader.press("f")
    reader.one("dialog [name=reason]").send_keys("steam\n")
    reader.sees("judged false", ".list.recent")
    assert [(item["verdict"], item["note"], item["by"]) for item in reader.site.judged] == [(False, "steam", "Anna")]
    reader.press("u")
    wait_until(lambda: "judged false" not in reader.text(".list.recent"))
    assert reader.site.judged[-1]["verdict"] is None


def test_wells_are_edited_over_the_picture_and_saved_with_a_backup(reader: Reader) -> None:
    from selenium.webdriver import ActionChains

    reader.open("wells")
    wait_until(lambda: len(reader.all("#sheet g")) == 72, what="wells")
    plan = reader.site.plans()[0]
    before = dict(zip(plan.wells.ids, plan.wells.centres.tolist(), strict=True))
    assert reader.one("[name=save]").get_attribute("disabled")
    grip = reader.one("#sheet [data-well='2U5'] ellipse:not(.halo)")
    ActionChains(reader.browser, duration=50).drag_and_drop_by_offset(grip, 40, 20).perform()
    name = reader.one("[name=id]")
    name.clear()
    name.send_keys("middle")
    reader.one("[name=service]").click()
    reader.one("#sheet [data-well='4U1'] ellipse:not(.halo)").click()
    reader.one("[name=remove]").click()
    reader.one("[name=add]").click()
    reader.sees("3 changes", ".count")
    reader.one("[name=save]").click()
    reader.sees("Saved. The old file is kept as table.toml.bak-", "#toast")
    wells = wellmap.load(plan.wells_file)
    assert "middle" in wells.ids
    assert "new1" in wells.ids
    assert not {"2U5", "4U1"} & set(wells.ids)
    index = wells.ids.index("middle")
    assert wells.centres[index, 0] > before["2U5"][0] + 20
    assert not wells.in_service[index]
    (backup,) = plan.wells_file.parent.glob("table.toml.bak-*")
    assert "2U5" in backup.read_text()


def test_a_name_that_is_taken_cannot_be_saved(reader: Reader) -> None:
    reader.open("wells")
    wait_until(lambda: len(reader.all("#sheet g")) == 72, what="wells")
    reader.one("#sheet [data-well='2U5'] ellipse:not(.halo)").click()
    name = reader.one("[name=id]")
    name.clear()
    name.send_keys("2U6")
    reader.sees("2U6 is taken", "#side")
    assert reader.one("[name=save]").get_attribute("disabled")
    reader.one("[name=undo]").click()
