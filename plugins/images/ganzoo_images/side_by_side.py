"""`images/side_by_side`: each file holds a pair, one image in its left half, one in its right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.data import decode_image, find_data, image_size
from ganzoo.errors import DataError
from ganzoo.interfaces import Field, Split
from ganzoo_images.folders import deal, look_into, sample_names
from ganzoo_images.options import CHANNEL_COUNT
from ganzoo_images.propose import propose_side_by_side
from ganzoo_images.splits import dealt_note, find_split

if TYPE_CHECKING:
    import numpy as np

    from ganzoo.data import Proposal
    from ganzoo_images.options import SideBySideOptions


class SideBySide:
    """Data source of pairs, in one folder per split or in one folder that is dealt 80/10/10.

    The fields are `source` and `target`; each has H x W/2 x C of the file. Files are in natural
    order of their names (`2.jpg` before `10.jpg`).

    Raises:
        DataMissing: when the folder doesn't exist.
        DataError: when the folder holds no images, or no folder of the split.
    """

    def __init__(self, options: SideBySideOptions, split: Split) -> None:
        self.options = options
        self.root = find_data("", options.root)
        found, self.notes = _files_of(self.root, options, split)
        self.files, self.names = list(found.values()), sample_names(found)
        self._fields: dict[str, Field] = {}

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes for a folder of such files; see `Proposal`."""
        return propose_side_by_side(folder)

    @classmethod
    def propose_anyway(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes where `--use` names this component."""
        return propose_side_by_side(folder, anyway=True)

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `source` and `target`, in the size of the first pair."""
        if not self._fields:
            height, width = self._half(self.files[0])
            shape = (CHANNEL_COUNT[self.options.channels], height, width)
            self._fields = {
                "source": Field(shape, "ganzoo/image"),
                "target": Field(shape, "ganzoo/image"),
            }
        return self._fields

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return the pair as two H x W x C arrays. Nothing is drawn from `rng`.

        Raises:
            DataError: when the file can't be decoded, or has an odd width; the error names it.
        """
        path = self.files[index]
        both = decode_image(path, self.options.channels)
        half = _half_width(both.shape[1], path)
        left, right = both[:, :half], both[:, half:]
        if self.options.direction == "left_to_right":
            return {"source": left, "target": right}
        return {"source": right, "target": left}

    def sizes(self, index: int) -> Mapping[str, tuple[int, int]]:
        """Return the height and width of both halves, read from the file's header."""
        half = self._half(self.files[index])
        return {"source": half, "target": half}

    def name(self, index: int) -> str:
        """Return the file's path below the split's folder, without ending and with `_` for `/`."""
        return self.names[index]

    def _half(self, path: Path) -> tuple[int, int]:
        height, width = image_size(path)
        return height, _half_width(width, path)


def _half_width(width: int, path: Path) -> int:
    if width % 2:
        raise DataError(
            f"two images side by side need an even width, and this is {width} pixels wide",
            where=str(path),
            hint="Cut it to an even width, or keep the pairs in two folders (images/two_folders).",
        )
    return width // 2


def _files_of(
    root: Path, options: SideBySideOptions, split: Split
) -> tuple[Mapping[str, Path], tuple[str, ...]]:
    folder, place = find_split(options, split, root)
    found = look_into(folder)
    if not found.files:
        names = f"{options.train}, {options.val}, {options.test}"
        raise DataError(
            "this folder holds no images",
            where=str(folder),
            hint="\n".join((*found.notes, f"Expected images, or folders {names} in {root}.")),
        )
    if place.split:
        return found.files, (*place.notes, *found.notes)
    parts = deal(list(found.files), options.split_seed, folder)
    note = dealt_note(root, parts, options.split_seed, "pairs")
    return {name: found.files[name] for name in parts[split]}, (note, *found.notes)
