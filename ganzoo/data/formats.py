"""The formats of fields, as components, and what the fields of a sample say of each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ganzoo.errors import DataError, PluginError
from ganzoo.interfaces import Field, Format

if TYPE_CHECKING:
    from torch import Tensor


def format_of(field: Field) -> Format:
    """Build the format that a field names.

    Resolve it once for many samples: the registry is asked, and the component is imported.

    Raises:
        PluginError: its plugin builds something else.
        GanzooError: there is no such format, or its plugin is missing (exit code 3 or 4).
    """
    from ganzoo.plugin_system import registry

    built: Any = registry.current().choose("format", field.format).build()
    if not isinstance(built, Format):
        raise PluginError(
            f"{field.format} builds a {type(built).__name__}, not a ganzoo.interfaces.Format",
            hint=f"`ganzoo show {field.format}` names its plugin.",
        )
    return built


def checked_formats(fields: Mapping[str, Field]) -> dict[str, Format]:
    """Build the formats of all fields, and check that these can be as they are declared.

    Raises:
        ValueError: a field can't be as it is declared; the message begins with its name.
        GanzooError: as `format_of`.
    """
    made: dict[str, Format] = {}
    formats: dict[str, Format] = {}
    for name, field in fields.items():
        if field.format not in made:
            made[field.format] = format_of(field)
        try:
            _check_numbers(field)
            made[field.format].check(field)
        except ValueError as error:
            message = f"{name}: {error}"
            raise ValueError(message) from error
        formats[name] = made[field.format]
    return formats


def _check_numbers(field: Field) -> None:
    """Check the types of those numbers of a field that are not counts.

    Raises:
        ValueError: the range isn't two numbers, or `nodata` is no number.
    """
    ends: Any = field.range
    pair = isinstance(ends, tuple) and len(ends) == 2 and all(map(_is_number, ends))
    if ends is not None and not pair:
        message = f"range must be two finite numbers, the lower one first, but it is {ends!r}"
        raise ValueError(message)
    if field.nodata is not None and not _is_number(field.nodata):
        message = f"nodata must be a number, but it is {field.nodata!r}"
        raise ValueError(message)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_masks(fields: Mapping[str, Field], formats: Mapping[str, Format]) -> None:
    """Check that the fields of a sample have the masks that they name.

    Raises:
        ValueError: one hasn't; the message begins with its name.
    """
    for name, field in fields.items():
        _check_mask(name, field, fields, formats)


def _check_mask(
    name: str, field: Field, fields: Mapping[str, Field], formats: Mapping[str, Format]
) -> None:
    if field.nodata is not None and not field.mask:
        message = f"{name}: nodata needs a mask: the name of the field that is 0 where it stands"
        raise ValueError(message)
    if field.nodata is not None:
        _check_no_data(name, field.nodata, np.dtype(formats[name].dtype(field)))
    if not field.mask:
        return
    mask = fields.get(field.mask)
    if mask is None or not formats[field.mask].indices or mask.mask or field.mask == name:
        message = (
            f"{name}: mask must name a field of class indices without a mask of its own, such as "
            f"one of ganzoo/labels, but it is {field.mask!r}"
        )
        raise ValueError(message)
    if mask.shape != field.shape[len(field.shape) - len(mask.shape) :]:
        message = (
            f"{name}: its mask {field.mask!r} is {list(mask.shape)}, which doesn't fit "
            f"{list(field.shape)}"
        )
        raise ValueError(message)


def _check_no_data(name: str, nodata: float, dtype: np.dtype) -> None:
    """Check that a type holds the value for "no data", with which it is written to files."""
    if dtype.kind == "f":
        if math.isfinite(nodata) and abs(nodata) > float(np.finfo(dtype).max):
            message = f"{name}: nodata must be a number that {dtype} holds, but it is {nodata:g}"
            raise ValueError(message)
        return
    limits = np.iinfo(dtype)
    if not (float(nodata).is_integer() and limits.min <= nodata <= limits.max):
        message = (
            f"{name}: nodata must be a whole number from {limits.min} to {limits.max}, since its "
            f"values are {dtype}, but it is {nodata:g}"
        )
        raise ValueError(message)


def with_masks(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields, and those masks that are made of `nodata` because the data don't have them.

    A mask that isn't among the fields has the last two axes of its field, those of its pixels.

    Raises:
        ValueError: a field without pixels needs such a mask; the message begins with its name.
        GanzooError: as `format_of`.
    """
    known = dict(fields)
    for name, field in fields.items():
        if field.nodata is not None and field.mask and field.mask not in known:
            if not format_of(field).pixels:
                message = (
                    f"{name}: its mask {field.mask!r} can't be made of nodata, since "
                    f"{field.format} has no pixels: the data must have a field of that name"
                )
                raise ValueError(message)
            known[field.mask] = Field(
                field.shape[-2:], "ganzoo/labels", classes=2, aligned=field.aligned
            )
    return known


def split_no_data(
    sample: Mapping[str, np.ndarray], fields: Mapping[str, Field]
) -> dict[str, np.ndarray]:
    """Replace the values that stand for "no data", and make the masks that are missing.

    Networks see the lower end of the range in their place, so that no augmentation mixes a value
    such as -9999, or NaN, with its neighbours.

    Args:
        sample: arrays by field. Of several channels, which are the last axis of an array that has
            one more than its mask, a place has no data if one of them has none.
        fields: what they are, and their masks; a mask that isn't among them is one of pixels.

    Raises:
        DataError: a mask of the sample has another size than its field.
    """
    split = dict(sample)
    for name, field in fields.items():
        if field.nodata is None or name not in sample:
            continue
        array = np.asarray(sample[name])
        absent = np.isnan(array) if np.isnan(field.nodata) else array == field.nodata
        axes = len(fields[field.mask].shape) if field.mask in fields else 2
        there = ~(absent.any(-1) if absent.ndim == axes + 1 else absent)
        if field.mask in split:
            before = np.asarray(split[field.mask]) != 0
            if before.shape != there.shape:
                sizes = [" x ".join(map(str, one.shape)) for one in (before, there)]
                raise DataError(f"its {field.mask} is {sizes[0]}, but its {name} is {sizes[1]}")
            there &= before
        split[field.mask] = there.astype(np.uint8)
        low = field.range[0] if field.range else _lowest(array.dtype)
        split[name] = np.where(absent, np.asarray(low, array.dtype), array)
    return split


def _lowest(dtype: np.dtype) -> float:
    return -1.0 if dtype.kind == "f" else float(np.iinfo(dtype).min)


def mask_of(field: Field, sample: Mapping[str, Tensor]) -> np.ndarray | None:
    """Return the mask of a field in a sample without a batch axis; None if it isn't there."""
    return sample[field.mask].cpu().numpy() if field.mask in sample else None


def with_no_data(array: np.ndarray, field: Field, mask: np.ndarray | None) -> np.ndarray:
    """The array with the field's `nodata` where the mask is 0, as files hold it.

    Args:
        array: as `Format.to_array` returns it.
        field: what it is.
        mask: H x W; None, or a mask of another size: nothing is known of it.
    """
    if field.nodata is None or mask is None or mask.shape != array.shape[: mask.ndim]:
        return array
    absent = (mask == 0).reshape(mask.shape + (1,) * (array.ndim - mask.ndim))
    return np.where(absent, np.asarray(field.nodata, array.dtype), array)


def shows_whole_type(field: Field, its_format: Format) -> bool:
    """Whether a field is pictures in which the ends of the files' type are black and white."""
    return its_format.pixels and not its_format.indices and field.range is None


def is_8_bit_image(field: Field, its_format: Format) -> bool:
    """Whether arrays of a field are pictures as they are: H x W x C, 0 to 255."""
    return shows_whole_type(field, its_format) and its_format.dtype(field) == "uint8"


def unlike(field: Field, trained: Field) -> str:
    """In what a field's values mean something else than those of training; "" if they don't."""
    for part in ("format", "range", "unit", "dtype", "nodata", "mask"):
        own, other = getattr(field, part), getattr(trained, part)
        if own != other and not (own != own and other != other):  # noqa: PLR0124  # NaN is NaN
            return f"has {part} {own!r}, but the network was trained on {other!r}"
    return ""


def described(field: Field) -> str:
    """What a field is, in words: `image 1 x 8 x 8 from -1000 to 2000 HU`."""
    words = field.format.removeprefix("ganzoo/")
    shape = " x ".join(map(str, field.shape)) or "one number"
    words = f"{words} {shape}"
    if field.dtype:
        words += f" {field.dtype}"
    if field.range is not None:
        words += f" from {field.range[0]:g} to {field.range[1]:g}"
    if field.unit:
        words += f" {field.unit}"
    return words
