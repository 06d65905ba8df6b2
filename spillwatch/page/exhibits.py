"""The pages of spills: what is kept of each on the disk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, HTMLResponse, Response

from spillwatch.records import CLIP, SNAPSHOT, STRIP

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import Environment
    from starlette.requests import Request

    from spillwatch.page.base import Site

FILES = (SNAPSHOT, STRIP, CLIP)

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NAME = re.compile(r"[A-Za-z0-9_.~-]+(~[A-Za-z0-9_.-]+){2}~\d{8}T\d{6}\.\d{6}Z")


class Exhibits:
    """Gives out files of these names from folders whose names cannot be anything but an alarm's."""

    def __init__(self, site: Site, environment: Environment) -> None:
        self._site = site
        self._page = environment.get_template("evidence.html")

    async def page(self, request: Request) -> Response:
        folder = self._folder(request)
        if folder is None:
            return _gone()
        name = folder.name
        there = [file for file in FILES if (folder / file).is_file()]
        lang = "ru" if request.cookies.get("lang", "").startswith("ru") else "en"
        return HTMLResponse(self._page.render(name=name, title=name.rsplit("~", 3), files=there, lang=lang))

    async def file(self, request: Request) -> Response:
        folder, file = self._folder(request), request.path_params["file"]
        if folder is None or file not in FILES or not (folder / file).is_file():
            return _gone()
        return FileResponse(folder / file)

    def _folder(self, request: Request) -> Path | None:
        day, name = request.path_params["day"], request.path_params["name"]
        if self._site.evidence is None or not (_DAY.fullmatch(day) and _NAME.fullmatch(name)):
            return None
        folder = self._site.evidence / "evidence" / day / name
        return folder if folder.is_dir() and folder.resolve() == folder.parent.parent.resolve() / day / name else None


def _gone() -> Response:
    return Response("There is no such evidence, or it was too old or too much to keep.", 404, media_type="text/plain")
