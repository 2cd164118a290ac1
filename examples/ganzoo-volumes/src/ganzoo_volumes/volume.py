"""The formats: volumes in physical units, and masks of them."""
# ruff: noqa: ARG002 - the contract says what the methods of a format are called with

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ganzoo.data import read_array, write_array
from ganzoo.errors import DataError, DivergedError, EnvironmentFault
from ganzoo.interfaces import Field, Format, Shape

DTYPES = ("uint8", "uint16", "int16", "float32")


class Volume(Format):
    """D x H x W x C in the field's unit in arrays, C x D x H x W in [-1, 1] for networks.

    A file of one channel has the shape D x H x W.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".nii", ".nii.gz")
    examples: ClassVar[tuple[Field, ...]] = (
        Field((1, 4, 6, 5), "volumes/volume", range=(-1000, 2000), unit="HU"),
        Field((1, 4, 6, 5), "volumes/volume", range=(-1000, 2000), unit="HU", dtype="int16"),
        Field((2, 4, 5, 6), "volumes/volume", range=(0, 255), dtype="uint8"),
        Field((1, 4, 4, 4), "volumes/volume", range=(0, 1), nodata=-1, mask="mask"),
    )

    def check(self, field: Field) -> None:
        """Raise a ValueError for a shape, a type or a range that a volume can't have."""
        if len(field.shape) != 4 or min(field.shape) < 1:
            raise ValueError(f"shape of a volume must be (C, D, H, W), not {field.shape}")
        if self.dtype(field) not in DTYPES:
            raise ValueError(f"dtype of a volume must be {', '.join(DTYPES)}, not {field.dtype}")
        if field.range is None:
            raise ValueError("range of a volume must be stated, such as (-1000, 2000)")
        low, high = field.range
        least, most = limits(self.dtype(field))
        if not least <= low < high <= most:
            raise ValueError(
                f"range must rise within {least:g} to {most:g}, not {low:g} to {high:g}"
            )
        if field.nodata is not None and not holds(self.dtype(field), field.nodata):
            raise ValueError(f"nodata must be a value of {self.dtype(field)}, not {field.nodata:g}")

    def dtype(self, field: Field) -> str:
        """Return float32, unless the field states another type."""
        return field.dtype or "float32"

    def tensor_shape(self, shape: Shape, field: Field) -> Shape:
        """D x H x W x C becomes C x D x H x W.

        Raises:
            DataError: the array has other axes.
        """
        if len(shape) != 4:
            axes = " x ".join(map(str, shape)) or "a single number"
            raise DataError(f"a volume must be D x H x W x C, but this array is {axes}")
        return shape[3], *shape[:3]

    def to_tensors(self, arrays: np.ndarray | Sequence[np.ndarray], field: Field) -> Tensor:
        """Map the range to [-1, 1], and places without data to -1; other values aren't clipped.

        Raises:
            DataError: an array has other axes, no numbers, or values that aren't finite.
        """
        stacked = np.stack(list(arrays))
        self.tensor_shape(stacked.shape[1:], field)
        if stacked.dtype.kind not in "uif":
            raise DataError(f"a volume must contain numbers, not {stacked.dtype}")
        low, high = in_numbers(field)
        values = (stacked.astype(np.float64) - low) / ((high - low) / 2) - 1
        if field.nodata is not None:
            empty = np.isnan(stacked) if np.isnan(field.nodata) else stacked == field.nodata
            values[empty] = -1
        if not np.isfinite(values).all():
            raise DataError("a volume holds values that are not finite")
        return torch.from_numpy(values).movedim(-1, 1).float().contiguous()

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """Return D x H x W x C in the field's unit; whole numbers are rounded.

        Raises:
            DivergedError: a value is not finite.
        """
        if not bool(torch.isfinite(tensor).all()):
            raise DivergedError("a volume holds values that are not finite")
        low, high = in_numbers(field)
        values = tensor.detach().cpu().double().movedim(0, -1).numpy()
        values = (values + 1) * ((high - low) / 2) + low
        dtype = np.dtype(self.dtype(field))
        if dtype.kind in "ui":
            values = values.round().clip(*limits(dtype.name))
        return values.astype(dtype)

    def read(self, path: Path, field: Field) -> np.ndarray:
        """Read a `.npy` or NIfTI file.

        Raises:
            DataError: the file can't be read, or isn't D x H x W or D x H x W x C.
            EnvironmentFault: it is a NIfTI file, and nibabel isn't installed.
        """
        array = read_volume(path)
        if array.ndim == 3:
            array = array[..., None]
        if array.ndim != 4 or array.shape[-1] != field.shape[0]:
            channels = "" if field.shape[0] == 1 else f" x {field.shape[0]}"
            found = " x ".join(map(str, array.shape))
            raise DataError(f"must be D x H x W{channels}, but is {found}", where=str(path))
        return array

    def write(
        self,
        array: np.ndarray,
        path: Path,
        field: Field,
        note: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a `.npy` file; a single channel has no axis in it. It has no place for a note."""
        write_array(array[..., 0] if array.shape[-1] == 1 else array, path)

    def picture(
        self, array: np.ndarray, field: Field, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw the middle slices across depth, height and width of the first channel, in grey."""
        low, high = in_numbers(field)
        levels = ((array[..., 0].astype(np.float64) - low) / (high - low)).clip(0, 1)
        grey = (np.nan_to_num(levels) * 255).round().astype(np.uint8)
        return slices(grey, mask)


class Mask(Format):
    """D x H x W: 0 where there are no data, otherwise 1."""

    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".nii", ".nii.gz")
    indices: ClassVar[bool] = True
    examples: ClassVar[tuple[Field, ...]] = (Field((4, 5, 6), "volumes/mask", classes=2),)

    def check(self, field: Field) -> None:
        """Raise a ValueError unless the shape is (D, H, W) and there are two classes."""
        if len(field.shape) != 3 or min(field.shape) < 1:
            raise ValueError(f"shape of a mask must be (D, H, W), not {field.shape}")
        if field.classes != 2:
            raise ValueError(f"classes of a mask must be 2, not {field.classes}")

    def dtype(self, field: Field) -> str:
        """Return uint8."""
        return "uint8"

    def tensor_shape(self, shape: Shape, field: Field) -> Shape:
        """D x H x W stays.

        Raises:
            DataError: the array has other axes.
        """
        if len(shape) != 3:
            axes = " x ".join(map(str, shape)) or "a single number"
            raise DataError(f"a mask must be D x H x W, but this array is {axes}")
        return shape

    def to_tensors(self, arrays: np.ndarray | Sequence[np.ndarray], field: Field) -> Tensor:
        """Return int64.

        Raises:
            DataError: an array has other axes, or other values than 0 and 1.
        """
        stacked = np.stack(list(arrays))
        self.tensor_shape(stacked.shape[1:], field)
        if stacked.dtype.kind not in "uib" or not np.isin(stacked, (0, 1)).all():
            raise DataError("a mask must contain the whole numbers 0 and 1 only")
        return torch.from_numpy(stacked.astype(np.int64))

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """Return uint8."""
        return tensor.detach().cpu().numpy().astype(np.uint8)

    def read(self, path: Path, field: Field) -> np.ndarray:
        """Read a `.npy` or NIfTI file; everything but 0 becomes 1.

        Raises:
            DataError: the file can't be read.
            EnvironmentFault: it is a NIfTI file, and nibabel isn't installed.
        """
        mask: np.ndarray = (read_volume(path) != 0).astype(np.uint8)
        return mask

    def write(
        self,
        array: np.ndarray,
        path: Path,
        field: Field,
        note: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a `.npy` file."""
        write_array(array, path)

    def picture(
        self, array: np.ndarray, field: Field, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw the middle slices, white where there are data."""
        return slices(array.astype(np.uint8) * 255, mask)


def in_numbers(field: Field) -> tuple[float, float]:
    """Return the range of a field that `Volume.check` has accepted."""
    assert field.range is not None, "the range of a volume is stated"
    return field.range


def holds(dtype: str, value: float) -> bool:
    """Return whether a type has this value; float32 has NaN too."""
    if np.dtype(dtype).kind == "f":
        return bool(np.isnan(value) or np.isfinite(np.float32(value)))
    least, most = limits(dtype)
    return least <= value <= most and value == round(value)


def limits(dtype: str) -> tuple[float, float]:
    """Return the least and the greatest finite value of a type."""
    of = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    return float(of.min), float(of.max)


def read_volume(path: Path) -> np.ndarray:
    """Read the array of a file; that of a NIfTI file is turned from X x Y x Z to D x H x W.

    Raises:
        DataError: naming the file, when it can't be read.
        EnvironmentFault: it is a NIfTI file, and nibabel isn't installed.
    """
    if path.suffix.lower() == ".npy":
        return read_array(path)
    try:
        import nibabel
    except ImportError as error:
        raise EnvironmentFault(
            "NIfTI files are read by nibabel, which isn't installed",
            where=str(path),
            hint="pip install 'ganzoo-volumes[nifti]'",
        ) from error
    try:
        array = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)
    except Exception as error:
        raise DataError(f"can't be read as a NIfTI file: {error}", where=str(path)) from error
    return np.ascontiguousarray(np.moveaxis(array, (0, 1, 2), (2, 1, 0)))


def slices(grey: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the three middle slices of D x H x W beside each other, as H x W x 3.

    Places where the mask is 0 are gray checks. A small volume is enlarged by a whole factor.
    """
    factor = max(1, 96 // max(grey.shape))
    pictures = []
    for axis in range(3):
        middle = grey.shape[axis] // 2
        picture = enlarge(grey.take(middle, axis), factor)
        if mask is not None:
            down, across = np.indices(picture.shape) // 4
            checks = np.where((down + across) % 2, 150, 105).astype(np.uint8)
            picture = np.where(enlarge(mask.take(middle, axis), factor) == 0, checks, picture)
        pictures.append(picture)
    height = max(len(picture) for picture in pictures)
    padded = [
        np.pad(picture, ((0, height - len(picture)), (0, 2)), constant_values=255)
        for picture in pictures
    ]
    return np.repeat(np.concatenate(padded, 1)[..., None], 3, axis=2)


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel along both axes."""
    return picture.repeat(factor, 0).repeat(factor, 1)
