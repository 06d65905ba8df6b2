"""What every answer of the page draws on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spillwatch.page.access import Access
from spillwatch.page.shots import Shots

if TYPE_CHECKING:
    from spillwatch.page.base import Plan, Site
    from spillwatch.page.board import Board


class Desk:
    """The site, the board and the doors; ``closing`` ends the streams."""

    def __init__(self, site: Site, board: Board, *, token: str | None, user_header: str | None, version: str) -> None:
        self.site = site
        self.board = board
        self.access = Access(token=token, user_header=user_header)
        self.shots = Shots(site)
        self.closing = False
        self._version = version
        self._said = (-1, "")

    def plan(self, camera: str) -> Plan | None:
        """The camera of this name, if there is one."""
        return next((plan for plan in self.site.plans() if plan.camera == camera), None)

    def state(self) -> tuple[int, str]:
        """The board's version and all that it shows, as JSON; made once per version, however many look."""
        version = self.board.version  # read first: what changes meanwhile makes another version
        if version != self._said[0]:
            plans = self.site.plans()
            shown = self.board.state([plan.camera for plan in plans], self.site.suppressions())
            editions = {plan.camera: plan.edition for plan in plans}
            wells = sum(len(plan.wells) for plan in plans)
            whole = {"site": self.site.name, "version": self._version, "editions": editions, "wells": wells, **shown}
            self._said = (version, json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
        return self._said
