"""A real Chromium without a screen."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-color-profile=srgb",
    "--hide-scrollbars", "--lang=en",
)  # fmt: skip


@contextmanager
def chromium(folder: Path, *, size: tuple[int, int] = (1920, 1080), may_sound: bool = True) -> Iterator[Chrome]:
    """A browser with a profile of its own; skips where Debian's packages are missing."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium (Debian: apt install chromium chromium-driver)")
    with launched(folder, binary, driver, size=size, may_sound=may_sound) as browser:
        yield browser


@contextmanager
def launched(folder: Path, binary: str, driver: str, *, size: tuple[int, int], may_sound: bool) -> Iterator[Chrome]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    if may_sound:
        options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        yield browser
    finally:
        browser.quit()
