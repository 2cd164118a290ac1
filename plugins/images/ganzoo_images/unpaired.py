"""`images/unpaired`: two folders whose images have nothing to do with one another."""

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
    """Images of two kinds in two folders, each in natural order, of any lengths.

    Fields: `source` and `target`, neither of them aligned, each in the size of its file. There are
    as many samples as the longer folder has files, so that an epoch shows each of those once. What
    stands beside it is drawn from the other folder in training; in val and test it is
    always the same file, counted round the folder's end.

    Raises:
        DataMissing: when the folder isn't there.
        DataError: when no layout fits, a folder has no images, or too few to be dealt into splits.
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
                f"{self.root} has no val or test images: its images were dealt to train/val/test, "
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
        """What `ganzoo init` writes for two folders without pairs; see `Proposal`."""
        return propose_unpaired(folder)

    @classmethod
    def propose_anyway(cls, folder: Path) -> Proposal | None:
        """What it writes where `--use` names this component."""
        return propose_unpaired(folder, anyway=True)

    @property
    def fields(self) -> Mapping[str, Field]:
        """`source` and `target`, in the size of the first file of each folder."""
        if not self._fields:
            sides = (
                ("source", self.sources, self.options.source_channels),
                ("target", self.targets, self.options.target_channels),
            )
            self._fields = {
                name: Field(
                    (CHANNEL_COUNT[channels], *image_size(files[0])),
                    "image",
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
        """The files of each folder, where sample i shows file i of both."""
        return {} if self.drawn else self.names

    def undrawn(self) -> Unpaired:
        """The same with nothing drawn: as val and test are."""
        other = copy.copy(self)
        other.drawn = False
        return other

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Two images, H x W x C; in training the shorter folder's is drawn from `rng`.

        Raises:
            IndexError: when there's no such sample.
            DataError: naming the file, when it can't be decoded.
        """
        if not 0 <= index < len(self):
            message = f"there are {len(self)} samples, and no index {index}"
            raise IndexError(message)
        at, beside = index, index % min(len(self.sources), len(self.targets))
        if self.drawn:
            shorter = min(len(self.sources), len(self.targets))
            # Counted from `index`, which leaves it as random, so that one and the same `rng` for
            # every index, as `ganzoo data inspect` has it, sees each file of the shorter folder.
            beside = (index + int(rng.integers(shorter))) % shorter
        longer_is_source = len(self.sources) >= len(self.targets)
        source, target = (at, beside) if longer_is_source else (beside, at)
        return {
            "source": decode_image(self.sources[source], self.options.source_channels),
            "target": decode_image(self.targets[target], self.options.target_channels),
        }

    def sizes(self, index: int) -> Mapping[str, tuple[int, int]]:
        """Height and width of two images from their headers; all indices together show every file.

        In training, what stands beside the longer folder's file is another one than here.
        """
        sides = {"source": self.sources, "target": self.targets}
        return {name: image_size(files[index % len(files)]) for name, files in sides.items()}

    def name(self, index: int) -> str:
        """Stem of the longer folder's file (its whole name, where two share the stem)."""
        longer = "source" if len(self.sources) >= len(self.targets) else "target"
        return self.names[longer][index]


def _names(files: Iterable[str]) -> list[str]:
    """Paths without endings, `_` for `/`; 1.jpg beside 1.png are two images, and need two names."""
    stems = [without_ending(below) for below in files]
    counts = Counter(stems)
    return [
        (stem if counts[stem] == 1 else below.replace(".", "_")).replace("/", "_")
        for stem, below in zip(stems, files, strict=True)
    ]


def _dealt(
    folders: Sequence[Path], sides: Sequence[Mapping[str, Path]], seed: int, split: Split
) -> tuple[list[Mapping[str, Path]], list[str]]:
    """The files of a split on each side, and how many each split got: `8/1/1`."""
    chosen: list[Mapping[str, Path]] = []
    counts = []
    for folder, files in zip(folders, sides, strict=True):
        parts = deal(list(files), seed, folder)
        counts.append(dealt(parts))
        chosen.append({below: files[below] for below in parts[split]})
    return chosen, counts
