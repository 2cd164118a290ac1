"""`images/unpaired`: images of two kinds in two folders, without pairs."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data import decode_image, find_data, image_size
from ganzoo.errors import DataError
from ganzoo.interfaces import Field
from ganzoo_images.folders import deal, look_into, without_ending
from ganzoo_images.options import CHANNEL_COUNT
from ganzoo_images.propose import propose_unpaired
from ganzoo_images.splits import dealt, find_sides

if TYPE_CHECKING:
    import numpy as np

    from ganzoo.data import Proposal
    from ganzoo.interfaces import Split
    from ganzoo_images.options import UnpairedOptions


class Unpaired:
    """Data source of images of two kinds in two folders, each in natural order and of any length.

    The fields are `source` and `target`. Neither of them is aligned with the other, and each has
    the size of its file. There are as many samples as the longer folder has files, so that an epoch
    shows each of these once. In training, the partner is drawn from the shorter folder. In val and
    test it is always the same file: the shorter folder is repeated as often as needed.

    Raises:
        DataMissing: when the folder doesn't exist.
        DataError: when no layout fits, or a folder has no images or too few to deal to the splits.
    """

    def __init__(self, options: UnpairedOptions, split: Split) -> None:
        self.options = options
        self.root = find_data("", options.root)
        folders, in_splits, notes = find_sides(self.root, options, split)
        found = [look_into(folder) for folder in folders]
        notes = (*notes, *found[0].notes, *found[1].notes)
        for folder, one in zip(folders, found, strict=True):
            if not one.files:
                raise DataError(
                    f"there are no images for the {split} split",
                    where=str(folder),
                    hint="\n".join(one.notes),
                )
        sides = [one.files for one in found]
        if not in_splits:
            sides, counts = _dealt(folders, sides, options.split_seed, split)
            said = (
                f"{self.root} has no val or test images: its images were distributed over "
                "train/val/test, "
                f"{counts[0]} of {options.source} and {counts[1]} of {options.target}, by a hash "
                f"of their name and data.split_seed = {options.split_seed}."
            )
            notes = (*notes, said)
        self.sources, self.targets = (list(files.values()) for files in sides)
        names = ("source", "target")
        self.names = {name: _names(files) for name, files in zip(names, sides, strict=True)}
        self.notes = notes
        self.drawn = split == "train"
        self._fields: dict[str, Field] = {}

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes for two folders without pairs; see `Proposal`."""
        return propose_unpaired(folder)

    @classmethod
    def propose_anyway(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes where `--use` names this component."""
        return propose_unpaired(folder, anyway=True)

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `source` and `target`, in the size of the first file of each folder."""
        if not self._fields:
            sides = (
                ("source", self.sources, self.options.source_channels),
                ("target", self.targets, self.options.target_channels),
            )
            self._fields = {
                name: Field(
                    (CHANNEL_COUNT[channels], *image_size(files[0])),
                    "ganzoo/image",
                    aligned=False,
                    called=getattr(self.options, name),
                )
                for name, files, channels in sides
            }
        return self._fields

    def __len__(self) -> int:
        return max(len(self.sources), len(self.targets))

    @property
    def own_names(self) -> dict[str, list[str]]:
        """Return the names of each folder's files; empty in training, where partners are drawn.

        Otherwise sample i shows file i of each folder, counted modulo the folder's length.
        """
        return {} if self.drawn else self.names

    def undrawn(self) -> Unpaired:
        """Return a copy of this source that draws nothing, as in val and test."""
        other = copy.copy(self)
        other.drawn = False
        return other

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return two images, H x W x C. In training the shorter folder's image is drawn from `rng`.

        Raises:
            IndexError: when there is no such sample.
            DataError: when a file can't be decoded; the error names it.
        """
        if not 0 <= index < len(self):
            message = f"there are {len(self)} samples, and no index {index}"
            raise IndexError(message)
        at, beside = index, index % min(len(self.sources), len(self.targets))
        if self.drawn:
            shorter = min(len(self.sources), len(self.targets))
            # The drawn number is added to `index`, which keeps the draw uniform. `ganzoo data
            # inspect` uses the same `rng` for every index, and still sees each file of the shorter
            # folder.
            beside = (index + int(rng.integers(shorter))) % shorter
        longer_is_source = len(self.sources) >= len(self.targets)
        source, target = (at, beside) if longer_is_source else (beside, at)
        return {
            "source": decode_image(self.sources[source], self.options.source_channels),
            "target": decode_image(self.targets[target], self.options.target_channels),
        }

    def sizes(self, index: int) -> Mapping[str, tuple[int, int]]:
        """Return the height and width of two images, read from their headers.

        All indices together give the sizes of every file. In training, `load` may draw another file
        of the shorter folder than the one measured here.
        """
        sides = {"source": self.sources, "target": self.targets}
        return {name: image_size(files[index % len(files)]) for name, files in sides.items()}

    def name(self, index: int) -> str:
        """Return the longer folder's file name without its ending.

        Where two files differ only in the ending, the name has the ending too.
        """
        longer = "source" if len(self.sources) >= len(self.targets) else "target"
        return self.names[longer][index]


def _names(files: Iterable[str]) -> list[str]:
    """Return file names without endings, with `_` for `/`.

    `1.jpg` and `1.png` are two images, so both keep their ending in the name.
    """
    stems = [without_ending(below) for below in files]
    counts = Counter(stems)
    return [
        (stem if counts[stem] == 1 else below.replace(".", "_")).replace("/", "_")
        for stem, below in zip(stems, files, strict=True)
    ]


def _dealt(
    folders: Sequence[Path], sides: Sequence[Mapping[str, Path]], seed: int, split: Split
) -> tuple[list[Mapping[str, Path]], list[str]]:
    """Return the files of a split on each side, and how many each split got: `8/1/1`."""
    chosen: list[Mapping[str, Path]] = []
    counts = []
    for folder, files in zip(folders, sides, strict=True):
        parts = deal(list(files), seed, folder)
        counts.append(dealt(parts))
        chosen.append({below: files[below] for below in parts[split]})
    return chosen, counts
