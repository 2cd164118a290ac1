"""Find image files in folders, sort and name them, and deal them to splits.

All components of this plugin that read folders use these functions.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganzoo.data import IMAGE_SUFFIXES
from ganzoo.errors import DataError

_SHOWN = 20


def sort_naturally(names: Iterable[str]) -> list[str]:
    """Return the names in natural order: `2.jpg` before `10.jpg`, on any machine."""

    def key(name: str) -> list[tuple[str, int]]:
        # Text and digits alternate, and the first and last parts are always text. So keys can be
        # compared part by part.
        parts = re.split(r"([0-9]+)", name)
        return list(zip(parts[0::2], [*map(int, parts[1::2]), -1], strict=True))

    return sorted(names, key=lambda name: (key(name), name))


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, in natural order.

    An image file is recognised by its ending. Hidden files are left out.
    """
    names = [entry.name for entry in folder.iterdir() if _is_image(entry)]
    return [folder / name for name in sort_naturally(names)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True)
class Found:
    """The images of a folder.

    Args:
        files: image files by their path below the folder, with `/`, in natural order.
        notes: messages for the user about files that were left out.
    """

    files: Mapping[str, Path]
    notes: tuple[str, ...] = ()


def look_into(folder: Path) -> Found:
    """Return the images directly in a folder, or those of all folders below it if it has none."""
    here = list_images(folder)
    notes = left_out([folder])
    if not here:
        return look_below(folder)
    deeper = {
        f"{place.name}: {count}"
        for place in _folders_in(folder)
        if (count := sum(map(_is_image, place.iterdir())))
    }
    if deeper:
        listed = shown(sort_naturally(deeper))
        notes += (
            f"{folder} holds images itself; the images of its subfolders aren't used:\n{listed}",
        )
    return Found({path.name: path for path in here}, notes)


def look_below(folder: Path) -> Found:
    """Return the images in a folder and in all folders below it, except hidden ones.

    A folder that is reached twice through a link is read once.
    """
    found: dict[str, Path] = {}
    waiting, seen = [folder], dict[Path, Path]()
    while waiting:
        place = waiting.pop()
        if place.resolve() in seen:
            continue
        seen[place.resolve()] = place
        found |= {path.relative_to(folder).as_posix(): path for path in list_images(place)}
        waiting += sorted(_folders_in(place), reverse=True)
    files = {name: found[name] for name in sort_naturally(found)}
    return Found(files, left_out(list(seen.values())))


def _folders_in(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]


def left_out(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return a note on the files in these folders that aren't images, counted by ending."""
    endings = Counter(
        path.suffix.lower() or path.name
        for folder in folders
        for path in folder.iterdir()
        if not path.name.startswith(".") and not _is_image(path) and path.is_file()
    )
    if not endings:
        return ()
    counts = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(8))
    more = f" and {len(endings) - 8} more endings" if len(endings) > 8 else ""
    return (f"{folders[0]} has files that aren't read as images: {counts}{more}.",)


def sample_names(files: Iterable[str]) -> list[str]:
    """Return unique names for paths below a folder, without ending and with `_` for `/`."""
    taken: set[str] = set()
    names = []
    for below in files:
        plain = without_ending(below).replace("/", "_")
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        names.append(name)
    return names


def without_ending(below: str) -> str:
    """Return a path with `/` without the ending of its file."""
    folder, slash, name = below.rpartition("/")
    return folder + slash + Path(name).stem


def shown(names: Sequence[str], limit: int = _SHOWN) -> str:
    """Return the names one a line; after `limit` names, the number of the others follows."""
    lines = [f"  {name}" for name in names[:limit]]
    if len(names) > limit:
        lines.append(f"  and {len(names) - limit} more")
    return "\n".join(lines)


def deal(names: Sequence[str], seed: int, root: Path) -> dict[str, list[str]]:
    """Deal names 80/10/10 to train, val and test by a hash of seed and name.

    The same names and seed give the same split on every machine and in every order of the names.

    Raises:
        DataError: when there are fewer than three names.
    """
    if len(names) < 3:
        raise DataError(
            f"{len(names)} image{'s' * (len(names) != 1)} can't be split into train, val and test",
            where=str(root),
            hint="Give at least three, or sort them into folders train, val and test.",
        )
    tenth = max(1, round(len(names) / 10))

    def rank(name: str) -> str:
        # File names that aren't valid UTF-8 are hashed as raw bytes.
        whole = f"{seed}/{name}".encode("utf-8", "surrogateescape")
        return hashlib.sha256(whole).hexdigest()

    dealt = sorted(names, key=rank)
    parts = {"test": dealt[:tenth], "val": dealt[tenth : 2 * tenth], "train": dealt[2 * tenth :]}
    return {split: sort_naturally(part) for split, part in parts.items()}
