"""The values of files and those of networks: ranges, types, and the conversion between the two."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ganzoo.errors import DataError, DivergedError
from ganzoo.interfaces import Field

FLOAT_LIMIT = 1e-4
"""Floats of an array may lie outside of -1 to 1 by as much: what was rounded on the way counts as
1."""


def check_range(field: Field, dtype: str, types: tuple[str, ...]) -> None:
    """Check a field's type and range.

    A range of whole numbers must lie within the type's. Then float32 can hold each of the type's
    values exactly on the scale of networks: its steps within [-1, 1] are at most 2^-24. Of floats,
    float32 must hold both ends and their difference.

    Raises:
        ValueError: they can't be so.
    """
    if dtype not in types:
        message = f"dtype must be one of {', '.join(types)}, but it is {dtype[:40]!r}"
        raise ValueError(message)
    if field.range is None:
        if field.unit:
            message = f"unit {field.unit!r} needs a range, whose ends are in this unit"
            raise ValueError(message)
        return
    low, high = field.range
    # The smallest normal float32 is 2^-126, and a narrower range would have no bits left.
    if not (math.isfinite(low) and math.isfinite(high) and high - low >= 2.0**-100):
        message = f"range must be two finite numbers, the lower one first, but it is {low}, {high}"
        raise ValueError(message)
    if dtype == "float32":
        most = float(np.finfo(dtype).max)
        if max(-low, high, high - low) > most:
            message = (
                f"range must lie within that of float32, and so must its width: at most {most:g}, "
                f"but it is {low:g} to {high:g}"
            )
            raise ValueError(message)
        return
    limits = np.iinfo(dtype)
    if low < limits.min or high > limits.max:
        message = (
            f"range must lie within that of {dtype}, {limits.min} to {limits.max}, but it is "
            f"{low:g} to {high:g}"
        )
        raise ValueError(message)


def limits_of(field: Field, dtype: np.dtype) -> tuple[float, float]:
    """The values that meet -1 and 1: those of the field, or the whole range of the type."""
    if field.range is not None:
        return field.range
    if dtype.kind == "f":
        return -1.0, 1.0
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def fill(made: Tensor, values: np.ndarray, field: Field, what: str) -> None:
    """Convert the values of files to those of networks, into a tensor of the same shape.

    Raises:
        DataError: when the values are of a type that they can't have.
    """
    dtype = values.dtype
    if dtype.kind == "f" and field.range is None:
        np.copyto(made.numpy(), values, casting="unsafe")
        return
    # Without a range, whole numbers of another type than the field's would be other values.
    signed = field.range is not None or field.dtype == "int16"
    if not (dtype.kind == "f" or dtype in (np.uint8, np.uint16) or (signed and dtype == np.int16)):
        types = "uint8, uint16, int16 or float" if signed else "uint8, uint16 or float"
        raise DataError(f"{what} must be {types}, but this is {dtype}")
    low, high = limits_of(field, dtype)
    # In double precision: the steps of 16 bits near -1 are within float32's last bits.
    deep = torch.from_numpy(values.astype(np.float64))
    made.copy_(deep.sub_(low).div_((high - low) / 2).sub_(1))


def unfilled(values: Tensor, field: Field, dtype: str) -> np.ndarray:
    """Convert the values of networks back to those of files, which is exact for whole numbers.

    Whole numbers are rounded, and clipped to what their type holds.

    Raises:
        DivergedError: when a value is not finite: no file should hold a made-up number for it.
    """
    deep = finite(values).to("cpu", torch.float64)
    kind = np.dtype(dtype)
    low, high = limits_of(field, kind)
    if (low, high) != (-1.0, 1.0):
        deep = deep.add(1).mul((high - low) / 2).add(low)
    if kind.kind == "f":
        array: np.ndarray = deep.numpy().astype(kind)
        return array
    limits = np.iinfo(kind)
    return deep.round().clamp(limits.min, limits.max).numpy().astype(kind)


def finite(values: Tensor) -> Tensor:
    """The same without a gradient, if all of it is finite.

    Raises:
        DivergedError: it isn't.
    """
    values = values.detach()
    if not bool(torch.isfinite(values).all()):
        raise DivergedError(
            "a sample holds values that are not finite, so it can't be shown or saved",
            hint="The network's weights or its input are broken; use an earlier checkpoint.",
        )
    return values


def check_axes(field: Field, what: str, axes: int, names: str) -> None:
    """Check the number of axes of a field's shape.

    Raises:
        ValueError: it is another one.
    """
    if len(field.shape) != axes:
        message = f"shape of {what} must be {names}, but it is {list(field.shape)}"
        raise ValueError(message)


def refuse_parts(field: Field, what: str, *names: str) -> None:
    """Refuse parts of a field that this format has no use for.

    Raises:
        ValueError: one of them isn't its default.
    """
    for name in names:
        if getattr(field, name) != Field.__dataclass_fields__[name].default:
            message = f"{name} has no meaning for {what}"
            raise ValueError(message)
