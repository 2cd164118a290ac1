"""`images/two_folders`: pairs in two folders, matched by the stems of their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data import decode_image, find_data, image_size
from ganzoo.errors import DataError
from ganzoo.interfaces import Field
from ganzoo_images.folders import (
    choose_split,
    deal,
    dealt_note,
    list_images,
    shown,
    sort_naturally,
    split_names,
)
from ganzoo_images.side_by_side import CHANNEL_COUNT

if TYPE_CHECKING:
    import numpy as np

    from ganzoo.data import Proposal
    from ganzoo.interfaces import Split
    from ganzoo_images.options import SidesOptions, TwoFoldersOptions

LAYOUTS = ("{split}/{side}", "{side}/{split}", "{split}{side}")
"""Where a side's folder of a split may be below the root; tried in this order, then `{side}`."""


@dataclass(frozen=True)
class _Pair:
    name: str
    source: Path
    target: Path


class TwoFolders:
    """Pairs of files with the same stem (`A/7.jpg` and `B/7.png`), in natural order.

    Fields: `source` and `target`, each in the size of its file; both files of a pair must have
    the same size. Headers of all files of the split are read once, when the source is opened.

    Raises:
        DataMissing: when the folder isn't there.
        DataError: when no layout fits, or naming the files that have no partner, share their stem
            with another, can't be read, or have another size than their partner.
    """

    def __init__(self, options: TwoFoldersOptions, split: Split) -> None:
        self.options = options
        self.root = find_data("", options.root)
        folders, in_splits, notes = find_sides(self.root, options, split)
        pairs, match_notes = _matched(*folders, options)
        if not in_splits:
            parts = deal([pair.name for pair in pairs], options.split_seed, self.root)
            notes = (*notes, dealt_note(self.root, parts, options.split_seed))
            chosen = set(parts[split])
            pairs = [pair for pair in pairs if pair.name in chosen]
        self.pairs, size_notes = _of_one_size(pairs, options)
        self.notes = (*notes, *match_notes, *size_notes)
        if not self.pairs:
            raise DataError(f"there are no pairs for the {split} split", where=str(self.root))
        self._fields: dict[str, Field] = {}

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """What `ganzoo init` writes for a folder with two folders of pairs; see `Proposal`."""
        from ganzoo_images.propose import propose_two_folders

        return propose_two_folders(folder)

    @property
    def fields(self) -> Mapping[str, Field]:
        """`source` and `target`, in the size of the first pair."""
        if not self._fields:
            size = image_size(self.pairs[0].source)
            channels = (self.options.source_channels, self.options.target_channels)
            source, target = (Field((CHANNEL_COUNT[one], *size), "image") for one in channels)
            self._fields = {"source": source, "target": target}
        return self._fields

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:  # noqa: ARG002
        """The pair as two H x W x C arrays; nothing is drawn from `rng`.

        Raises:
            DataError: naming the file, when it can't be decoded.
        """
        pair = self.pairs[index]
        return {
            "source": decode_image(pair.source, self.options.source_channels),
            "target": decode_image(pair.target, self.options.target_channels),
        }

    def sizes(self, index: int) -> Mapping[str, tuple[int, int]]:
        """Height and width of both images, from their headers."""
        pair = self.pairs[index]
        return {"source": image_size(pair.source), "target": image_size(pair.target)}

    def name(self, index: int) -> str:
        """Stem that both files share."""
        return self.pairs[index].name


def find_sides(
    root: Path, options: SidesOptions, split: Split
) -> tuple[tuple[Path, Path], bool, tuple[str, ...]]:
    """Folders of both sides, whether they belong to a split, and what to say about it.

    Where they belong to none, the files are to be dealt out.

    Raises:
        DataError: when no layout fits.
    """
    names = split_names(options)

    def folders(layout: str, part: str) -> tuple[Path, Path]:
        source, target = (
            root / layout.format(split=names.get(part, ""), side=side)
            for side in (options.source, options.target)
        )
        return source, target

    for layout in LAYOUTS:
        present = [part for part in names if all(one.is_dir() for one in folders(layout, part))]
        if present == ["train"]:  # dealt out, as by `find_split`: nothing else is to be had
            return folders(layout, "train"), False, ()
        if present:
            label = layout.format(split=names[split], side=options.source)
            place = choose_split(present, split, root, label)
            return folders(layout, place.split), True, place.notes
    flat = folders("{side}", "")
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
        f"{' and '.join(tried[4:6])}; {' and '.join(tried[6:])}.\n"
        "data.source and data.target name the folders.",
    )


def _matched(
    source: Path, target: Path, options: TwoFoldersOptions
) -> tuple[list[_Pair], tuple[str, ...]]:
    """Pairs by stem; files without a partner are an error or left out."""
    sources, targets = _by_stem(source), _by_stem(target)
    common = sort_naturally([stem for stem in sources if stem in targets])
    lonely = [
        f"{path.parent.name}/{path.name}"
        for files, others in ((sources, targets), (targets, sources))
        for stem, path in files.items()
        if stem not in others
    ]
    pairs = [_Pair(stem, sources[stem], targets[stem]) for stem in common]
    if not lonely:
        return pairs, ()
    message = (
        f"{len(lonely)} of the files in {source} and {target} have no partner of the same name"
    )
    if options.unmatched == "error" or not pairs:
        raise DataError(
            message,
            where=str(source.parent),
            hint=f'{shown(lonely)}\nRename them, or leave them out with data.unmatched = "skip".',
        )
    return pairs, (f"{message} and are left out:\n{shown(lonely)}",)


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    doubled: list[str] = []
    for path in list_images(folder):
        if path.stem in found:
            doubled.append(f"{found[path.stem].name} and {path.name}")
        found[path.stem] = path
    if doubled:
        raise DataError(
            "these files share a name but for their ending, so that their partner is unclear",
            where=str(folder),
            hint=shown(doubled),
        )
    return found


def _of_one_size(
    pairs: Sequence[_Pair], options: TwoFoldersOptions
) -> tuple[list[_Pair], tuple[str, ...]]:
    """Pairs whose files have the same size; the others are an error or left out."""
    good: list[_Pair] = []
    bad: list[str] = []
    for pair in pairs:
        try:
            sizes = [image_size(path) for path in (pair.source, pair.target)]
        except DataError as error:
            bad.append(f"{error.where}: {error.message}")
            continue
        if sizes[0] == sizes[1]:
            good.append(pair)
        else:
            (height, width), (other_height, other_width) = sizes
            bad.append(
                f"{pair.source.parent.name}/{pair.source.name} is {width} x {height}, "
                f"{pair.target.parent.name}/{pair.target.name} {other_width} x {other_height}"
            )
    if not bad:
        return good, ()
    message = f"{len(bad)} pairs can't be read or aren't of one size"
    if options.unmatched == "error":
        raise DataError(
            message,
            where=options.root,
            hint=f'{shown(bad)}\nMend them, or leave them out with data.unmatched = "skip".',
        )
    return good, (f"{message} and are left out:\n{shown(bad)}",)
