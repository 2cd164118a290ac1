"""Recognise which component fits a folder of images, for `ganzoo init`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ganzoo.data import Proposal, image_size
from ganzoo.errors import DataError
from ganzoo_images.folders import list_images, look_below, look_into, sort_naturally
from ganzoo_images.matching import guess_suffixes, key_of
from ganzoo_images.options import TwoFoldersOptions
from ganzoo_images.sizing import (
    FOLDER_RECIPE,
    FOLDER_SIZING,
    PAIRED_RECIPE,
    PAIRED_SIZING,
    UNPAIRED_RECIPE,
    UNPAIRED_SIZING,
)
from ganzoo_images.splits import LAYOUTS, split_names

_DEFAULTS = TwoFoldersOptions(root=".")
_TRAIN = split_names(_DEFAULTS)["train"]
_SPLITS = frozenset(name for names in split_names(_DEFAULTS).values() for name in names)

_LOOKED_AT = 50
_NAMED = 3
"""The largest number of files that are named because they differ from most files."""


def propose_side_by_side(folder: Path, *, anyway: bool = False) -> Proposal | None:
    """Propose `images/side_by_side` where most of the first files are twice as wide as high.

    Args:
        folder: the user's folder.
        anyway: propose it for images of any shape.
    """
    places = [one for one in _folders(folder) if one.name in _SPLITS and list_images(one)]
    place = next((one for one in places if one.name in _TRAIN), (*places, folder)[0])
    files = list_images(place)
    wide = readable = 0
    others: list[str] = []
    for path in files[:_LOOKED_AT]:
        try:
            height, width = image_size(path)
        except DataError:
            continue
        readable += 1
        wide += width == 2 * height
        if width != 2 * height:
            others.append(path.name)
    if not files or (2 * wide <= readable and not anyway):
        return None
    because = f"{wide} of {readable} files looked at in {place} are twice as wide as high"
    if others:
        because += f" ({', '.join(others[:_NAMED])}{' and others' * (len(others) > _NAMED)} not)"
    return Proposal(
        extends=PAIRED_RECIPE,
        options={"root": folder.as_posix(), "direction": "left_to_right"},
        because=f"each file in {place} is taken for two images side by side, cut in the middle"
        if anyway
        else f"{because}: two images side by side",
        turned={"direction": "right_to_left"},
        sizing=PAIRED_SIZING,
    )


def propose_two_folders(folder: Path, *, anyway: bool = False) -> Proposal | None:
    """Propose `images/two_folders` where A and B, or two folders, share file names.

    Args:
        folder: the user's folder.
        anyway: propose it whatever the files' names are.
    """
    sides = _sides(folder, _are_pairs) or (_sides(folder, _any) if anyway else None)
    if sides is None:
        return None
    source, target = sides.names
    options = {"root": folder.as_posix(), "source": source, "target": target}
    turned = {"source": target, "target": source}
    because = f"{folder} has two folders of images with the same names: {source} and {target}"
    ends = None if _share_names(sides) else guess_suffixes(*map(_below, sides.folders))
    if ends is not None:
        keys = ("source_suffix", "target_suffix")
        options |= {key: end for key, end in zip(keys, ends, strict=True) if end}
        turned |= dict(zip(keys, reversed(ends), strict=True))
        ended = " and ".join(
            f"{end!r} at the end of those in {name}"
            for name, end in zip(sides.names, ends, strict=True)
            if end
        )
        because += f", except for {ended}"
    elif not _share_names(sides):
        because = f"{source} and {target} in {folder} are taken for two folders of pairs"
    return Proposal(
        extends=PAIRED_RECIPE,
        options=options,
        because=because,
        turned=turned,
        sizing=PAIRED_SIZING,
    )


def propose_unpaired(folder: Path, *, anyway: bool = False) -> Proposal | None:
    """Propose `images/unpaired` where A and B, or two folders, have no file name in common.

    Args:
        folder: the user's folder.
        anyway: propose it whatever the files' names are.
    """
    sides = _sides(folder, lambda sides: not _are_pairs(sides))
    known = sides is not None
    if sides is None and anyway:
        sides = _sides(folder, _any)
    if sides is None:
        return None
    source, target = sides.names
    return Proposal(
        extends=UNPAIRED_RECIPE,
        # The recipe's fallback data, drawn pictures, can't replace the user's own images.
        options={
            "root": folder.as_posix(),
            "source": source,
            "target": target,
            "fallback": "none",
        },
        because=f"{folder} has two folders of images, {source} and {target}, without a file name "
        "in common: two kinds, not pairs"
        if known
        else f"{source} and {target} in {folder} are taken for two kinds of images, not pairs",
        turned={"source": target, "target": source},
        sizing=UNPAIRED_SIZING,
    )


def propose_folder(folder: Path, *, anyway: bool = False) -> Proposal | None:
    """Propose `images/folder` where the folder holds only single images of one kind.

    Images that could be pairs aren't taken for single images. These are images in two folders, and
    images that are at least twice as wide as high, since two images side by side need not be
    square. Images in folders beside other folders of images aren't taken either.

    Args:
        folder: the user's folder.
        anyway: propose it for any images, also in folders below this one.
    """
    splits = [one for one in _folders(folder) if one.name in _SPLITS]
    others = [one for one in _folders(folder) if one.name not in _SPLITS and look_below(one).files]
    places = splits if any(map(list_images, splits)) else [folder]
    files = [path for place in places for path in list_images(place)]
    if anyway:
        if not look_below(folder).files:
            return None
        because = f"all images in {folder} are taken for one kind, without pairs"
    else:
        below = [inner for place in splits for inner in _folders(place) if look_below(inner).files]
        if not files or others or below or _are_wide(files[:_LOOKED_AT]):
            return None
        because = f"{folder} holds {len(files)} single images: one kind, without pairs"
    return Proposal(
        extends=FOLDER_RECIPE,
        options={"root": folder.as_posix()},
        because=because,
        sizing=FOLDER_SIZING,
    )


def _are_wide(files: Iterable[Path]) -> bool:
    """Return whether at least half of the images may be pairs side by side, or none can be read."""
    wide = []
    for path in files:
        try:
            height, width = image_size(path)
        except DataError:
            continue
        wide.append(width >= 2 * height)
    return 2 * sum(wide) >= len(wide)


@dataclass(frozen=True)
class _Sides:
    names: tuple[str, str]
    folders: tuple[Path, Path]


def _sides(root: Path, fits: Callable[[_Sides], bool]) -> _Sides | None:
    """Return the sides of the first layout with images on both sides for which `fits` is true."""
    standard = (_DEFAULTS.source, _DEFAULTS.target)
    for layout in (*LAYOUTS, "{side}"):
        for split in _TRAIN if "split" in layout else ("",):
            names = _names(root, layout, split)
            if set(standard) <= set(names):
                names = list(standard)
            elif layout == "{side}" and list_images(root):
                continue  # the user's images directly in `root` would be ignored
            if len(names) != 2:
                continue
            first, second = (root / layout.format(split=split, side=side) for side in names)
            sides = _Sides((names[0], names[1]), (first, second))
            if _any(sides) and fits(sides):
                return sides
    return None


def _names(root: Path, layout: str, split: str) -> list[str]:
    """Return the names that may replace `{side}` in a layout."""
    if layout == "{split}/{side}":
        folders = [one.name for one in _folders(root / split)]
    elif layout == "{side}/{split}":
        folders = [one.name for one in _folders(root) if (one / split).is_dir()]
    elif layout == "{split}{side}":
        folders = [one.name.removeprefix(split) for one in _folders(root) if one.name != split]
        folders = [name for name in folders if (root / f"{split}{name}").is_dir()]
    else:
        # The folders of two splits may hold files of the same names, and these aren't pairs.
        others = [one for one in _folders(root) if one.name not in _SPLITS]
        folders = [one.name for one in others if look_below(one).files]
    return sort_naturally(folders)


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [one for one in root.iterdir() if one.is_dir() and not one.name.startswith(".")]


def _below(folder: Path) -> Iterable[str]:
    return look_into(folder).files


def _any(sides: _Sides) -> bool:
    return all(_below(folder) for folder in sides.folders)


def _share_names(sides: _Sides) -> bool:
    source, target = ({key_of(below) for below in _below(folder)} for folder in sides.folders)
    return bool(source & target)


def _are_pairs(sides: _Sides) -> bool:
    return _share_names(sides) or guess_suffixes(*map(_below, sides.folders)) is not None
