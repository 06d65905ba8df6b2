"""What the page needs of the house: somebody who knows the cameras and passes on what people ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spillwatch.records import AlarmEvent, Answer, Frame, Suppression, Wells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A camera and where its wells are; ``edition`` changes whenever the wells file was read anew."""

    camera: str
    wells: Wells
    wells_file: Path
    edition: int


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """The newest frame of a camera; its wells are ``shift`` pixels (x, y) from where the plan has them."""

    frame: Frame
    shift: tuple[float, float]


class Site(Protocol):
    """Every method may be called from any thread, and none may wait for more than a few seconds."""

    @property
    def name(self) -> str: ...

    @property
    def evidence(self) -> Path | None:
        """The folder below which events' ``evidence`` lies; None when none is kept."""
        ...

    def plans(self) -> Sequence[Plan]:
        """All cameras, in the order of the configuration."""
        ...

    def sighting(self, camera: str) -> Sighting | None:
        """None before the camera's first frame."""
        ...

    def suppressions(self) -> Sequence[Suppression]:
        """What is shelved or out of service by command now."""
        ...

    def standing(self) -> Sequence[AlarmEvent]:
        """The alarms that were told before anybody listened, such as those from before a restart."""
        ...

    def age_s(self) -> float:
        """Seconds since the watch last went round its loop: an answer from the page alone proves nothing."""
        ...

    def submit(self, payload: Mapping[str, Any]) -> Answer:
        """Do what somebody asks, in the JSON of the topic ``{base}/cmd``, and say what became of it."""
        ...

    def judge(self, alarm: str, *, verdict: bool | None, note: str, by: str) -> Answer:
        """Keep that the alarm of this name (its events' id up to the last dot) was true or false; None: unsaid."""
        ...

    def change_wells(self, camera: str, rows: Sequence[Mapping[str, Any]], *, digest: str, by: str) -> Answer:
        """Rewrite the wells file whose text had this digest, keep the old one, and watch by the new one."""
        ...

    def report(self, since: str) -> str:
        """The shift report as an HTML page, since so long ago, such as ``8h``. It takes some seconds; raises
        SpillwatchError where it cannot be made."""
        ...

    def wells_digest(self, camera: str) -> str:
        """The digest of the wells file's text as it is now."""
        ...
