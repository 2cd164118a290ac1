"""Label maps: H x W class indices, as palette or gray PNG, or `.npy`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from ganzoo.data.array_files import ARRAY, read_array, write_array
from ganzoo.data.label_files import read_labels, save_labels
from ganzoo.errors import DataError
from ganzoo.formats.batches import Arrays
from ganzoo.formats.indices import index_dtype, index_tensors, indices_array
from ganzoo.formats.no_data import with_no_data
from ganzoo.formats.values import check_axes, refuse_parts
from ganzoo.interfaces import Field, Format, Shape


class LabelsFormat(Format):
    """Label maps: networks see int64, H x W; `ganzoo.nn.one_hot` makes channels of them."""

    suffixes: ClassVar[tuple[str, ...]] = (".png", ARRAY)
    indices: ClassVar[bool] = True
    pixels: ClassVar[bool] = True
    examples: ClassVar[tuple[Field, ...]] = (
        Field((5, 7), "ganzoo/labels"),
        Field((5, 7), "ganzoo/labels", classes=300),
        Field(
            (5, 7),
            "ganzoo/labels",
            classes=3,
            palette=((0, 0, 0), (255, 0, 0), (0, 0, 255)),
        ),
    )

    def check(self, field: Field) -> None:
        """See `Format.check`."""
        check_axes(field, "a label map", 2, "(H, W)")
        refuse_parts(field, "a label map", "range", "unit", "nodata", "dtype")
        if field.palette and field.classes and len(field.palette) != field.classes:
            message = f"palette has {len(field.palette)} colours for {field.classes} classes"
            raise ValueError(message)

    def dtype(self, field: Field) -> str:
        """uint8 or uint16 if that holds the field's classes; int64 if it doesn't say how many."""
        return index_dtype(field)

    def tensor_shape(self, shape: Shape, field: Field) -> Shape:  # noqa: ARG002  # as declared
        """(H, W)."""
        if len(shape) != 2:
            axes = " x ".join(map(str, shape)) or "a single number"
            raise DataError(f"labels must be H x W, but this array is {axes}")
        return shape

    def to_tensors(self, arrays: Arrays, field: Field) -> Tensor:
        """int64, N x H x W."""
        return index_tensors(
            arrays, lambda shape: self.tensor_shape(shape, field), "labels", field.classes
        )

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """H x W."""
        return indices_array(tensor, field)

    def read(self, path: Path, field: Field) -> np.ndarray:
        """H x W class indices of a PNG or `.npy` file; of colours, by the field's palette."""
        if path.suffix.lower() != ARRAY:
            return read_labels(path, field.palette, field.classes)
        array = read_array(path)
        if array.ndim != 2 or array.dtype.kind not in "iu" or not array.size:
            shape = " x ".join(map(str, array.shape)) or "a single number"
            raise DataError(
                f"must be H x W class indices, but it is {shape} of {array.dtype}", where=str(path)
            )
        return array

    def write(
        self, array: np.ndarray, path: Path, field: Field, note: Mapping[str, Any] | None = None
    ) -> None:
        """Write a PNG with the field's palette, or in grays, or a `.npy` file."""
        if path.suffix.lower() == ARRAY:
            write_array(array, path)
        else:
            save_labels(array, path, field.palette, note)

    def suffix(self, field: Field) -> str:
        """`.png`, or `.npy` for more classes than a PNG has numbers."""
        return ".png" if 0 < field.classes <= 256 else ARRAY

    def picture(
        self, array: np.ndarray, field: Field, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """The classes in the colours of the field, or as grays if it has none."""
        if field.palette:
            colours = np.array(field.palette, np.uint8)
            shown: np.ndarray = colours[array.clip(0, len(colours) - 1)]
        else:
            levels, most = array.astype(np.int64), max(1, int(array.max(initial=0)))
            levels = levels * (255 // most) if most <= 255 else levels * 255 // most
            shown = levels.clip(0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)
        return with_no_data(shown, mask)
