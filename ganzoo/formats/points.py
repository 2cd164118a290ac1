"""Points: float vectors, of which many are drawn in one scatter plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ganzoo.data.array_files import ARRAY, read_array, write_array
from ganzoo.data.contact_sheet import scatter
from ganzoo.errors import DataError
from ganzoo.formats.batches import Arrays, places, shape_of
from ganzoo.formats.values import check_axes, check_range, fill, finite, refuse_parts, unfilled
from ganzoo.interfaces import Field, Format, Shape
from ganzoo.interfaces.formats import Shown


class PointsFormat(Format):
    """Points, or noise: float32 vectors of D numbers.

    Without a range, networks see the numbers of the files.
    """

    suffixes: ClassVar[tuple[str, ...]] = (ARRAY,)
    shown: ClassVar[Shown] = "together"
    examples: ClassVar[tuple[Field, ...]] = (
        Field((2,), "ganzoo/points"),
        Field((5,), "ganzoo/points", range=(0, 300), unit="mm"),
    )

    def check(self, field: Field) -> None:
        """See `Format.check`."""
        check_axes(field, "points", 1, "(D,)")
        check_range(field, self.dtype(field), ("float32",))
        refuse_parts(field, "points", "nodata", "mask", "palette", "classes")

    def dtype(self, field: Field) -> str:
        """float32."""
        return field.dtype or "float32"

    def tensor_shape(self, shape: Shape, field: Field) -> Shape:  # noqa: ARG002  # as declared
        """(D,)."""
        if len(shape) != 1:
            axes = " x ".join(map(str, shape)) or "a single number"
            raise DataError(f"points must be vectors, but this array is {axes}")
        return shape

    def to_tensors(self, arrays: Arrays, field: Field) -> Tensor:
        """float32, N x D."""
        made = torch.empty((len(arrays), *self.tensor_shape(shape_of(arrays), field)))
        for place, values in places(made, arrays):
            if field.range is None:
                np.copyto(place.numpy(), values, casting="unsafe")
            else:
                fill(place, values, field, "points")
        return made

    def to_array(self, tensor: Tensor, field: Field) -> np.ndarray:
        """D float32."""
        if field.range is None:
            points: np.ndarray = finite(tensor).to("cpu", torch.float32).numpy()
            return points
        return unfilled(tensor, field, self.dtype(field))

    def read(self, path: Path, field: Field) -> np.ndarray:
        """D numbers of a `.npy` file."""
        array = read_array(path)
        if array.shape != field.shape or array.dtype.kind != "f":
            shape = " x ".join(map(str, array.shape)) or "a single number"
            raise DataError(
                f"must be {field.shape[0]} floats, but it is {shape} of {array.dtype}",
                where=str(path),
            )
        return array

    def write(
        self,
        array: np.ndarray,
        path: Path,
        field: Field,  # noqa: ARG002
        note: Mapping[str, Any] | None = None,  # noqa: ARG002  # `.npy` has no place for it
    ) -> None:
        """Write a `.npy` file."""
        write_array(array, path)

    def plot(
        self,
        groups: Mapping[str, np.ndarray],
        field: Field,
        caption: str,
        behind: Sequence[str] = (),
    ) -> np.ndarray:
        """A scatter plot."""
        if field.unit:
            caption = f"{caption} · in {field.unit}"
        return np.asarray(scatter(groups, caption, behind))
