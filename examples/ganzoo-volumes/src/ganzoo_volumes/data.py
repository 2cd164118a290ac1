"""The data: volumes in folders, and drawn phantoms."""
# ruff: noqa: ARG002 - the contract says what `load` is called with

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ganzoo.data import find_data
from ganzoo.errors import DataError, DataMissing
from ganzoo.interfaces import Field, Split
from ganzoo_volumes.options import FoldersOptions, PhantomsOptions
from ganzoo_volumes.phantoms import CT_RANGE, MR_RANGE, draw
from ganzoo_volumes.volume import Mask, Volume

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def volume_fields(
    size: tuple[int, ...],
    ranges: Mapping[str, tuple[float, float]],
    units: Mapping[str, str],
    mask: str,
) -> dict[str, Field]:
    """Return the fields of one-channel volumes: the target has the mask, if there is one."""
    fields = {
        name: Field(
            (1, *size),
            "volumes/volume",
            range=ranges[name],
            unit=units[name],
            mask=mask if name == "target" else "",
        )
        for name in ("source", "target")
    }
    if mask:
        fields[mask] = Field(size, "volumes/mask", classes=2)
    return fields


class Phantoms:
    """Drawn phantoms: an MR-like source, a CT-like target and the inside of the body.

    Args:
        options: size and counts.
        split: train, val or test; no two splits share a phantom.
    """

    def __init__(self, options: PhantomsOptions, split: Split) -> None:
        self.options = options
        self.split = split
        self.count = {"train": options.train, "val": options.val, "test": options.test}[split]

    @property
    def fields(self) -> Mapping[str, Field]:
        """Source in arbitrary units, target in HU and the mask, which is the inside of the body."""
        ranges = {"source": MR_RANGE, "target": CT_RANGE}
        units = {"source": "", "target": "HU"}
        return volume_fields((self.options.size,) * 3, ranges, units, "mask")

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """Return a sample; chance comes from seed, split and index alone.

        Raises:
            IndexError: there is no such sample.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"{self.split} has {self.count} samples, there is no index {index}")
        of = (self.options.seed, SPLITS.index(self.split), index)
        mr, ct, body = draw(self.options.size, self.options.noise, (*of, 0))
        if self.options.pairs == "others":
            mr = draw(self.options.size, self.options.noise, (*of, 1))[0]
        return {"source": mr[..., None], "target": ct[..., None], "mask": body}

    def name(self, index: int) -> str:
        """Return `000012` for sample 12."""
        return f"{index:06d}"


class Folders:
    """Volumes of two folders whose files have the same names, and their masks from a third one.

    Args:
        options: the folders, and what the values of the files mean.
        split: train, val or test.

    Raises:
        DataMissing: a folder isn't there, or is empty.
        DataError: a file has no partner.
    """

    def __init__(self, options: FoldersOptions, split: Split) -> None:
        self.options = options
        root = find_data("", options.root, "python -m ganzoo_volumes.phantoms FOLDER draws a set")
        folders = {"source": options.source, "target": options.target}
        if options.mask:
            folders["mask"] = options.mask
        self.folders = {name: root / split / folder for name, folder in folders.items()}
        names = {name: self.names_in(folder) for name, folder in self.folders.items()}
        self.names = sorted(names["source"])
        for name, found in names.items():
            alone = sorted(found ^ names["source"])
            if alone:
                raise DataError(
                    f"{len(alone)} files of {options.source} and {folders[name]} have no partner, "
                    f"such as {alone[0]}{options.files}",
                    where=str(root / split),
                    hint="files of one sample have the same name in all folders",
                )
        self.format, self.mask_format = Volume(), Mask()
        self.size = self.load(0)["source"].shape[:3]

    def names_in(self, folder: Path) -> set[str]:
        """Return the names of a folder's files, without the suffix.

        Raises:
            DataMissing: the folder has no such files.
        """
        suffix = self.options.files
        names = {one.name.removesuffix(suffix) for one in folder.glob(f"[!.]*{suffix}")}
        if not names:
            raise DataMissing(f"there are no {suffix} files", where=str(folder))
        return names

    @property
    def fields(self) -> Mapping[str, Field]:
        """Source and target with the ranges of the options, and the mask if there is one."""
        options = self.options
        ranges = {"source": options.source_range, "target": options.target_range}
        units = {"source": options.source_unit, "target": options.target_unit}
        return volume_fields(self.size, ranges, units, "mask" if options.mask else "")

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """Return a sample in the units of the files.

        Raises:
            IndexError: there is no such sample.
            DataError: a file can't be read, or has another size than its partner.
        """
        if not 0 <= index < len(self.names):
            raise IndexError(f"there are {len(self.names)} samples, there is no index {index}")
        sample = {}
        volume = Field((1, 1, 1, 1), "volumes/volume")
        for name, folder in self.folders.items():
            path = folder / f"{self.names[index]}{self.options.files}"
            its_format = self.mask_format if name == "mask" else self.format
            sample[name] = its_format.read(path, volume)
            if sample[name].shape[:3] != sample["source"].shape[:3]:
                sizes = [" x ".join(map(str, sample[one].shape[:3])) for one in (name, "source")]
                raise DataError(f"is {sizes[0]}, but its source is {sizes[1]}", where=str(path))
        return sample

    def name(self, index: int) -> str:
        """Return the name of the files, without the suffix."""
        return self.names[index]
