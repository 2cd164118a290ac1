"""Images: H x W x C of 8 or 16 bits or float32, as PNG and other picture files, or `.npy`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ganzoo.data.array_files import ARRAY, read_array, write_array
from ganzoo.data.read_image import IMAGE_SUFFIXES, Channels, decode_image
from ganzoo.data.write_image import save_image
from ganzoo.errors import DataError
from ganzoo.formats.batches import Arrays, places, shape_of
from ganzoo.formats.no_data import with_no_data
from ganzoo.formats.values import (
    FLOAT_LIMIT,
    check_axes,
    check_range,
    fill,
    limits_of,
    refuse_parts,
    unfilled,
)
from ganzoo.interfaces import Field, Format, Shape

TYPES = ("uint8", "uint16", "int16", "float32")
"""What the values of an image may be in files."""

PICTURE_CHANNELS: dict[int, Channels] = {1: "gray", 3: "rgb", 4: "rgba"}
"""How pictures of so many channels are read."""

_WORTH_A_CALL = 32 * 32
"""The number of pixels of an image from which on a separate call for each image is faster."""


class ImageFormat(Format):
    """Images: networks see float32, C x H x W, in which the field's range meets -1 and 1.

    Without a range it is the whole range of each array's own type, so that uint8 is x / 127.5 - 1
    and uint16 x / 32767.5 - 1, and floats are in [-1, 1] already. With a range, an array holds the
    field's units, whatever its type is.
    """

    suffixes: ClassVar[tuple[str, ...]] = (*sorted(IMAGE_SUFFIXES), ARRAY)
    pixels: ClassVar[bool] = True
    examples: ClassVar[tuple[Field, ...]] = (
        *(Field((channels, 5, 7), "ganzoo/image") for channels in (1, 3, 4, 5)),
        Field((3, 33, 34), "ganzoo/image", dtype="uint8", range=(0, 200), unit="%"),
        Field((1, 5, 7), "ganzoo/image", dtype="uint16"),
        Field((1, 5, 7), "ganzoo/image", dtype="int16", range=(-1000, 2000), unit="HU"),
        Field((1, 5, 7), "ganzoo/image", dtype="uint8", range=(0.5, 200.5)),
        Field((2, 5, 7), "ganzoo/image", dtype="float32"),
        Field((2, 5, 7), "ganzoo/image", dtype="float32", range=(0.1, 0.7)),
        Field((2, 5, 7), "ganzoo/image", dtype="float32", range=(-1000, 2000), unit="HU"),
    )

    def check(self, field: Field) -> None:
        """See `Format.check`."""
        check_axes(field, "an image", 3, "(C, H, W)")
        check_range(field, self.dtype(field), TYPES)
        refuse_parts(field, "an image", "classes")

    def dtype(self, field: Field) -> str:
        """The field's own, or uint8."""
        return field.dtype or "uint8"

    def tensor_shape(self, shape: Shape, field: Field) -> Shape:  # noqa: ARG002  # as declared
        """(C, H, W) of (H, W, C)."""
        if len(shape) != 3:
            axes = " x ".join(map(str, shape)) or "a single number"
            raise DataError(f"an image must be H x W x C, but this array is {axes}")
        return shape[2], *shape[:2]

    def to_tensors(self, arrays: Arrays, field: Field) -> Tensor:
        """See the class; N x C x H x W."""
        made = torch.empty((len(arrays), *self.tensor_shape(shape_of(arrays), field)))
        for place, values in places(made, arrays):
            _fill(place, values, field)
        return made

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """H x W x C in the field's units."""
        values = unfilled(tensor, field, self.dtype(field))
        return np.ascontiguousarray(np.moveaxis(values, 0, 2))

    def suffix(self, field: Field) -> str:
        """`.png` for 8-bit images with as many channels as pictures have, or `.npy`."""
        picture = field.shape[0] in PICTURE_CHANNELS and self.dtype(field) == "uint8"
        return ".png" if picture else ARRAY

    def read(self, path: Path, field: Field) -> np.ndarray:
        """Read a file with the number of channels that the field has: H x W x C.

        Raises:
            DataError: naming the file, when it can't be read, hasn't so many channels, or has
                another type than a field with a range of its own.
        """
        channels = field.shape[0]
        if path.suffix.lower() == ARRAY:
            array = _read_array(path, channels, field)
        elif channels not in PICTURE_CHANNELS:
            raise DataError(
                f"the network takes {channels} channels; pictures have 1, 3 or 4, so give it "
                f"{ARRAY} files of H x W x {channels}",
                where=str(path),
            )
        else:
            array = decode_image(path, PICTURE_CHANNELS[channels])
        floats = self.dtype(field) == "float32" and array.dtype.kind == "f"
        if field.range is not None and array.dtype != self.dtype(field) and not floats:
            low, high = field.range
            raise DataError(
                f"holds {array.dtype}, but the network was trained on {self.dtype(field)} from "
                f"{low:g} to {high:g} {field.unit}".rstrip(),
                where=str(path),
            )
        return array

    def write(
        self, array: np.ndarray, path: Path, field: Field, note: Mapping[str, Any] | None = None
    ) -> None:
        """Write a PNG with the note, or a `.npy` file, which has no place for it."""
        if self.suffix(field) == ARRAY:
            write_array(array, path)
        else:
            save_image(array, path, note=note)

    def picture(
        self, array: np.ndarray, field: Field, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """RGB of 8 bits; the ends of the range are black and white.

        Of an image with two channels or more than four, only the first is shown, as gray; of one
        with four, the transparency isn't shown.
        """
        shown = array[:, :, :3] if array.shape[2] in (3, 4) else array[:, :, :1]
        if field.range is not None or shown.dtype != np.uint8:
            low, high = limits_of(field, shown.dtype)
            levels = (shown.astype(np.float64) - low) * (255 / (high - low))
            shown = levels.round().clip(0, 255).astype(np.uint8)
        picture = np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)))
        return with_no_data(picture, mask)


def _fill(made: Tensor, arrays: np.ndarray, field: Field) -> None:
    """Convert into a tensor that is there; both have an axis of samples first."""
    if arrays.dtype == np.uint8 and field.range is None:
        made.copy_(torch.from_numpy(_planes(arrays))).div_(127.5).sub_(1)
    else:
        fill(made, np.moveaxis(arrays, 3, 1), field, "an image")


def _planes(images: np.ndarray) -> np.ndarray:
    """N x H x W x C of uint8 as a new N x C x H x W.

    Colour is taken apart by OpenCV, four times as fast as by numpy.
    """
    count, height, width, channels = images.shape
    if channels not in (2, 3, 4) or height * width < _WORTH_A_CALL:
        return np.array(np.moveaxis(images, 3, 1), order="C")
    import cv2

    planes = np.empty((count, channels, height, width), np.uint8)
    for image, parts in zip(np.ascontiguousarray(images), planes, strict=True):
        cv2.split(image, list(parts))
    return planes


def _read_array(path: Path, channels: int, field: Field) -> np.ndarray:
    array = read_array(path)
    if array.ndim != 3 or array.shape[2] != channels or not array.size:
        shape = " x ".join(map(str, array.shape)) or "a single number"
        raise DataError(f"must be H x W x {channels}, but it is {shape}", where=str(path))
    if array.dtype.kind == "f" and field.range is None and (np.abs(array) > 1 + FLOAT_LIMIT).any():
        low, high = array.min(), array.max()
        raise DataError(
            f"floats must lie between -1 and 1, but these go from {low:g} to {high:g}",
            where=str(path),
        )
    return array
