"""`images/two_folders`: pairs in two folders, matched by the stems of their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data import decode_image, find_data, image_size
from ganzoo.errors import DataError
from ganzoo.interfaces import Field
from ganzoo_images.folders import Found, deal, look_into, sample_names, shown
from ganzoo_images.matching import guess_suffixes, match
from ganzoo_images.options import CHANNEL_COUNT, ResizeOptions
from ganzoo_images.propose import propose_two_folders
from ganzoo_images.resize import Resize
from ganzoo_images.splits import dealt_note, find_sides

if TYPE_CHECKING:
    import numpy as np

    from ganzoo.data import Proposal
    from ganzoo.interfaces import Split
    from ganzoo_images.options import TwoFoldersOptions

Size = tuple[int, int]

_OF_SIZES = (
    'data.sizes = "crop" cuts both images of a pair to what they have in common, around their '
    'middle; data.sizes = "resize" gives the source the size of its target.'
)


@dataclass(frozen=True)
class _Pair:
    name: str
    source: Path
    target: Path


class TwoFolders:
    """Data source of pairs of files with the same stem (`A/7.jpg`, `B/7.png`), in natural order.

    The fields are `source` and `target`, each in the size of its file. Both files of a pair must
    have the same size, unless the option `sizes` gives them one. The headers of all files of the
    split are read once, when the data source is created.

    Raises:
        DataMissing: when the folder doesn't exist.
        DataError: when no layout fits, or when files have no partner, share their stem with another
            file of the folder, can't be read, or differ in size from their partner. The error names
            these files.
    """

    def __init__(self, options: TwoFoldersOptions, split: Split) -> None:
        self.options = options
        self.root = find_data("", options.root)
        folders, in_splits, notes = find_sides(self.root, options, split)
        pairs, match_notes = _matched(folders, options)
        if not in_splits:
            parts = deal([pair.name for pair in pairs], options.split_seed, self.root)
            notes = (*notes, dealt_note(self.root, parts, options.split_seed, "pairs"))
            chosen = set(parts[split])
            pairs = [pair for pair in pairs if pair.name in chosen]
        self.pairs, size_notes = _of_one_size(pairs, options)
        self.notes = (*notes, *match_notes, *size_notes)
        if not self.pairs:
            hint = "\n".join(size_notes)
            raise DataError(
                f"there are no pairs for the {split} split", where=str(self.root), hint=hint
            )
        self.names = sample_names(f"{pair.name}{pair.source.suffix}" for pair in self.pairs)
        self._fields: dict[str, Field] = {}

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes for two folders of pairs; see `Proposal`."""
        return propose_two_folders(folder)

    @classmethod
    def propose_anyway(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes where `--use` names this component."""
        return propose_two_folders(folder, anyway=True)

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `source` and `target`, in the size of the first pair."""
        if not self._fields:
            sizes = self.sizes(0)
            channels = {
                "source": self.options.source_channels,
                "target": self.options.target_channels,
            }
            self._fields = {
                name: Field((CHANNEL_COUNT[channels[name]], *sizes[name]), "ganzoo/image")
                for name in channels
            }
        return self._fields

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the pair as two H x W x C arrays. Nothing is drawn from `rng`.

        Raises:
            DataError: when a file can't be decoded; the error names it.
        """
        pair = self.pairs[index]
        sample = {
            "source": decode_image(pair.source, self.options.source_channels),
            "target": decode_image(pair.target, self.options.target_channels),
        }
        source, target = (sample[name].shape[:2] for name in ("source", "target"))
        if source == target or self.options.sizes == "equal":
            return sample
        size = self._common(source, target)
        if self.options.sizes == "crop":
            return {name: _middle(image, size) for name, image in sample.items()}
        return Resize(ResizeOptions(size=size))(sample, rng)

    def _common(self, source: tuple[int, ...], target: tuple[int, ...]) -> Size:
        """Return the size to which both images of a pair are resized or cut."""
        if self.options.sizes == "crop":
            return min(source[0], target[0]), min(source[1], target[1])
        return target[0], target[1]

    def sizes(self, index: int) -> Mapping[str, Size]:
        """Return the height and width that `load` gives both images, from the files' headers."""
        pair = self.pairs[index]
        source, target = image_size(pair.source), image_size(pair.target)
        if self.options.sizes != "equal":
            source = target = self._common(source, target)
        return {"source": source, "target": target}

    def name(self, index: int) -> str:
        """Return the stem that both files share."""
        return self.names[index]


def _middle(image: np.ndarray, size: Size) -> np.ndarray:
    top, left = ((have - want) // 2 for have, want in zip(image.shape[:2], size, strict=True))
    return image[top : top + size[0], left : left + size[1]]


def _matched(
    folders: tuple[Path, Path], options: TwoFoldersOptions
) -> tuple[list[_Pair], tuple[str, ...]]:
    """Return pairs by stem; files without a partner raise an error or are left out."""
    source, target = folders
    found = look_into(source), look_into(target)
    notes = (*found[0].notes, *found[1].notes)
    suffixes = options.source_suffix, options.target_suffix
    matched = match(folders, (found[0].files, found[1].files), suffixes)
    pairs = [_Pair(name, *files) for name, files in matched.pairs.items()]
    lonely = matched.lonely
    for folder, one in zip(folders, found, strict=True):
        if not one.files:
            hint = "\n".join(one.notes)
            raise DataError("this folder holds no images", where=str(folder), hint=hint)
    if not lonely:
        return pairs, notes
    of = f"of the files in {source} and {target}"
    ends = " and ".join(f"{end!r} at the end" for end in suffixes if end)
    kind = f"of the same name (with {ends})" if ends else "of the same name"
    message = f"{len(lonely)} {of} have no partner {kind}"
    if options.unmatched == "error" or not pairs:
        hint = "\n".join(filter(None, (shown(lonely), _cure(found, suffixes, some=bool(pairs)))))
        raise DataError(message, where=str(source.parent), hint=hint)
    return pairs, (*notes, f"{message} and are left out:\n{shown(lonely)}")


def _cure(found: tuple[Found, Found], suffixes: tuple[str, str], *, some: bool) -> str:
    """Return advice on files without a partner: only what would help here."""
    guess = guess_suffixes(found[0].files, found[1].files)
    if guess is not None and guess != suffixes:
        keys = ("data.source_suffix", "data.target_suffix")
        sets = [f'{key} = "{end}"' for key, end in zip(keys, guess, strict=True) if end]
        return f"Most of them match with {' and '.join(sets)}."
    if some:
        return 'Rename them, or leave them out with data.unmatched = "skip".'
    return (
        "No file of the one folder has the name of a file in the other. Rename them, or, if "
        "they aren't pairs, read them with images/unpaired."
    )


def _of_one_size(
    pairs: Sequence[_Pair], options: TwoFoldersOptions
) -> tuple[list[_Pair], tuple[str, ...]]:
    """Return the readable pairs of one size; the others raise an error or are left out."""
    good: list[_Pair] = []
    bad: list[str] = []
    unequal = 0
    for pair in pairs:
        try:
            sizes = [image_size(path) for path in (pair.source, pair.target)]
        except DataError as error:
            bad.append(f"{error.where}: {error.message}")
            continue
        if sizes[0] == sizes[1] or options.sizes != "equal":
            good.append(pair)
        else:
            unequal += 1
            (height, width), (other_height, other_width) = sizes
            bad.append(
                f"{pair.source.parent.name}/{pair.source.name} is {width} x {height}, "
                f"{pair.target.parent.name}/{pair.target.name} {other_width} x {other_height}"
            )
    if not bad:
        return good, ()
    message = f"{len(bad)} pairs of {len(pairs)} can't be read or aren't of one size"
    ways = []
    if unequal:
        ways.append(_OF_SIZES)
    if options.unmatched == "error":
        if good:
            ways.append('Repair them, or leave them out with data.unmatched = "skip".')
        hint = "\n".join([shown(bad), *ways])
        raise DataError(message, where=options.root, hint=hint)
    said = [f"{message} and are left out:\n{shown(bad)}", *(ways if not good else [])]
    return good, tuple(said)
