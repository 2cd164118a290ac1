"""What the components that read folders share: stable order, splits, lists of names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data import IMAGE_SUFFIXES
from ganzoo.errors import DataError

if TYPE_CHECKING:
    from ganzoo.interfaces import Split
    from ganzoo_images.options import FolderOptions

_SHOWN = 20
_SPARE: Mapping[str, str] = {"val": "test", "test": "val"}


def sort_naturally(names: Iterable[str]) -> list[str]:
    """Names in the order a person would count them: `2.jpg` before `10.jpg`, on any machine."""

    def key(name: str) -> list[tuple[str, int]]:
        # Texts and numbers alternate, a text first and last.
        parts = re.split(r"([0-9]+)", name)
        return list(zip(parts[0::2], [*map(int, parts[1::2]), -1], strict=True))

    return sorted(names, key=lambda name: (key(name), name))


def list_images(folder: Path) -> list[Path]:
    """Image files right inside a folder, by ending, hidden ones left out, in natural order."""
    names = [
        entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
    ]
    return [folder / name for name in sort_naturally(names)]


def shown(names: Sequence[str], limit: int = _SHOWN) -> str:
    """Names one a line, all up to a sensible count, then how many more there are."""
    lines = [f"  {name}" for name in names[:limit]]
    if len(names) > limit:
        lines.append(f"  and {len(names) - limit} more")
    return "\n".join(lines)


def deal(names: Sequence[str], seed: int, root: Path) -> dict[str, list[str]]:
    """Deal names out 80/10/10 to train, val and test by a hash of seed and name.

    The same names and seed give the same split on every machine and for every order of the names.

    Raises:
        DataError: when there are fewer than three.
    """
    if len(names) < 3:
        raise DataError(
            f"{len(names)} image{'s' * (len(names) != 1)} can't be split into train, val and test",
            where=str(root),
            hint="Give at least three, or sort them into folders train, val and test.",
        )
    tenth = max(1, round(len(names) / 10))

    def rank(name: str) -> str:
        # Names that aren't UTF-8 are hashed as the bytes that they are.
        whole = f"{seed}/{name}".encode("utf-8", "surrogateescape")
        return hashlib.sha256(whole).hexdigest()

    dealt = sorted(names, key=rank)
    parts = {"test": dealt[:tenth], "val": dealt[tenth : 2 * tenth], "train": dealt[2 * tenth :]}
    return {split: sort_naturally(part) for split, part in parts.items()}


@dataclass(frozen=True)
class Place:
    """Where a split's files are.

    Args:
        split: name of the folder's split, or "" where the files aren't sorted into splits.
        notes: what the user should know.
    """

    split: str
    notes: tuple[str, ...] = ()


def choose_split(present: Sequence[str], split: Split, root: Path, label: str) -> Place:
    """Decide which of the split folders serves a split.

    Args:
        present: splits that have a folder; none: the folder is flat.
        split: the split wanted.
        root: the set's folder, for messages.
        label: what the folder of the split is called, for messages.

    Raises:
        DataError: when neither the split nor its stand-in has a folder.
    """
    if not present:
        return Place("")
    if split in present:
        return Place(split)
    spare = _SPARE.get(split, "")
    if spare in present:
        return Place(spare, (f"{root} has no {split} images: its {spare} images are used.",))
    raise DataError(
        f"there is no folder {label!r} for the {split} images",
        where=str(root),
        hint=f"Folders found: {', '.join(present)}. data.{split} names the folder of the split.",
    )


def split_names(options: FolderOptions) -> dict[str, str]:
    """Folder name of each split."""
    return {"train": options.train, "val": options.val, "test": options.test}


def find_split(options: FolderOptions, split: Split, root: Path) -> tuple[Path, Place]:
    """The folder where a split's files are, and which split that folder serves.

    Where the place has no split, the folder's files are to be dealt out.

    Raises:
        DataError: when neither the split nor its stand-in has a folder.
    """
    names = split_names(options)
    present = [part for part, name in names.items() if (root / name).is_dir()]
    if present == ["train"]:  # that one is dealt out: nothing else is to be had
        return root / names["train"], Place("")
    place = choose_split(present, split, root, names[split])
    return (root / names[place.split] if place.split else root), place


def dealt_note(
    root: Path, parts: Mapping[str, Sequence[str]], seed: int, what: str = "pairs"
) -> str:
    """The sentence that says that the splits were drawn here."""
    counts = "/".join(str(len(parts[split])) for split in ("train", "val", "test"))
    return (
        f"{root} has no split folders: its {what} were dealt {counts} to train/val/test by a hash "
        f"of their name and data.split_seed = {seed}."
    )
