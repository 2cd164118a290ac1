"""Between arrays as files hold them and tensors as networks see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ganzoo.data.formats import format_of
from ganzoo.errors import DataError, DivergedError
from ganzoo.interfaces import Field, Format


def to_tensor(array: np.ndarray, field: Field, its_format: Format | None = None) -> Tensor:
    """Convert one part of a sample, as its field's format does (`Format.to_tensors`).

    Args:
        array: as a data component loads it: an image H x W x C, labels H x W, points (D,), a class
            as a single number.
        field: what it is; its shape isn't looked at, since augmentation may have changed it.
        its_format: the field's format, if the caller has it already.

    Returns:
        image: float32, C x H x W; both ends of the field's range, or of the file's type, meet -1
        and 1. labels, class: int64. points: float32.

    Raises:
        DataError: when the array isn't what the field says, or holds floats that aren't finite.
    """
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("it holds values that are not finite (NaN or infinity)")
    return (its_format or format_of(field)).to_tensors(array[None], field)[0]


def to_batch(
    arrays: np.ndarray | Sequence[np.ndarray],
    field: Field,
    its_format: Format,
    indices: Sequence[int],
    name: Callable[[int], str],
) -> Tensor:
    """Convert one part of several samples, as `Format.to_tensors` does.

    Args:
        arrays: as `Format.to_tensors` takes them.
        field: what they are.
        its_format: the field's format.
        indices: of the samples, in the order of the arrays.
        name: from an index to the sample's name.

    Raises:
        DataError: as `to_tensor`; it names the first sample that is refused.
    """
    try:
        return its_format.to_tensors(arrays, field)
    except DataError:
        for index, array in zip(indices, arrays, strict=True):
            try:
                its_format.to_tensors([array], field)
            except DataError as error:
                error.where = error.where or name(index)
                raise
        raise


def to_uint8(image: Tensor) -> np.ndarray:
    """Put an image of [-1, 1] on the 8-bit grid: round((x + 1) * 127.5), clipped.

    The exact inverse of `to_tensor` for 8-bit images.

    Args:
        image: (..., C, H, W), on any device and of any float type.

    Returns:
        (..., H, W, C) uint8.

    Raises:
        DivergedError: when a value is not finite: no file should hold a made-up number for it.
    """
    values = image.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(values).all()):
        raise DivergedError(
            "an image holds values that are not finite, so it can't be shown or saved",
            hint="The network's weights or its input are broken; use an earlier checkpoint.",
        )
    levels = values.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.movedim(-3, -1).numpy())
