"""A video for people: every well drawn in its state, its score beside it, the active alarms in a corner.

Everything is drawn straight on the decoder's planes, so that no frame is turned into RGB and back. What a well looks
like in each state is drawn once, as a stamp; a frame lays the stamps of its wells' states over the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Self, TypeVar

import av
import cv2
import numpy as np

from spillwatch.errors import PublishError
from spillwatch.outputs import is_plain, scratch_for
from spillwatch.pictures import to_bgr
from spillwatch.records import F32, F64, U8, Planes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from spillwatch.records import Frame, View, Wells

_TICKS = 90_000  # per second: MPEG's own clock, fine enough for any frame rate
_FONT = cv2.FONT_HERSHEY_DUPLEX
_FOLLOW_PX = 2.0  # ovals follow a knock; vibration is smaller than their line
_PANEL_LINES = 12  # alarms that are named; the rest are counted


class AnnotatedVideo:
    """Writes H.264 in MP4 at the source's pace: a frame shows when its ``time_s`` says, counted from the first.

    It is written beside its place and moved there when all is well at the end: what is in that place can be played.
    """

    def __init__(self, path: Path, wells: Wells, *, fps: float, on_s: float) -> None:
        self._path = path
        self._scratch = scratch_for(path.resolve()) if is_plain(path) else path
        self._wells = wells
        self._fps = fps
        self._on_s = on_s
        self._encoder: _Encoder | None = None  # both are made when the first frame tells its size
        self._drawing: _Drawing | None = None
        self._shift = (0.0, 0.0)

    def __enter__(self) -> Self:
        try:
            self._scratch.open("wb").close()
        except OSError as exc:
            raise self._unwritable(exc) from exc
        return self

    def __exit__(self, kind: object, value: BaseException | None, *exc: object) -> None:
        try:
            if self._encoder:
                self._encoder.close()
            if value is None:
                self._put()
            else:
                value.add_note(f"the annotated video {self._path} is not written")
        except (OSError, av.FFmpegError) as error:
            if value is None:  # otherwise the first error tells more
                raise self._unwritable(error) from error
        finally:
            if self._scratch != self._path:
                self._scratch.unlink(missing_ok=True)

    def _put(self) -> None:
        if self._encoder is None:
            if self._path.is_file():
                self._path.unlink()  # an MP4 without frames plays nowhere, and one of before is not of this video
        elif self._scratch != self._path:
            self._scratch.replace(self._path.resolve())

    def write(self, frame: Frame, view: View, alarms: Sequence[str]) -> None:
        """Draws and encodes one frame; ``alarms`` are the active ones, one line of text each."""
        try:
            if self._encoder is None:
                self._encoder = _Encoder(self._scratch, frame, fps=self._fps)
            if self._drawing is None or np.abs(np.subtract(view.shift, self._shift)).max() > _FOLLOW_PX:
                self._shift = view.shift
                self._drawing = _Drawing(moved(self._wells, view.shift), frame.planes, on_s=self._on_s)
            self._encoder.write(self._drawing.draw(frame, view, alarms), frame.time_s)
        except (OSError, av.FFmpegError) as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError | av.FFmpegError) -> PublishError:
        return PublishError(
            f"The annotated video {self._path} cannot be written ({exc.strerror}); "
            "name a file in a folder that exists, that you may write to and that has free space"
        )


def moved(wells: Wells, shift: tuple[float, float]) -> Wells:
    """The wells where a frame has them."""
    return replace(wells, centres=wells.centres + np.array(shift))


def snapshot(planes: Planes, wells: Wells, index: int) -> U8:
    """(height, width, 3) uint8 BGR, about 640 wide: a well and its neighbours, the well in its oval."""
    (x, y), (width, height) = wells.centres[index], wells.sizes[index]
    left, top = (max(0, int(at - 4 * side) & ~1) for at, side in ((x, width), (y, height)))  # even: chroma is halved
    right, bottom = (int(at + 4 * side) + 1 & ~1 for at, side in ((x, width), (y, height)))
    half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
    part = Planes(planes.y[top:bottom, left:right], planes.u[half], planes.v[half], planes.full_range)
    scale = max(1.0, 640 / part.width)
    enlarged = cv2.resize(to_bgr(part), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    picture = np.asarray(enlarged, np.uint8)
    # Pixel centres: the middle of pixel 0 lies half a pixel inside the enlarged picture's edge.
    centre = ((wells.centres[index] - (left, top) + 0.5) * scale) - 0.5
    for colour, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        _oval(picture, centre, wells.sizes[index] * scale * 1.15, colour, thickness)
    return picture


def clock(time_s: float) -> str:
    """Media time as people read it off a player: ``mm:ss.ss``, ``h:mm:ss.ss`` from one hour on."""
    hundredths = round(time_s * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours = f"{minutes // 60}:" if minutes >= 60 else ""
    return f"{hours}{minutes % 60:02}:{rest / 100:05.2f}"


class _Encoder:
    """One MP4 file; pictures come as I420."""

    def __init__(self, path: Path, first: Frame, *, fps: float) -> None:
        self._start_s = first.time_s
        self._last = -1
        self._broken = False  # FFmpeg ends the process when it is given more after a file that it could not write
        self._container = av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options={"preset": "superfast", "crf": "23"})
        context = self._stream.codec_context
        context.width, context.height = _even(first.planes)
        context.pix_fmt = "yuv420p"
        context.color_range = 2 if first.planes.full_range else 1
        context.time_base = self._stream.time_base = Fraction(1, _TICKS)
        self._duration = round(_TICKS / fps)

    def write(self, picture: U8, time_s: float) -> None:
        """``picture`` is (1.5 H, W) uint8 I420."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.time_base = Fraction(1, _TICKS)
        frame.pts = self._last = max(self._last + 1, round((time_s - self._start_s) * _TICKS))
        frame.duration = self._duration
        self._broken = True
        self._container.mux(self._stream.encode(frame))
        self._broken = False

    def close(self) -> None:
        with self._container:
            if not self._broken:
                self._container.mux(self._stream.encode(None))


class _State(IntEnum):
    NORMAL = 0
    GATHERING = 1
    ACTIVE = 2
    UNWATCHED = 3


_T = TypeVar("_T", bound=np.generic)
_Point = F64 | tuple[float, float]
_Colour = tuple[int, int, int, int]  # BGRA, alpha multiplied in
_WHITE: _Colour = (255, 255, 255, 255)
_FAINT: _Colour = (190, 190, 190, 255)
_SHADE: _Colour = (0, 0, 0, 140)
_ALARM: _Colour = (0, 0, 190, 235)
_LINES: dict[_State, tuple[_Colour, int]] = {  # and their thickness: states differ in shape too, for the colour-blind
    _State.NORMAL: ((205, 205, 205, 255), 1),
    _State.GATHERING: ((0, 176, 255, 255), 3),
    _State.ACTIVE: ((30, 30, 235, 255), 3),
    _State.UNWATCHED: ((190, 140, 110, 255), 2),
}


class _Font:
    """Small text on plates; all sizes are in pixels."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.line = round(height * 1.45)
        self._scale = cv2.getFontScaleFromHeight(_FONT, height)

    def write(self, picture: U8, text: str, at: tuple[float, float], colour: _Colour = _WHITE) -> None:
        """``at`` is the left end of the text's base line."""
        cv2.putText(picture, text, (round(at[0]), round(at[1])), _FONT, self._scale, colour, 1, cv2.LINE_AA)

    def width(self, text: str) -> int:
        return int(cv2.getTextSize(text, _FONT, self._scale, 1)[0][0])


@dataclass(frozen=True, slots=True, eq=False)
class _Stamp:
    """Something to lay over an I420 picture: ``flat[at] = flat[at] * keep + add``."""

    at: npt.NDArray[np.int64]
    keep: F32
    add: F32


class _Drawing:
    """Draws on copies of pictures of one size."""

    def __init__(self, wells: Wells, first: Planes, *, on_s: float) -> None:
        self._wells = wells
        self._on_s = on_s
        self._shape = first.y.shape
        self._size = _even(first)
        self._flat = np.empty(self._size[0] * self._size[1] * 3 // 2, np.uint8)
        self._planes = _split(self._flat, self._size)
        self._places = _split(np.arange(self._flat.size), self._size)
        narrowest = float(np.min(wells.sizes[:, 0], initial=200.0))
        self._font = _Font(max(8, round(narrowest / 5)))  # two lines are no higher than an oval
        self._large = _Font(max(8, self._size[1] // 75))
        self._stamps = [[self._well(index, state) for state in _State] for index in range(len(wells))]
        self._overlay_of: tuple[bytes, tuple[str, ...]] | None = None
        self._overlay = _join([])

    def draw(self, frame: Frame, view: View, alarms: Sequence[str]) -> U8:
        """(1.5 H, W) uint8 I420, overwritten by the next call."""
        self._copy(frame.planes)
        states = self._states(view)
        if self._overlay_of != (shown := (states.tobytes(), tuple(alarms))):
            order = np.argsort(states == _State.ACTIVE, kind="stable").tolist()  # nothing may cover an alarm
            self._overlay = _join([*(self._stamps[index][states[index]] for index in order), self._panel(alarms)])
            self._overlay_of = shown
        at = self._overlay.at
        self._flat[at] = self._flat[at] * self._overlay.keep + self._overlay.add
        # What differs on every frame is white text on the stamps' plates, for which luma is enough.
        for index in np.flatnonzero(np.isfinite(view.scores)).tolist():
            x, y = self._label(index)
            self._font.write(self._planes[0], _short(float(view.scores[index])), (x, y + self._font.line))
        self._large.write(self._planes[0], clock(frame.time_s), (16, 8 + self._large.line))
        return self._flat.reshape(-1, self._size[0])

    def _copy(self, planes: Planes) -> None:
        if planes.y.shape != self._shape:
            raise PublishError(
                f"The annotated video's pictures are {self._shape[1]}×{self._shape[0]} and one of "
                f"{planes.width}×{planes.height} came; annotate the parts of such a video on their own"
            )
        for to, plane in zip(self._planes, (planes.y, planes.u, planes.v), strict=True):
            to[:] = plane[: to.shape[0], : to.shape[1]]

    def _states(self, view: View) -> npt.NDArray[np.uint8]:
        # A quarter of an alarm's evidence is shown: less than that comes and goes with every passing shadow.
        gathering = view.evidence >= 0.25 * self._on_s
        unwatched = ~self._wells.in_service if view.covered is None else view.covered | ~self._wells.in_service
        cases = [view.active, unwatched, gathering]
        return np.select(cases, [_State.ACTIVE, _State.UNWATCHED, _State.GATHERING], _State.NORMAL).astype(np.uint8)

    def _label(self, index: int) -> tuple[float, float]:
        """Where a well's id starts; its score stands a line below. Beside the oval: rows are too close for text."""
        (x, y), width = self._wells.centres[index], self._wells.sizes[index, 0]
        return x + width / 2 + 6, y - 2

    def _well(self, index: int, state: _State) -> _Stamp:
        colour, thickness = _LINES[state]
        centre, size, name = self._wells.centres[index], self._wells.sizes[index], self._wells.ids[index]
        text_width = max(self._font.width(name), self._font.width(".0000"))
        reach = size / 2 + (text_width + 16, 2 * self._font.line)  # of the patch: room for the box and the text
        left, top = ((int(at) & ~1) for at in centre - reach)  # even: chroma is halved
        patch = np.zeros((2 * (int(reach[1]) + 1), 2 * (int(reach[0]) + 1), 4), np.uint8)
        centre = centre - (left, top)
        x, y = np.subtract(self._label(index), (left, top))
        if state is _State.ACTIVE:
            _oval(patch, centre, size, (0, 0, 80, 80), cv2.FILLED)
            _box(patch, centre - size / 2 - 5, centre + size / 2 + 4, _WHITE, 2)
        else:
            _oval(patch, centre, size, _SHADE, thickness + 2)
        _oval(patch, centre, size, colour, thickness, dashed=state is _State.UNWATCHED)
        corners = (x - 2, y - self._font.height - 2), (x + text_width + 1, y + self._font.line + 2)
        _box(patch, *corners, _ALARM if state is _State.ACTIVE else _SHADE, cv2.FILLED)
        self._font.write(patch, name, (x, y), _FAINT if state is _State.UNWATCHED else _WHITE)
        return self._stamp(patch, left, top)

    def _panel(self, alarms: Sequence[str]) -> _Stamp:
        """The corner's plate: room for the clock, then the alarms."""
        lines = list(alarms) if len(alarms) <= _PANEL_LINES else list(alarms[: _PANEL_LINES - 1])
        if len(lines) < len(alarms):
            lines.append(f"and {len(alarms) - len(lines)} more")
        font = self._large
        width = max(font.width(line) for line in [*lines, "0:00:00.00", "no alarms"]) + 24
        patch = np.zeros((font.line * (len(lines or [""]) + 1) + 12 + 1 & ~1, width + 1 & ~1, 4), np.uint8)
        patch[:] = (0, 0, 0, 190)
        if lines:
            patch[:, :5] = _LINES[_State.ACTIVE][0]
        for number, line in enumerate(lines or ["no alarms"], 2):
            font.write(patch, line, (12, number * font.line), _WHITE if lines else _FAINT)
        return self._stamp(patch, 4, 8)

    def _stamp(self, patch: U8, left: int, top: int) -> _Stamp:
        """A (h, w, 4) uint8 patch, BGRA with alpha multiplied in, in its place; all numbers are even."""
        patch = patch[max(-top, 0) : max(self._size[1] - top, 0), max(-left, 0) : max(self._size[0] - left, 0)]
        height, width = patch.shape[:2]
        full = patch.astype(np.float32)
        half = full.reshape(height // 2, 2, width // 2, 2, 4).mean(axis=(1, 3))
        stamps = []
        for places, values, weights, step in zip(self._places, (full, half, half), _TO_YUV, (1, 2, 2), strict=True):
            y, x = max(top, 0) // step, max(left, 0) // step
            seen = values[..., 3] > 0
            drawn = values[seen]
            at = places[y : y + height // step, x : x + width // step][seen]
            stamps.append(_Stamp(at, 1 - drawn[:, 3] / np.float32(255), drawn @ weights))
        return _join(stamps)


def _even(planes: Planes) -> tuple[int, int]:
    """Width and height that H.264 can take: it halves its chroma."""
    return planes.width // 2 * 2, planes.height // 2 * 2


def _split(flat: npt.NDArray[_T], size: tuple[int, int]) -> list[npt.NDArray[_T]]:
    """The Y, U and V planes of a flat I420 array."""
    width, height = size
    chroma = flat[width * height :].reshape(2, height // 2, width // 2)
    return [flat[: width * height].reshape(height, width), *chroma]


def _oval(picture: U8, centre: F64, size: F64, colour: Sequence[int], thickness: int, *, dashed: bool = False) -> None:
    """An anti-aliased oval, to a sixteenth of a pixel."""
    arcs = [(at, at + 22) for at in range(0, 360, 40)] if dashed else [(0, 360)]
    middle, axes = (np.rint(np.asarray(pair) * 16).astype(int).tolist() for pair in (centre, size / 2))
    for start, stop in arcs:
        cv2.ellipse(picture, middle, axes, 0, start, stop, colour, thickness, cv2.LINE_AA, 4)


def _box(picture: U8, corner: _Point, opposite: _Point, colour: _Colour, thickness: int) -> None:
    first, last = ((round(x), round(y)) for x, y in (corner, opposite))
    cv2.rectangle(picture, first, last, colour, thickness)


def _join(stamps: Sequence[_Stamp]) -> _Stamp:
    """One stamp of several; where they overlap, the last one shows."""
    return _Stamp(
        np.concatenate([np.zeros(0, np.int64), *(stamp.at for stamp in stamps)]),
        np.concatenate([np.zeros(0, np.float32), *(stamp.keep for stamp in stamps)]),
        np.concatenate([np.zeros(0, np.float32), *(stamp.add for stamp in stamps)]),
    )


# BT.601, 16..235: rows Y, U, V of columns B, G, R, A; alpha carries the offsets 16, 128 and 128.
_TO_YUV = np.array(
    [[0.098, 0.504, 0.257, 16 / 255], [0.439, -0.291, -0.148, 128 / 255], [-0.071, -0.368, 0.439, 128 / 255]],
    np.float32,
)


def _short(score: float) -> str:
    """A score in at most five characters: .0034, 1.234, 123.4."""
    return f"{score:.4f}".removeprefix("0")[:5].removesuffix(".")
