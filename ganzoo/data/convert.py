"""Between arrays as files hold them and tensors as networks see them; both ways exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ganzoo.errors import DataError, DivergedError
from ganzoo.interfaces import Field

_WORTH_A_CALL = 32 * 32
"""The number of pixels of an image from which on a separate call for each image is faster."""


def to_tensor(array: np.ndarray, field: Field) -> Tensor:
    """Convert one part of a sample, as its field says.

    Args:
        array: an image H x W x C (uint8, uint16, or float already in [-1, 1]); labels H x W or
            a class of any integer type; points (D,).
        field: what it is; its shape isn't looked at, since augmentation may have changed it.

    Returns:
        image: float32, C x H x W; both ends of a file's range meet -1 and 1, so that uint8 is
        x / 127.5 - 1 and uint16 x / 32767.5 - 1. labels, class: int64. points: float32.

    Raises:
        DataError: when the array isn't what the field says, or holds floats that aren't finite.
    """
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("it holds values that are not finite (NaN or infinity)")
    return to_tensors(array[None], field)[0]


def to_tensors(arrays: np.ndarray | Sequence[np.ndarray], field: Field) -> Tensor:
    """Convert one part of several samples at once, each to the same bits as `to_tensor`.

    Args:
        arrays: as of `to_tensor`, with an axis of samples before the others; or a sequence of one
            or more, all of one shape.
        field: what they are.

    Raises:
        DataError: when an array isn't what the field says.
    """
    shape = tensor_shape(
        arrays[0].shape if isinstance(arrays, Sequence) else arrays.shape[1:], field
    )
    dtype = torch.float32 if field.format in ("ganzoo/image", "ganzoo/points") else torch.int64
    made = torch.empty((len(arrays), *shape), dtype=dtype)
    if isinstance(arrays, Sequence):
        for place, array in zip(made, arrays, strict=True):
            _fill(place[None], array[None], field)
    else:
        _fill(made, arrays, field)
    return made


def tensor_shape(shape: tuple[int, ...], field: Field) -> tuple[int, ...]:
    """Shape of the tensor that an array becomes.

    Raises:
        DataError: when an array of this shape isn't what the field says.
    """
    if field.format == "ganzoo/image":
        if len(shape) != 3:
            raise DataError(f"an image must be H x W x C, but this array is {_shape(shape)}")
        return shape[2], *shape[:2]
    if field.format != "ganzoo/points" and len(shape) != (
        2 if field.format == "ganzoo/labels" else 0
    ):
        raise DataError(f"{field.format} can't be an array of {_shape(shape)}")
    return shape


def _fill(made: Tensor, arrays: np.ndarray, field: Field) -> None:
    """Convert into a tensor that is there; both have an axis of samples first."""
    if field.format != "ganzoo/image":
        if field.format != "ganzoo/points" and arrays.dtype.kind not in "iu":
            raise DataError(f"{field.format} must be integers, but these are {arrays.dtype}")
        np.copyto(made.numpy(), arrays, casting="unsafe")
        return
    if arrays.dtype == np.uint8:
        made.copy_(torch.from_numpy(_planes(arrays))).div_(127.5).sub_(1)
    elif arrays.dtype == np.uint16:
        # In double precision: 1/32767.5 steps near -1 are within float32's last bits.
        deep = torch.from_numpy(np.moveaxis(arrays, 3, 1).astype(np.float64))
        made.copy_(deep.div_(32767.5).sub_(1))
    elif arrays.dtype.kind == "f":
        np.copyto(made.numpy(), np.moveaxis(arrays, 3, 1), casting="unsafe")
    else:
        raise DataError(f"an image must be uint8, uint16 or float, but this is {arrays.dtype}")


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


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


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
