"""The work before watching: locating wells and extracting crops."""

from __future__ import annotations

import re
import shutil
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
from pydantic import ValidationError

from spillwatch import build
from spillwatch.config import CameraSettings
from spillwatch.errors import SourceError, WellsError
from spillwatch.outputs import backup_of, check_outputs
from spillwatch.pictures import read, to_bgr
from spillwatch.sources.ahead import read_ahead
from spillwatch.sources.file import FileSource
from spillwatch.sources.rtsp import masked_url
from spillwatch.wells import finding, locating, wellmap
from spillwatch.wells.finding import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spillwatch.records import F64, U8, Wells
    from spillwatch.sources.base import Source

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
STREAMS = ("rtsp://", "rtsps://")


def locate(picture: str, *, out: Path, preview: Path | None, password_file: Path | None = None, **said: Any) -> Found:
    """The wells on a picture, written with the picture as their reference; ``password_file`` is a stream's.

    Found unaided, or from a person's description of the table where one is given.
    """
    reference = out.with_suffix(".reference.png")
    check_outputs((out, preview), read=(Path(picture), reference))
    bgr = _picture(picture, password_file)
    found = _described(bgr, said) if said["corners"] else finding.find(bgr)
    wellmap.check_fits(found.wells, width=bgr.shape[1], height=bgr.shape[0])
    wells = replace(found.wells, reference=reference)
    with _kept(out, reference) as copies:
        locating.write_picture(reference, bgr)
        wellmap.save(wells, out)
    if preview:
        locating.write_picture(preview, locating.draw_preview(bgr, wells))
    notes = (f"{path} was there before, and is kept as {copy}" for path, copy in copies.items())
    return replace(found, wells=wells, notes=(*found.notes, *notes))


@contextmanager
def _kept(*paths: Path) -> Iterator[dict[Path, Path]]:
    """Copies, named as the page's editor does, of what people may have worked on; put back when all cannot be made."""
    now = datetime.now(UTC)
    copies = {path: backup_of(path, now) for path in paths if path.is_file()}
    try:
        for path, copy in copies.items():
            shutil.copy2(path, copy)
    except OSError as exc:
        for copy in copies.values():
            copy.unlink(missing_ok=True)
        raise WellsError(f"no copy of {path} could be kept ({exc.strerror}), so it stays; make room there") from exc
    try:
        yield copies
    except BaseException:
        for path, copy in copies.items():
            copy.replace(path)
        raise


def _described(bgr: U8, said: dict[str, Any]) -> Found:
    height, width = bgr.shape[:2]
    table = locating.Table(
        rows=said["rows"],
        columns=said["columns"],
        corners=_pairs(said["corners"], width=width, height=height),
        row_gaps=_numbers("--row-gaps", said["row_gaps"]) if said["row_gaps"] else (),
        well_size=_size(said["well"]) if said["well"] else None,
        without=[name.strip() for name in said["without"].split(",")] if said["without"] else (),
    )
    wells = locating.lay_out(table)
    return Found(wells=wells, confidence=np.ones(len(wells), np.float32), doubtful=(), notes=())


def _stream(url: str, password_file: Path | None) -> Source:
    """A camera named on the command line, where its password must not stand: everyone on the machine can read that."""
    account, at, _ = url.partition("://")[2].rpartition("@")
    if ":" in account:
        raise SourceError(
            f"{masked_url(url)} has a password in it, which everyone on this machine can read in the list of"
            " processes; write rtsp://USER@HOST/PATH and name a --password-file"
        )
    account_of = {"username": unquote(account), "password_file": password_file} if at and password_file else {}
    try:
        settings = CameraSettings.model_validate(
            {"id": "locate", "kind": "rtsp", "wells": "-", "url": url, **account_of}
        )
    except ValidationError as exc:
        raise SourceError(f"{masked_url(url)}: {exc.errors(include_url=False)[0]['msg']}") from None
    return build.source(settings)


def _picture(name: str, password_file: Path | None) -> U8:
    """(H, W, 3) uint8 BGR of an image file, or of some seconds of a video or stream."""
    if name.startswith(STREAMS):
        source = _stream(name, password_file)
    elif Path(name).suffix.lower() in IMAGES:
        try:
            bgr = read(Path(name), what="picture", error=SourceError)
        except OSError:
            bgr = None
        if bgr is None:
            raise SourceError(f"{name} cannot be read as an image; check the path, or convert it to PNG")
        return bgr
    elif re.match(r"[a-z]+://", name):
        raise SourceError(f"{masked_url(name)} is no stream that can be read; name one with rtsp:// or rtsps://")
    else:
        source = FileSource(Path(name))
    with source:
        return finding.median_frame(frame.planes for frame in source)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as exc:
        raise WellsError(f"{option} {text!r} must be numbers with commas between them") from exc


def _pairs(text: str, *, width: int, height: int) -> F64:
    corners = [_numbers("--corners", pair) for pair in text.split()]
    if len(corners) != 4 or any(len(pair) != 2 for pair in corners):
        raise WellsError(f'--corners {text!r} must be four points, such as "540,157 1340,157 1368,505 524,505"')
    points = np.array(corners, np.float64)
    if ((points < 0) | (points > (width, height))).any():
        raise WellsError(f"--corners {text!r} must lie inside the {width}x{height} picture")
    return points


def _size(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", text)
    if not match:
        raise WellsError(f'--well {text!r} must be width and height in pixels, such as "46x30"')
    return float(match[1]), float(match[2])


def extract(
    video: Path, wells_file: Path, out: Path, *, every_s: float, on_frame: Callable[[int, int | None], None]
) -> int:
    """Every well's box as a PNG, from a frame every so many seconds; the number of files written.

    Crops keep the frame's own pixels: `train` resizes them as its preset wants.
    """
    wells = wellmap.load(wells_file)
    count, done, due_s = 0, 0, 0.0
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileSource(video) as source, closing(read_ahead(source)) as frames:
            wellmap.check_fits(wells, width=source.width, height=source.height)
            for frame in frames:
                done += 1
                on_frame(done, source.frames)
                if frame.time_s + 1e-6 >= due_s:
                    due_s += max(every_s, 1e-6) * (1 + (frame.time_s - due_s) // max(every_s, 1e-6))
                    count += _write_crops(out, f"{video.stem}_{done:06d}", to_bgr(frame.planes), wells)
    except OSError as exc:
        raise WellsError(f"crops cannot be written to {out}: {exc.strerror}; choose another place") from exc
    return count


def _write_crops(out: Path, stem: str, bgr: U8, wells: Wells) -> int:
    lows = np.rint(wells.centres - wells.sizes / 2).astype(int)
    highs = np.rint(wells.centres + wells.sizes / 2).astype(int)
    for name, (left, top), (right, bottom), served in zip(wells.ids, lows, highs, wells.in_service, strict=True):
        if served:
            locating.write_picture(out / f"{stem}_{name}.png", bgr[top:bottom, left:right])
    return int(wells.in_service.sum())
