"""`images/folder`: single images without a partner; each subfolder may be a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganzoo.data import decode_image, find_data, image_size
from ganzoo.errors import DataError
from ganzoo.interfaces import Field
from ganzoo_images.folders import deal, look_below, sample_names, shown, sort_naturally
from ganzoo_images.options import CHANNEL_COUNT
from ganzoo_images.propose import propose_folder
from ganzoo_images.splits import dealt_note, find_split, split_names

if TYPE_CHECKING:
    from ganzoo.data import Proposal
    from ganzoo.interfaces import Split
    from ganzoo_images.options import ImageFolderOptions


@dataclass(frozen=True)
class _Image:
    path: Path
    name: str
    label: int


class ImageFolder:
    """Data source of the images of a folder and its subfolders.

    There is one folder for each split, or the images are dealt 80/10/10 to the splits. The field
    `real` is an image, H x W x C in the size of its file. With `classes` there is a field `label`
    too. It is the number of the image's first subfolder among the names of all such subfolders, in
    natural order (`2` before `10`), and it is the same in every split. The name of a sample is its
    file's path below the split's folder, with `_` for each `/`. A number is added where several
    samples would have the same name.

    Raises:
        DataMissing: when the folder doesn't exist.
        DataError: when it holds no images, or no folder of the split. With `classes`, also when
            images lie beside the classes' folders.
    """

    def __init__(self, options: ImageFolderOptions, split: Split) -> None:
        self.options = options
        self.root = find_data("", options.root)
        folder, place = find_split(options, split, self.root)
        found = look_below(folder)
        files = found.files
        if not files:
            names = f"{options.train}, {options.val}, {options.test}"
            raise DataError(
                "neither this folder nor one below it holds images",
                where=str(folder),
                hint="\n".join(
                    (*found.notes, f"Expected images, or folders {names} in {self.root}.")
                ),
            )
        notes = [*place.notes, *found.notes]
        self.classes: tuple[str, ...] = ()
        if options.classes:
            self.classes = self._class_names(folder, files, dealt=not place.split)
            numbered = [f"{number} {name}" for number, name in enumerate(self.classes)]
            notes.append(f"The classes of {self.root} are:\n{shown(numbered)}")
        if not place.split:
            parts = deal(list(files), options.split_seed, folder)
            notes.append(dealt_note(self.root, parts, options.split_seed, "images"))
            files = {name: files[name] for name in parts[split]}
        self.images = self._named(files)
        missing = set(range(len(self.classes))) - {image.label for image in self.images}
        if missing and split == "train":
            without = shown([self.classes[label] for label in sorted(missing)])
            notes.append(f"There are no training images of these classes:\n{without}")
        self.notes = tuple(notes)
        self._fields: dict[str, Field] = {}

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes for a folder of single images; see `Proposal`."""
        return propose_folder(folder)

    @classmethod
    def propose_anyway(cls, folder: Path) -> Proposal | None:
        """Return what `ganzoo init` writes where `--use` names this component."""
        return propose_folder(folder, anyway=True)

    def _class_names(self, folder: Path, files: Iterable[str], *, dealt: bool) -> tuple[str, ...]:
        """Return the class names of all splits, so that a class has the same number in each."""
        folders = {folder: files}
        if not dealt:
            others = (
                self.root / name for names in split_names(self.options).values() for name in names
            )
            folders |= {
                one: look_below(one).files for one in others if one != folder and one.is_dir()
            }
        stray = [
            str(place / name)
            for place, names in folders.items()
            for name in names
            if "/" not in name
        ]
        if stray:
            raise DataError(
                f"with classes = true each image must be in the folder of its class, but "
                f"{len(stray)} aren't",
                where=str(folder),
                hint=f"{shown(sort_naturally(stray))}\nMove them, or set data.classes = false.",
            )
        found = {name.partition("/")[0] for names in folders.values() for name in names}
        return tuple(sort_naturally(found))

    def _named(self, files: Mapping[str, Path]) -> Sequence[_Image]:
        numbers = {name: number for number, name in enumerate(self.classes)}
        return [
            _Image(path, name, numbers.get(below.partition("/")[0], 0))
            for name, (below, path) in zip(sample_names(files), files.items(), strict=True)
        ]

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `real`, in the size of the first image, and `label` with `classes`."""
        if not self._fields:
            size = image_size(self.images[0].path)
            self._fields = {
                "real": Field((CHANNEL_COUNT[self.options.channels], *size), "ganzoo/image")
            }
            if self.classes:
                self._fields["label"] = Field((), "ganzoo/class", classes=len(self.classes))
        return self._fields

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return the image as H x W x C and its class as an integer. Nothing is drawn from `rng`.

        Raises:
            DataError: when the file can't be decoded; the error names it.
        """
        image = self.images[index]
        sample = {"real": decode_image(image.path, self.options.channels)}
        if self.classes:
            sample["label"] = np.array(image.label, np.int64)
        return sample

    def sizes(self, index: int) -> Mapping[str, tuple[int, int]]:
        """Return the height and width of the image, read from its header."""
        return {"real": image_size(self.images[index].path)}

    def name(self, index: int) -> str:
        """Return the file's path below its split's folder, without ending and with `_` for `/`."""
        return self.images[index].name
