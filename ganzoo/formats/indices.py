"""Class indices as arrays of whole numbers, and as int64 for networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganzoo.errors import DataError
from ganzoo.formats.batches import Arrays, places, shape_of
from ganzoo.interfaces import Field, Shape


def index_dtype(field: Field) -> str:
    """The smallest unsigned type that holds the field's classes; int64 if it has no number."""
    if not field.classes:
        return "int64"
    return "uint8" if field.classes <= 256 else "uint16" if field.classes <= 65536 else "int64"


def index_tensors(
    arrays: Arrays, tensor_shape: Callable[[Shape], Shape], what: str, classes: int
) -> Tensor:
    """int64 of whole numbers of any type, with an axis of samples first.

    Args:
        arrays: the class numbers.
        tensor_shape: see `Format.tensor_shape`.
        what: what they are, for the message of an error.
        classes: how many classes there are; 0 if that isn't known.

    Raises:
        DataError: they aren't whole numbers, one is below 0 or has no class, or `tensor_shape`
            refuses their shape.
    """
    made = torch.empty((len(arrays), *tensor_shape(shape_of(arrays))), dtype=torch.int64)
    for place, values in places(made, arrays):
        if values.dtype.kind not in "iu":
            raise DataError(f"{what} must be integers, but these are {values.dtype}")
        np.copyto(place.numpy(), values, casting="unsafe")
    least, most = map(int, torch.aminmax(made)) if made.numel() else (0, 0)
    if least < 0:
        raise DataError(f"{what} must be at least 0, but one is {least}")
    if classes and most >= classes:
        raise DataError(
            f"{what} must be 0 to {classes - 1}, since there are {classes} classes, but one is "
            f"{most}"
        )
    return made


def indices_array(tensor: Tensor, field: Field) -> np.ndarray:
    """Class indices of any type of tensor, as `index_dtype` says, clipped to what that holds."""
    kind = np.dtype(index_dtype(field))
    limits = np.iinfo(kind)
    return tensor.detach().to("cpu", torch.int64).numpy().clip(0, limits.max).astype(kind)
