"""Checks of formats: values that come back, whole files, pictures, and what is refused."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from ganzoo.errors import DataError
from ganzoo.interfaces import Field, Format
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.subject import Subject

_SAMPLES = 3
FLOAT_BOUND = 2.0**-22
"""Floats come back within this part of their range's width: float32 in [-1, 1] holds no more."""


@check("format")
def check_format_examples(subject: Subject) -> None:
    """Its `examples` are fields that its `check` accepts; `check` refuses other shapes."""
    its_format = _built(subject)
    for field in its_format.examples:
        require(field.format == subject.id, f"an example says that its format is {field.format!r}")
        _accepted(its_format, field)
        arrays = _arrays(its_format, field)
        shape = its_format.tensor_shape(arrays[0].shape, field)
        require(
            tuple(shape) == field.shape,
            f"`tensor_shape` makes {shape} of an array that `to_array` made of {field.shape}",
        )
        for other in ((*field.shape, 2, 2, 2), (2, 2, 2, 2, 2)):
            wrong = replace(field, shape=other)
            try:
                its_format.check(wrong)
            except ValueError:
                continue
            message = f"`check` accepts the shape {list(other)}: raise a ValueError"
            raise CheckFailed(message)


@check("format")
def check_format_round_trip(subject: Subject) -> None:
    """Whole numbers come back exactly from networks, floats within 2^-22 of their range."""
    its_format = _built(subject)
    for field in its_format.examples:
        arrays = _arrays(its_format, field)
        for array, back in zip(arrays, _back(its_format, arrays, field), strict=True):
            require(
                back.dtype == array.dtype and back.shape == array.shape,
                f"{_named(field)}: {array.shape} of {array.dtype} come back as {back.shape} of "
                f"{back.dtype}",
            )
            allowed = FLOAT_BOUND * _width(field) if array.dtype.kind == "f" else 0
            far = float(np.abs(back.astype(np.float64) - array.astype(np.float64)).max(initial=0))
            require(
                far <= allowed,
                f"{_named(field)}: a value comes back with an error of {far:.4g}, and at most "
                f"{allowed:.4g} is allowed",
            )


@check("format")
def check_format_tensors(subject: Subject) -> None:
    """Tensors have their type, a range ends at -1 and 1, and batches change no bit."""
    its_format = _built(subject)
    wanted = torch.int64 if its_format.indices else torch.float32
    for field in its_format.examples:
        arrays = _arrays(its_format, field)
        tensors = its_format.to_tensors(arrays, field)
        require(
            tensors.dtype == wanted,
            f"{_named(field)}: tensors are {tensors.dtype}, and `indices` says {wanted}",
        )
        alone = [its_format.to_tensors(array[None], field)[0] for array in arrays]
        stacked = its_format.to_tensors(np.stack(arrays), field)
        require(
            torch.equal(torch.stack(alone), tensors) and torch.equal(stacked, tensors),
            f"{_named(field)}: the bits of a tensor depend on how many are converted together",
        )
        if field.range is not None:
            low, high = field.range
            for end in field.range:
                # The array's type may not hold an end of the range.
                full = np.full_like(arrays[0], end)
                value = float(full.flat[0])
                wanted_value = 2 * (value - low) / (high - low) - 1
                made = its_format.to_tensors([full], field)
                require(
                    bool(((made - wanted_value).abs() <= FLOAT_BOUND).all()),
                    f"{_named(field)}: {value:g} becomes {made.flatten()[0]:.9g}, not "
                    f"{wanted_value:.9g}",
                )


@check("format")
def check_format_refuses(subject: Subject) -> None:
    """Arrays of other axes are a `DataError`, and so is text; numbers that aren't finite too."""
    its_format = _built(subject)
    for field in its_format.examples:
        array = _arrays(its_format, field)[0]
        for wrong in (array[None, None], np.zeros((2, 2, 2, 2, 2), array.dtype)):
            try:
                its_format.to_tensors([wrong], field)
            except DataError:
                continue
            message = f"{_named(field)}: takes an array of {wrong.shape}: raise a DataError"
            raise CheckFailed(message)
        if not its_format.indices:
            tensor = torch.full(field.shape, math.nan)
            try:
                its_format.to_array(tensor, field)
            except Exception:  # noqa: BLE001, S112  # any error, so that no file is written
                continue
            message = f"{_named(field)}: makes numbers of NaN: raise a DivergedError"
            raise CheckFailed(message)


@check("format")
def check_format_pickles(subject: Subject) -> None:
    """It pickles, since loader workers get it, and a copy makes the same tensors."""
    its_format = _built(subject)
    try:
        copy: Format = pickle.loads(pickle.dumps(its_format))  # noqa: S301  # made here
    except Exception as error:
        message = f"it can't be pickled: {error!r}"
        raise CheckFailed(message) from error
    for field in its_format.examples:
        arrays = _arrays(its_format, field)
        require(
            torch.equal(copy.to_tensors(arrays, field), its_format.to_tensors(arrays, field)),
            f"{_named(field)}: a pickled copy makes other tensors",
        )


@check("format")
def check_format_files(subject: Subject) -> None:
    """What it writes it reads back, whole; a damaged file is a `DataError` that names it."""
    its_format = _built(subject)
    if not its_format.suffixes:
        raise NotApplicable("it has no files")
    for number, field in enumerate(its_format.examples):
        suffix = its_format.suffix(field)
        require(
            suffix in its_format.suffixes,
            f"{_named(field)}: `suffix` says {suffix!r}, which isn't in `suffixes`",
        )
        path = subject.folder / f"{number}{suffix}"
        (array,) = _back(its_format, _arrays(its_format, field)[:1], field)
        its_format.write(array, path, field, {"made": "by a test"})
        require(path.is_file(), f"{_named(field)}: `write` leaves no file {path.name}")
        read = its_format.read(path, field)
        (again,) = _back(its_format, [read], field)
        require(
            np.array_equal(again, array),
            f"{_named(field)}: a {suffix} file is read as other values than were written",
        )
        path.write_bytes(path.read_bytes()[:7])
        try:
            its_format.read(path, field)
        except DataError as error:
            require(str(path) in str(error), f"the error of a damaged {suffix} doesn't name it")
        else:
            message = f"{_named(field)}: a damaged {suffix} is read: raise a DataError"
            raise CheckFailed(message)


@check("format")
def check_format_pictures(subject: Subject) -> None:
    """Pictures are H x W x 3 of 8 bits, differ with the values, and show where a mask is 0."""
    its_format = _built(subject)
    if its_format.shown == "never":
        raise NotApplicable("it is never shown")
    for field in its_format.examples:
        arrays = _back(its_format, _arrays(its_format, field), field)
        if its_format.shown == "together":
            groups = {"one": np.stack(arrays), "two": np.stack(arrays[::-1])}
            _is_picture(its_format.plot(groups, field, "caption", ["one"]), field)
            continue
        pictures = [its_format.picture(array, field) for array in arrays]
        for picture in pictures:
            _is_picture(picture, field)
        require(
            any(not np.array_equal(pictures[0], other) for other in pictures[1:]),
            f"{_named(field)}: the pictures of different values are equal",
        )
        if its_format.pixels:
            empty = np.zeros(field.shape[-2:], np.uint8)
            masked = [its_format.picture(array, field, empty) for array in arrays]
            require(
                all(np.array_equal(masked[0], other) for other in masked),
                f"{_named(field)}: a picture shows values where its mask says that there are none",
            )
            there = its_format.picture(arrays[0], field, empty + 1)
            require(
                np.array_equal(there, pictures[0]),
                f"{_named(field)}: a mask that is 1 everywhere changes the picture",
            )


def _is_picture(picture: object, field: Field) -> None:
    fits = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3
    require(
        fits and picture.shape[2] == 3,  # type: ignore[attr-defined]
        f"{_named(field)}: its picture isn't H x W x 3 uint8",
    )


def _built(subject: Subject) -> Format:
    """The format, which has examples.

    Raises:
        CheckFailed: it is none, or has none.
    """
    built = subject.choose().build()
    require(isinstance(built, Format), f"it builds a {type(built).__name__}, not a Format")
    require(
        built.examples,
        "it has no `examples`: give a few small fields, which it is tried with",
    )
    its_format: Format = built
    return its_format


def _accepted(its_format: Format, field: Field) -> None:
    try:
        its_format.check(field)
    except ValueError as error:
        message = f"`check` refuses its own example {_named(field)}: {error}"
        raise CheckFailed(message) from error


def _named(field: Field) -> str:
    return f"Field({field.shape}, dtype={field.dtype!r}, range={field.range})"


def _width(field: Field) -> float:
    return field.range[1] - field.range[0] if field.range else 2.0


def _arrays(its_format: Format, field: Field) -> list[np.ndarray]:
    """Random arrays of the field's shape and type, over its whole range."""
    _accepted(its_format, field)
    blank = torch.zeros(field.shape, dtype=torch.int64 if its_format.indices else torch.float32)
    like = its_format.to_array(blank, field)
    require(
        like.dtype == its_format.dtype(field),
        f"{_named(field)}: `to_array` makes {like.dtype}, `dtype` says {its_format.dtype(field)}",
    )
    return list(_random(like, its_format, field))


def _random(like: np.ndarray, its_format: Format, field: Field) -> Iterator[np.ndarray]:
    draw = np.random.default_rng(0)
    for _ in range(_SAMPLES):
        values: np.ndarray
        if its_format.indices:
            values = draw.integers(0, field.classes or 7, like.shape)
        elif like.dtype.kind == "f":
            low, high = field.range or (-1.0, 1.0)
            values = draw.uniform(low, high, like.shape)
        else:
            limits = np.iinfo(like.dtype)
            low, high = field.range or (float(limits.min), float(limits.max))
            values = draw.integers(math.ceil(low), math.floor(high), like.shape, endpoint=True)
        yield np.asarray(values, like.dtype)


def _back(its_format: Format, arrays: list[np.ndarray], field: Field) -> list[np.ndarray]:
    """Arrays after they have been tensors."""
    return [its_format.to_array(one, field) for one in its_format.to_tensors(arrays, field)]
