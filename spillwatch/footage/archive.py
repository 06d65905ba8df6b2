"""An archive: folders of videos, with what lies beside them about their wells and their truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from spillwatch import truth
from spillwatch.errors import ConfigError
from spillwatch.footage.sweep import VIDEOS
from spillwatch.wells import wellmap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spillwatch.records import Wells
    from spillwatch.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A video of an archive. ``camera`` names where its wells come from; ``fault`` is why it cannot be watched."""

    name: str
    video: Path
    truth: Truth | None = None
    wells: Wells | None = None
    camera: str = ""
    fault: str | None = None


def find(archives: Sequence[Path], wells: Path | None) -> list[Clip]:
    """Every video under these folders, by name. Raises ConfigError or WellsError when a file beside one is wrong.

    Wells are those of the wells file if one is given; else of the truth beside the video; else of the nearest
    ``wells.toml`` beside it or above it, up to the archive.
    """
    given = (wells.stem, _load(wells)) if wells else None
    clips: dict[str, Clip] = {}
    for name, video, root in _videos(archives):
        if name in clips and clips[name].video != video:
            raise ConfigError(
                f"two videos would be called {name}, {clips[name].video} and {video}; name the folder above both"
            )
        clips[name] = _clip(name, video, root, given)
    if not clips:
        raise ConfigError(f"no video in {', '.join(map(str, archives))}; known endings are {', '.join(sorted(VIDEOS))}")
    return [clips[name] for name in sorted(clips)]


def _videos(archives: Sequence[Path]) -> Iterator[tuple[str, Path, Path]]:
    for archive in archives:
        root = archive.resolve()
        if root.is_dir():
            for path in sorted(root.rglob("*")):
                if path.suffix.lower() in VIDEOS:
                    yield path.relative_to(root.parent).as_posix(), path, root
        else:
            yield root.name, root, root.parent


def _clip(name: str, video: Path, root: Path, given: tuple[str, Wells] | None) -> Clip:
    clip = Clip(name=name, video=video)
    if not video.is_file():
        return replace(clip, fault=f"{video} does not exist; check the path")
    if found := truth.beside(video):
        clip = replace(clip, truth=truth.load(found))
    if given:
        return replace(clip, camera=given[0], wells=given[1])
    if found and clip.truth and clip.truth.wells:
        return replace(clip, camera=name.rpartition(".")[0], wells=truth.wells_of_truth(found))
    folders = [folder for folder in video.parents if folder.is_relative_to(root)]
    for folder in folders:
        if (folder / "wells.toml").is_file():
            return replace(clip, camera=folder.relative_to(root.parent).as_posix(), wells=_load(folder / "wells.toml"))
    return replace(clip, fault=f"{video}: its wells are not known; put a wells.toml beside it, or give --wells")


@cache
def _load(path: Path) -> Wells:
    wells = wellmap.load(path)
    return replace(wells, reference=wells.reference.resolve()) if wells.reference else wells
