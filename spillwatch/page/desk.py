"""What every answer of the page draws on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spillwatch.page.access import Access
from spillwatch.page.shots import Shots

if TYPE_CHECKING:
    from spillwatch.page.base import Plan, Site
    from spillwatch.page.board import Board
    from spillwatch.records import Suppression

    State = tuple[int, tuple[Plan, ...], tuple[Suppression, ...]]


class Desk:
    """The site, the board and the doors; ``closing`` ends the streams."""

    def __init__(self, site: Site, board: Board, *, token: str | None, user_header: str | None, version: str) -> None:
        self.site = site
        self.board = board
        self.access = Access(token=token, user_header=user_header)
        self.shots = Shots(site)
        self.closing = False
        self._version = version
        self._said: tuple[State | None, str] = (None, "")

    def plan(self, camera: str) -> Plan | None:
        """The camera of this name, if there is one."""
        return next((plan for plan in self.site.plans() if plan.camera == camera), None)

    def state(self) -> tuple[State, str]:
        """What the page shows, told apart from what it showed before, and as JSON; made once, however many look."""
        # The board's version is read first: what changes meanwhile makes another one.
        state = (self.board.version, tuple(self.site.plans()), tuple(self.site.suppressions()))
        if state != self._said[0]:
            _, plans, suppressions = state
            shown = self.board.state([plan.camera for plan in plans], suppressions)
            editions = {plan.camera: plan.edition for plan in plans}
            whole = {"site": self.site.name, "version": self._version, "editions": editions, **shown}
            self._said = (state, json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
        return state, self._said[1]
