"""How a folder of images looks from outside, for `ganzoo init`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ganzoo.data import Proposal, image_size
from ganzoo.errors import DataError
from ganzoo_images.folders import list_images, sort_naturally
from ganzoo_images.options import TwoFoldersOptions
from ganzoo_images.two_folders import LAYOUTS

BASE_RECIPE = "pix2pix_facades.toml"
"""The recipe that proposals extend: the general one for pairs of images."""

UNPAIRED_RECIPE = "cyclegan_catdog.toml"
"""The one for images of two kinds, without pairs."""

SPLITS = ("train", "val", "test")

_LOOKED_AT = 50


def propose_side_by_side(folder: Path) -> Proposal | None:
    """`images/side_by_side`, where most of the first files are twice as wide as high."""
    places = [folder / split for split in SPLITS]
    place = next((one for one in places if one.is_dir() and list_images(one)), folder)
    files = list_images(place)
    wide = readable = 0
    for path in files[:_LOOKED_AT]:
        try:
            height, width = image_size(path)
        except DataError:
            continue
        readable += 1
        wide += width == 2 * height
    if 2 * wide <= readable:  # none at all included
        return None
    return Proposal(
        extends=BASE_RECIPE,
        options={"root": folder.as_posix(), "direction": "left_to_right"},
        because=f"{wide} of {readable} files looked at in {place} are twice as wide as high: "
        "two images side by side",
        turned={"direction": "right_to_left"},
    )


def propose_two_folders(folder: Path) -> Proposal | None:
    """`images/two_folders`, where there are A and B, or two folders that share names of files."""
    sides = _sides(folder, _share_names)
    if sides is None:
        return None
    source, target = sides
    return Proposal(
        extends=BASE_RECIPE,
        options={"root": folder.as_posix(), "source": source, "target": target},
        because=f"{folder} has two folders of images with the same names: {source} and {target}",
        turned={"source": target, "target": source},
    )


def propose_unpaired(folder: Path) -> Proposal | None:
    """`images/unpaired`, where there are A and B, or two folders, without a name in common."""
    sides = _sides(folder, _share_no_names)
    if sides is None:
        return None
    source, target = sides
    return Proposal(
        extends=UNPAIRED_RECIPE,
        # The recipe's own fallback, drawn pictures, is no stand-in for somebody's own.
        options={
            "root": folder.as_posix(),
            "source": source,
            "target": target,
            "fallback": "none",
        },
        because=f"{folder} has two folders of images, {source} and {target}, without a file name "
        "in common: two kinds, not pairs",
        turned={"source": target, "target": source},
    )


def _sides(root: Path, fits: Callable[[Path, Path], bool]) -> tuple[str, str] | None:
    """Names of the two sides in whichever layout has some that `fits`."""
    defaults = TwoFoldersOptions(root=root.as_posix())
    split = defaults.train
    for layout in (*LAYOUTS, "{side}"):
        names = _names(root, layout, split)
        standard = (defaults.source, defaults.target)
        sides = standard if set(standard) <= set(names) else tuple(names)
        if len(sides) == 2 and fits(
            *(root / layout.format(split=split, side=side) for side in sides)
        ):
            return sides[0], sides[1]
    return None


def _names(root: Path, layout: str, split: str) -> list[str]:
    """What could be put for `side` in a layout."""
    if layout == "{split}/{side}":
        folders = [one.name for one in _folders(root / split)]
    elif layout == "{side}/{split}":
        folders = [one.name for one in _folders(root) if (one / split).is_dir()]
    elif layout == "{split}{side}":
        folders = [one.name.removeprefix(split) for one in _folders(root) if one.name != split]
        folders = [name for name in folders if (root / f"{split}{name}").is_dir()]
    else:
        # Folders of splits may well hold files of the same names, and are no pairs.
        others = [one for one in _folders(root) if one.name not in SPLITS]
        folders = [one.name for one in others if list_images(one)]
    return sort_naturally(folders)


def _folders(root: Path) -> list[Path]:
    return [one for one in root.iterdir() if one.is_dir()] if root.is_dir() else []


def _share_names(source: Path, target: Path) -> bool:
    return bool(_stems(source) & _stems(target))


def _share_no_names(source: Path, target: Path) -> bool:
    stems = (_stems(source), _stems(target))
    return all(stems) and not stems[0] & stems[1]


def _stems(folder: Path) -> set[str]:
    return {path.stem for path in list_images(folder)}
