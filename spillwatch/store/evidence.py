"""Evidence on the disk: written by a thread of its own, bounded by age and size, and never in an alarm's way."""

from __future__ import annotations

import queue
import re
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

import structlog

from spillwatch.errors import StoreError
from spillwatch.outputs import write_whole
from spillwatch.records import CLIP, CROPS, SNAPSHOT, STAMP, STRIP, U8, evidence_path
from spillwatch.store.exhibit import Exhibit, png, snapshot, strip, write_clip
from spillwatch.store.lessons import Lessons

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spillwatch.config import EvidenceSettings
    from spillwatch.records import EncodedClip

FLOOR_BYTES = 512 * 1024 * 1024
"""With less free on the disk no evidence is written: the room is for alarms, which stop at a thirtieth of it."""

MOST_WAITING = 64
"""Exhibits that wait for the thread, and clips that wait for their end; more are dropped."""

MOST_CROPS_WAITING = 16
"""Crops make way for exhibits."""

PRUNE_EVERY_S = 600.0
"""As often, what the disk refused of the crew's judgements is tried again."""

_JOIN_S = 1.0
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NAME = re.compile(r"[A-Za-z0-9_.~-]+~\d{8}T\d{6}\.\d{6}Z")
_LOG = structlog.get_logger()


@dataclass(slots=True)
class Counters:
    """Since the start: exhibits and clips."""

    kept: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class _Clip:
    """One whose end has not come. It waits without the picture, 3 MB at 1920x1200 for each of twenty spills."""

    path: str
    cut: Callable[[], EncodedClip | None]
    due_s: float
    width: int
    height: int


class Evidence:
    """Keeps exhibits below ``folder``/evidence; ``keep`` neither waits nor raises."""

    def __init__(
        self,
        settings: EvidenceSettings,
        folder: Path,
        *,
        floor_bytes: int = FLOOR_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = Counters()
        self._settings = settings
        self._folder = folder
        self._floor_bytes = floor_bytes
        self._clock = clock
        self._waiting: queue.SimpleQueue[Exhibit | Callable[[], object] | None] = queue.SimpleQueue()
        self._lessons = Lessons(folder, floor_bytes=floor_bytes)
        self._unlearnt: dict[str, bool | None] = {}  # the thread's: paths and verdicts that could not be kept yet
        self._clips: list[_Clip] = []  # the thread's
        self._prune_s = -1e9
        self._thread: threading.Thread | None = None

    @property
    def _root(self) -> Path:
        return self._folder / "evidence"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Clips that wait end now."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_JOIN_S)
            self._thread = None

    def keep(self, exhibit: Exhibit) -> None:
        """Have it written soon."""
        if self._waiting.qsize() >= MOST_WAITING:
            self._drop(exhibit.path, "too many alarms at once")
        else:
            self._waiting.put(exhibit)

    def add(self, path: str, number: int, box: U8) -> None:
        """One more crop, (h, w, 3) uint8 BGR, of an alarm whose exhibit was given before."""
        if self._waiting.qsize() < MOST_CROPS_WAITING:
            self._waiting.put(partial(self._attempt, path, partial(self._write_crop, path, number, box)))

    def judge(self, alarm: str, verdict: bool | None) -> None:
        """Somebody said what the alarm of this name was: its crops are for training, or no longer."""
        self._waiting.put(partial(self._learn, evidence_path(alarm), verdict))

    # The thread's

    def _run(self) -> None:
        self._attempt(str(self._root), self._sweep)
        while True:
            due_s = min([self._prune_s + PRUNE_EVERY_S, *(clip.due_s for clip in self._clips)])
            ends = False
            with suppress(queue.Empty):
                given = self._waiting.get(timeout=max(0.0, due_s - self._clock()))
                ends = given is None
                if isinstance(given, Exhibit):
                    self._show(given)
                elif given is not None:
                    given()
                del given  # its picture is not for keeping until the next alarm
            for clip in [clip for clip in self._clips if ends or clip.due_s <= self._clock()]:
                self._clips.remove(clip)
                self._attempt(clip.path, lambda clip=clip: self._write_clip(clip))  # type: ignore[misc]
            if ends:
                return
            if self._clock() >= self._prune_s + PRUNE_EVERY_S:
                self._attempt(str(self._root), self._prune)
                for path, verdict in list(self._unlearnt.items()):
                    self._learn(path, verdict)

    def _show(self, exhibit: Exhibit) -> None:
        if not self._attempt(exhibit.path, lambda: self._write(exhibit)) or exhibit.clip is None:
            return
        if len(self._clips) >= MOST_WAITING:
            self._drop(exhibit.path, "too many clips at once")
        else:
            planes = exhibit.frame.planes
            self._clips.append(_Clip(exhibit.path, exhibit.clip, exhibit.due_s, planes.width, planes.height))

    def _attempt(self, path: str, action: Callable[[], None]) -> bool:
        """Whatever a disk or a library does, the next alarm's evidence is tried."""
        try:
            action()
        except (StoreError, OSError) as exc:
            self._drop(path, str(exc))
            return False
        except Exception:  # noqa: BLE001 - this thread has no other owner, and pictures are not worth a daemon
            _LOG.error("evidence.crashed", path=path, exc_info=True)
            self.counters.dropped += 1
            return False
        return True

    def _drop(self, path: str, reason: str) -> None:
        self.counters.dropped += 1
        _LOG.warning("evidence.dropped", path=path, reason=reason)

    def _write(self, exhibit: Exhibit) -> None:
        files = {SNAPSHOT: png(snapshot(exhibit)), STRIP: png(strip(exhibit))}
        if not exhibit.event.test:
            files[CROPS.replace("??", "00")] = png(exhibit.box)
        self._make_room(sum(len(content) for content in files.values()))
        to = self._folder / exhibit.path
        begun = self._root / f".{to.name}"
        to.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        begun.mkdir(mode=0o750, exist_ok=True)
        try:
            for name, content in files.items():
                (begun / name).write_bytes(content)
            begun.rename(to)
        except OSError:
            shutil.rmtree(begun, ignore_errors=True)
            raise
        self.counters.kept += 1

    def _write_crop(self, path: str, number: int, box: U8) -> None:
        folder, content = self._folder / path, png(box)
        if folder.is_dir():  # else its exhibit was dropped
            self._check_floor(len(content))
            write_whole(folder / CROPS.replace("??", f"{number:02}"), content)

    def _learn(self, path: str, verdict: bool | None) -> None:
        folder = self._folder / path
        if not _NAME.fullmatch(folder.name):
            return
        if self._attempt(path, lambda: self._lessons.judge(folder, verdict)):
            self._unlearnt.pop(path, None)
        elif len(self._unlearnt) < MOST_WAITING or path in self._unlearnt:
            self._unlearnt[path] = verdict

    def _write_clip(self, waiting: _Clip) -> None:
        clip = waiting.cut()
        if clip is None or not clip.packets:
            raise StoreError("the camera sent nothing that could be kept")
        self._make_room(sum(len(packet.data) for packet in clip.packets))
        folder = self._folder / waiting.path
        begun = folder / f".{CLIP}"
        try:
            write_clip(clip, begun, width=waiting.width, height=waiting.height)
            begun.rename(folder / CLIP)
        except Exception:
            with suppress(OSError):
                begun.unlink(missing_ok=True)
            raise
        self.counters.kept += 1

    def _sweep(self) -> None:
        """Away with what an earlier run began and did not end."""
        for begun in [*self._root.glob(".*"), *self._root.glob("*/*/.*")]:
            if begun.is_dir():
                shutil.rmtree(begun)
            else:
                begun.unlink()

    def _make_room(self, size: int) -> None:
        """Prune so that so many bytes fit, or raise StoreError."""
        self._prune(size)
        if size > self._settings.max_bytes:
            raise StoreError(f"it has {size} bytes, and evidence.max_bytes is {self._settings.max_bytes}")
        self._check_floor(size)

    def _check_floor(self, size: int) -> None:
        self._root.mkdir(mode=0o750, parents=True, exist_ok=True)
        free = shutil.disk_usage(self._root).free
        if free - size < self._floor_bytes:
            raise StoreError(f"the disk has {free} bytes free, and {self._floor_bytes} are left to alarms")

    def _prune(self, coming: int = 0) -> None:
        """The oldest goes until age and size are kept. Folders of other names are not ours."""
        self._prune_s = self._clock()
        oldest = (datetime.now(UTC) - timedelta(days=self._settings.max_days)).strftime(STAMP)
        days = [day for day in self._root.glob("*") if _DAY.fullmatch(day.name)]
        kept = [
            (_stamp(path), _size(path), path) for day in days for path in day.iterdir() if _NAME.fullmatch(path.name)
        ]
        size = sum(each for _, each, _ in kept) + coming
        for stamp, each, path in sorted(kept):
            if stamp >= oldest and size <= self._settings.max_bytes:
                break
            shutil.rmtree(path)
            size -= each
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def _stamp(path: Path) -> str:
    return path.name.rpartition("~")[2]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())
