"""Classes: one index for each sample."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from ganzoo.errors import DataError
from ganzoo.formats.batches import Arrays
from ganzoo.formats.indices import index_dtype, index_tensors, indices_array
from ganzoo.formats.values import check_axes, refuse_parts
from ganzoo.interfaces import Field, Format, Shape
from ganzoo.interfaces.formats import Shown


class ClassFormat(Format):
    """One class index for each sample: networks see int64. It has no files and no picture."""

    indices: ClassVar[bool] = True
    shown: ClassVar[Shown] = "never"
    examples: ClassVar[tuple[Field, ...]] = (Field((), "ganzoo/class", classes=10),)

    def check(self, field: Field) -> None:
        """See `Format.check`."""
        check_axes(field, "a class", 0, "()")
        refuse_parts(field, "a class", "range", "unit", "nodata", "dtype", "mask", "palette")

    def dtype(self, field: Field) -> str:
        """uint8 or uint16 if that holds the field's classes; int64 if it doesn't say how many."""
        return index_dtype(field)

    def tensor_shape(self, shape: Shape, field: Field) -> Shape:  # noqa: ARG002  # as declared
        """()."""
        if shape:
            axes = " x ".join(map(str, shape))
            raise DataError(f"a class must be a single number, but this array is {axes}")
        return shape

    def to_tensors(self, arrays: Arrays, field: Field) -> Tensor:
        """int64, N."""
        return index_tensors(
            arrays, lambda shape: self.tensor_shape(shape, field), "classes", field.classes
        )

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """A 0-d array."""
        return np.asarray(indices_array(tensor, field))
