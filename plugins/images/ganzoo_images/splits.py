"""Find the folder of each split, and of each side of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.errors import DataError
from ganzoo_images.folders import sort_naturally

if TYPE_CHECKING:
    from ganzoo.interfaces import Split
    from ganzoo_images.options import FolderOptions, SidesOptions

LAYOUTS = ("{split}/{side}", "{side}/{split}", "{split}{side}")
"""The paths below the root where a side's folder of a split may be. They are tried in this order,
and `{side}` is tried last."""

SYNONYMS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid"),
    "test": ("test", "testing"),
}
"""The names that the folder of a split may have if the options don't give one. `Train` and `TRAIN`
are accepted too."""

_SPARE: Mapping[str, str] = {"val": "test", "test": "val"}


@dataclass(frozen=True)
class Place:
    """Where a split's files are.

    Args:
        split: the split whose folder holds the files, or "" where the files are to be dealt to
            splits.
        notes: messages for the user.
    """

    split: str
    notes: tuple[str, ...] = ()


def split_names(options: FolderOptions) -> dict[str, tuple[str, ...]]:
    """Return the possible names of each split's folder; the first one that exists is used."""
    names = {"train": options.train, "val": options.val, "test": options.test}
    return {
        split: tuple(
            form for word in SYNONYMS[split] for form in (word, word.title(), word.upper())
        )
        if name == split
        else (name,)
        for split, name in names.items()
    }


def find_split(options: FolderOptions, split: Split, root: Path) -> tuple[Path, Place]:
    """Return the folder with a split's files, and the split that this folder belongs to.

    Where `Place.split` is empty, the folder's files are to be dealt to the splits.

    Raises:
        DataError: when neither the split nor its substitute has a folder.
    """
    present = {
        part: next(root / name for name in names if (root / name).is_dir())
        for part, names in split_names(options).items()
        if any((root / name).is_dir() for name in names)
    }
    if list(present) == ["train"]:  # its files are dealt: there is no other folder
        return present["train"], Place("")
    if not present:
        return root, Place("")
    place = _chosen(list(present), split, root, getattr(options, split))
    return present[place.split], place


def find_sides(
    root: Path, options: SidesOptions, split: Split
) -> tuple[tuple[Path, Path], bool, tuple[str, ...]]:
    """Return the folders of both sides, whether they belong to a split, and notes for the user.

    Where they belong to no split, the files are to be dealt to the splits.

    Raises:
        DataError: when no layout fits.
    """
    for layout in LAYOUTS:
        found, alone = _sides_by_split(root, options, layout)
        if not found:
            continue
        notes = tuple(
            f"{root} has {here} but no {lacking}: {here} isn't used." for here, lacking in alone
        )
        if list(found) == ["train"]:  # as in `find_split`
            return found["train"], False, notes
        label = layout.format(split=getattr(options, split), side=options.source)
        place = _chosen(list(found), split, root, label)
        return found[place.split], True, (*notes, *place.notes)
    flat = (root / options.source, root / options.target)
    if all(folder.is_dir() for folder in flat):
        return flat, False, ()
    tried = [
        layout.format(split=options.train, side=side)
        for layout in (*LAYOUTS, "{side}")
        for side in (options.source, options.target)
    ]
    raise DataError(
        "found no two folders of images",
        where=str(root),
        hint=f"Looked for {' and '.join(tried[:2])}; {' and '.join(tried[2:4])}; "
        f"{' and '.join(tried[4:6])}; {' and '.join(tried[6:])}.\n{_what_is_there(root)}\n"
        "data.source and data.target name the folders.",
    )


def _sides_by_split(
    root: Path, options: SidesOptions, layout: str
) -> tuple[dict[str, tuple[Path, Path]], list[tuple[str, str]]]:
    """Return the folders of both sides by split, and the folders whose other side is missing.

    Each item of the second list has the folder that exists and the one that is missing.
    """
    found: dict[str, tuple[Path, Path]] = {}
    alone = []
    for part, names in split_names(options).items():
        for name in names:
            source, target = (
                layout.format(split=name, side=side) for side in (options.source, options.target)
            )
            there = [(root / one).is_dir() for one in (source, target)]
            if all(there):
                found[part] = root / source, root / target
                break
            if any(there):
                alone.append((source, target) if there[0] else (target, source))
    return found, alone


def _what_is_there(root: Path) -> str:
    names = sort_naturally(one.name for one in root.iterdir() if one.is_dir())
    if not names:
        return "There are no folders in it."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"There are: {', '.join(names[:10])}{more}."


def _chosen(present: Sequence[str], split: Split, root: Path, label: str) -> Place:
    """Return which of the existing split folders is used for a split.

    Args:
        present: splits that have a folder, at least one.
        split: the split that is wanted.
        root: the set's folder, for messages.
        label: the expected name of the split's folder, for messages.

    Raises:
        DataError: when neither the split nor its substitute has a folder.
    """
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


def dealt_note(root: Path, parts: Mapping[str, Sequence[str]], seed: int, what: str) -> str:
    """Return a note for the user that ganzoo dealt the files to splits.

    Args:
        root: the set's folder.
        parts: names by split.
        seed: `split_seed`.
        what: what was dealt, such as `pairs`.
    """
    return (
        f"{root} has no val or test images: its {what} were distributed {dealt(parts)} over "
        "train/val/test "
        f"by a hash of their name and data.split_seed = {seed}."
    )


def dealt(parts: Mapping[str, Sequence[str]]) -> str:
    """Return how many names each split got: `8/1/1`."""
    return "/".join(str(len(parts[split])) for split in ("train", "val", "test"))
