"""Pictures of the operators' page for the documents: a simulated line, served over RTSP, watched by the real daemon.

Needs what `make packages` installs: GStreamer's RTSP server, ffmpeg, Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np

from tools.rig import free_port, wait_until
from tools.rig.browser import chromium, resize
from tools.rig.daemon import DaemonProcess
from tools.rig.rtsp import RtspServer, annex_b

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

TOKEN = "0123456789abcdef"  # noqa: S105 - opens nothing but this
HALL, TABLET = (1920, 1080), (1024, 768)
WIDTH = 1280  # of the pictures; larger ones are made smaller


class Scene:
    """A line with so many spills before the daemon, and somebody who looks at its page."""

    def __init__(self, folder: Path, browser: Chrome, out: Path, *, spills: int, seconds: float) -> None:
        self.folder, self.browser, self.out = folder, browser, out
        folder.mkdir()
        self.video, self.wells = folder / "line.mp4", folder / "line.wells.toml"
        self._simulate(spills, seconds)
        self.port = free_port()
        self.stack = ExitStack()
        self.stream = RtspServer(annex_b(self.video, folder / "line.h264"), fps=12.5)

    def _simulate(self, spills: int, seconds: float) -> None:
        tool = Path(__file__).with_name("simulate_line.py")
        words = [sys.executable, tool, self.video, "--seconds", seconds, "--spills", spills, "--size", "1920x1200"]
        subprocess.run([str(word) for word in words], check=True)

    def __enter__(self) -> Scene:
        self.stack.enter_context(self.stream)
        self.daemon = self.stack.enter_context(DaemonProcess(self._configure(), self.folder))
        self.daemon.wait_ready()
        self.open("login")
        self.browser.find_element("name", "name").send_keys("Anna")
        self.browser.find_element("name", "token").send_keys(TOKEN + "\n")
        self.sees("#user", "Anna")
        return self

    def __exit__(self, *exc: object) -> None:
        self.stack.__exit__(None, None, None)

    def _configure(self) -> Path:
        token = self.folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        path = self.folder / "config.toml"
        path.write_text(
            f'site = "cast-2"\n[mqtt]\nenabled = false\n[page]\nenabled = true\nport = {self.port}\n'
            f'token_file = "{token}"\n[evidence]\nenabled = true\n[[cameras]]\nid = "table-2"\nkind = "rtsp"\n'
            f'url = "{self.stream.url()}"\nwells = "{self.wells}"\n'
        )
        return path

    def open(self, path: str = "") -> None:
        self.browser.get(f"http://127.0.0.1:{self.port}/{path}")

    def sees(self, selector: str, text: str = "", within_s: float = 60) -> None:
        """Wait for it."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join(' ')"
        wait_until(
            lambda: text in self.browser.execute_script(script, selector), within_s=within_s, what=f"{text} there"
        )

    def count(self, selector: str) -> int:
        return len(self.browser.find_elements("css selector", selector))

    def press(self, keys: str) -> None:
        self.browser.find_element("tag name", "body").send_keys(keys)

    def shoot(self, name: str) -> None:
        """What the screen shows, in the bright phase of what flashes."""
        script = "document.getAnimations().forEach(a => { a.pause(); a.currentTime = 0; })"
        self.browser.execute_script(script)
        png = np.frombuffer(self.browser.get_screenshot_as_png(), np.uint8)
        self.browser.execute_script("document.getAnimations().forEach(a => a.play())")
        picture: Any = cv2.imdecode(png, cv2.IMREAD_COLOR)
        if picture.shape[1] > WIDTH:
            size = (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1]))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(self.out / f"page-{name}.webp"), picture, [cv2.IMWRITE_WEBP_QUALITY, 82])
        click.echo(f"page-{name}.webp", err=True)


def one_spill(scene: Scene) -> None:
    """All is well, one well spills, somebody shelves it, edits wells; then the camera and the daemon go."""
    scene.sees("#banner", "wells are watched")
    wait_until(
        lambda: scene.browser.execute_script("return document.querySelector('img').naturalWidth > 0"), within_s=10
    )
    scene.shoot("normal")
    scene.sees("#banner", "Spill")
    time.sleep(1)
    scene.shoot("spill")
    scene.press("l")
    scene.sees("#banner", "Пролив")
    scene.shoot("spill-russian")
    scene.press("l")
    scene.press("s")
    scene.sees("dialog", "Shelve")
    scene.shoot("shelve")
    scene.press("\ue00c")
    scene.open("wells")
    scene.sees("#side", "Choose")
    wait_until(lambda: scene.count("#sheet image") == 1, within_s=10)
    time.sleep(0.5)
    scene.browser.find_elements("css selector", "#sheet g")[20].click()
    scene.shoot("wells")
    scene.open()
    scene.sees("#cameras", "table-2")
    evidence(scene)
    scene.stream.kill()
    scene.sees("#banner", "BLIND")
    time.sleep(1)
    scene.shoot("blind")
    scene.daemon.process.kill()
    scene.sees("#banner", "No connection", within_s=3)
    time.sleep(2)
    scene.shoot("gone")


def evidence(scene: Scene) -> None:
    """What is kept of the spill, and the shift so far."""
    follow(scene, "evidence", ".alarm .evidence[href]", "video", within_s=60)
    follow(scene, "report", "#reports a", "h1", within_s=20)


def follow(scene: Scene, name: str, link: str, selector: str, *, within_s: float) -> None:
    """Shoot the page behind a link of the board once it shows something, and come back."""
    wait_until(lambda: scene.count(link), within_s=20, what=link)
    board, address = scene.browser.current_url, scene.browser.find_element("css selector", link).get_attribute("href")

    def shows() -> int:
        scene.browser.get(address)
        return scene.count(selector)

    wait_until(shows, within_s=within_s, what=name)
    time.sleep(1)
    scene.shoot(name)
    scene.browser.get(board)
    scene.sees("#cameras", "table-2")


def flood(scene: Scene) -> None:
    """Twenty wells, on the hall's screen and on a tablet."""
    wait_until(lambda: scene.count(".list.active .alarm") >= 15, within_s=90, what="a flood")
    scene.shoot("flood")
    resize(scene.browser, TABLET)
    time.sleep(0.5)
    scene.shoot("flood-tablet")
    resize(scene.browser, HALL)


@click.command()
@click.option("--out", default="docs/pictures", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(out: Path) -> None:
    """Write the pictures of docs/page.md."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, chromium(Path(name) / "profile", size=HALL) as browser:
        with Scene(Path(name) / "one", browser, out, spills=1, seconds=60) as scene:
            one_spill(scene)
        with Scene(Path(name) / "flood", browser, out, spills=20, seconds=36) as scene:
            flood(scene)


if __name__ == "__main__":
    main()
