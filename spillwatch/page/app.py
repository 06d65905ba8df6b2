"""The page's addresses and what each answers. All of them are relative, so that a proxy may put a path before them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from spillwatch.errors import SpillwatchError
from spillwatch.page import access, asking
from spillwatch.page.exhibits import Exhibits
from spillwatch.page.guard import Guard, Hardened, slow_down
from spillwatch.page.metrics import MetricsPage
from spillwatch.page.plans import plan_json
from spillwatch.page.stream import stream
from spillwatch.records import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from spillwatch.page.desk import Desk
    from spillwatch.page.shots import Shot
    from spillwatch.records import Answer

REPORTS = ("8h", "24h", "7d")
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
"""A report carries its own style and pictures, and no script."""
_STATIC = Path(__file__).parent / "static"
_ENVIRONMENT = Environment(loader=PackageLoader("spillwatch.page"), autoescape=True, undefined=StrictUndefined)


def make_app(desk: Desk, *, metrics: Callable[[], bytes] | None = None) -> ASGIApp:
    """The whole page over one desk, and Prometheus's ``metrics`` where there are any."""
    guard = Guard(desk.access)
    pages = _Pages(desk)
    answers = _Answers(desk)
    exhibits = Exhibits(desk.site, _ENVIRONMENT)
    routes: list[BaseRoute] = [
        Route("/", guard.page(pages.main)),
        Route("/wells", guard.page(pages.wells)),
        Route("/report/{since}", guard.page(pages.report)),
        Route("/login", pages.form, methods=["GET"]),
        Route("/login", pages.login, methods=["POST"]),
        Route("/logout", guard.post(pages.logout), methods=["POST"]),
        Route("/evidence/{day}/{name}", guard.data(exhibits.page)),
        Route("/evidence/{day}/{name}/{file}", guard.data(exhibits.file)),
        Route("/api/events", guard.data(answers.events)),
        Route("/api/plans", guard.data(answers.plans)),
        Route("/api/cameras/{camera}/picture", guard.data(answers.picture)),
        Route("/api/cameras/{camera}/reference", guard.data(answers.reference)),
        Route("/api/cameras/{camera}/wells", guard.data(answers.wells), methods=["GET"]),
        Route("/api/cameras/{camera}/wells", guard.post(answers.change_wells), methods=["POST"]),
        Route("/api/commands", guard.post(answers.command), methods=["POST"]),
        Route("/api/judgements", guard.post(answers.judge), methods=["POST"]),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    if metrics:
        routes.append(Route("/metrics", MetricsPage(desk.access, metrics).show))
    return Hardened(Starlette(routes=routes, exception_handlers={SpillwatchError: _plainly}))


async def _plainly(_request: Request, exc: Exception) -> Response:
    return _refusal(str(exc))


def _refusal(sentence: str, status: int = 409) -> JSONResponse:
    return JSONResponse({"ok": False, "refused": sentence}, status)


class _Pages:
    """What a browser shows."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reporting = asyncio.Lock()

    async def main(self, _request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def wells(self, _request: Request) -> Response:
        return FileResponse(_STATIC / "wells.html")

    async def report(self, request: Request) -> Response:
        since = request.path_params["since"]
        if since not in REPORTS:
            return _refusal(f"there are reports of {', '.join(REPORTS)}", 404)
        async with self._reporting:  # one at a time: it takes a core for some seconds
            page = await run_in_threadpool(self._desk.site.report, since)
        return HTMLResponse(page, headers={"Content-Security-Policy": _REPORT_POLICY})

    async def form(self, request: Request) -> Response:
        return self._form(request)

    async def login(self, request: Request) -> Response:
        if not access.same_origin(request.headers):
            return self._form(request, fault="origin", status=403)
        fields = parse_qs((await asking.body(request)).decode(errors="replace"))
        token, name = (fields.get(key, [""])[0].strip() for key in ("token", "name"))
        if not name:
            return self._form(request, fault="name", status=403)
        if not self._desk.access.opens(token):
            await slow_down()
            return self._form(request, fault="token", status=403)
        response = RedirectResponse("./", status_code=303)
        secure = request.url.scheme == "https"
        response.set_cookie(access.COOKIE, self._desk.access.cookie(name), max_age=access.LASTS_S, httponly=True,
                            samesite="strict", secure=secure)  # fmt: skip
        return response

    async def logout(self, _request: Request) -> Response:
        response = JSONResponse({"ok": True})
        response.delete_cookie(access.COOKIE, httponly=True, samesite="strict")
        return response

    def _form(self, request: Request, *, fault: str = "", status: int = 200) -> Response:
        wanted = request.cookies.get("lang") or request.headers.get("accept-language", "")
        page = _ENVIRONMENT.get_template("login.html").render(
            site=self._desk.site.name,
            fault=fault,
            lang="ru" if wanted.lower().startswith("ru") else "en",
            has_form=self._desk.access.has_form,
        )
        return HTMLResponse(page, status)


class _Answers:
    """What scripts ask for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def events(self, request: Request) -> Response:
        return StreamingResponse(
            stream(self._desk, request.state.user), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def plans(self, _request: Request) -> Response:
        return JSONResponse([plan_json(plan) for plan in self._desk.site.plans()])

    async def picture(self, request: Request) -> Response:
        camera = self._camera(request)
        shot = await run_in_threadpool(self._desk.shots.newest, camera) if camera else None
        if shot is None or str(shot.time_s) == request.query_params.get("after"):
            return Response(status_code=204)
        return _jpeg(shot)

    async def reference(self, request: Request) -> Response:
        plan = self._desk.plan(request.path_params["camera"])
        shot = await run_in_threadpool(self._desk.shots.reference, plan) if plan else None
        return _jpeg(shot) if shot else Response(status_code=404)

    async def wells(self, request: Request) -> Response:
        plan = self._desk.plan(request.path_params["camera"])
        if plan is None:
            return _refusal("there is no such camera", 404)
        digest = await run_in_threadpool(self._desk.site.wells_digest, plan.camera)
        return JSONResponse({**plan_json(plan), "digest": digest, "file": plan.wells_file.name})

    async def change_wells(self, request: Request) -> Response:
        asked = await asking.read(request, asking.WellsChange)
        if isinstance(asked, str):
            return _refusal(asked, 400)
        camera, rows = request.path_params["camera"], [row.model_dump() for row in asked.wells]
        change = self._desk.site.change_wells
        return self._told(await run_in_threadpool(change, camera, rows, digest=asked.digest, by=request.state.user))

    async def command(self, request: Request) -> Response:
        asked = await asking.read(request, asking.Ask)
        if isinstance(asked, str):
            return _refusal(asked, 400)
        said = asked.model_dump(mode="json", exclude_none=True)
        payload = {**said, "well": asked.well, "by": request.state.user}  # a null well is the camera itself
        return self._told(await run_in_threadpool(self._desk.site.submit, payload))

    async def judge(self, request: Request) -> Response:
        asked = await asking.read(request, asking.Judgement)
        if isinstance(asked, str):
            return _refusal(asked, 400)
        if not self._desk.board.knows(asked.alarm):
            return _refusal("this alarm is no longer shown here; look it up in the history")
        answer = await run_in_threadpool(
            self._desk.site.judge, asked.alarm, verdict=asked.verdict, note=asked.note, by=request.state.user
        )
        if answer.ok:
            self._desk.board.judge(asked.alarm, verdict=asked.verdict)
        return self._told(answer)

    def _told(self, answer: Answer) -> Response:
        self._desk.board.touch()
        return JSONResponse(to_json(answer), 200 if answer.ok else 409)

    def _camera(self, request: Request) -> str | None:
        plan = self._desk.plan(request.path_params["camera"])
        return plan.camera if plan else None


def _jpeg(shot: Shot) -> Response:
    place: dict[str, Any] = {"X-Size": f"{shot.width},{shot.height}", "X-Time": str(shot.time_s)}
    shift = f"{shot.shift[0]:.2f},{shot.shift[1]:.2f}"
    return Response(shot.jpeg, media_type="image/jpeg", headers={**place, "X-Shift": shift})
