"""Checks of formats: values that come back, whole files, pictures, and what is refused."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from ganzoo.errors import DataError, GanzooError
from ganzoo.interfaces import Field, Format
from ganzoo.testing.kit import CheckFailed, NotApplicable, Unusable, check, require
from ganzoo.testing.subject import Subject

FLOAT_BOUND = 2.0**-22
"""Floats come back within this part of their range's width: float32 in [-1, 1] holds no more."""


def _examples(subject: Subject) -> Iterator[tuple[Format, Field, list[np.ndarray], str]]:
    """The format with each of its examples, three random arrays of it, and its name in messages.

    Raises:
        Unusable: it is no format, has no examples, or can't make an array of one of them.
    """
    built = subject.choose().build()
    examples = built.examples if isinstance(built, Format) else ()
    if not examples:
        message = (
            f"it builds a {type(built).__name__}, which is no Format with `examples`: derive it "
            "from ganzoo.interfaces.Format, and give a few small fields, which it is tried with"
        )
        raise Unusable(message, reported_by="check_format_examples")
    for field in examples:
        named = f"Field({field.shape}, dtype={field.dtype!r}, range={field.range})"
        try:
            built.check(field)
            arrays = _arrays(built, field)
        except (ValueError, GanzooError) as error:
            message = f"{named}, its own example, is refused: {error}"
            raise Unusable(message, reported_by="check_format_examples") from error
        yield built, field, arrays, named


def _arrays(its_format: Format, field: Field) -> list[np.ndarray]:
    """Random arrays of the field's shape and type, over its whole range."""
    blank = torch.zeros(field.shape, dtype=torch.int64 if its_format.indices else torch.float32)
    like = its_format.to_array(blank, field)
    draw = np.random.default_rng(0)
    limits = (-1.0, 1.0) if like.dtype.kind == "f" else _ends(like.dtype)
    low, high = (0, (field.classes or 7) - 1) if its_format.indices else field.range or limits
    if like.dtype.kind == "f":
        made: list[Any] = [draw.uniform(low, high, like.shape) for _ in range(3)]
    else:
        ends = (math.ceil(low), math.floor(high))
        made = [draw.integers(*ends, like.shape, endpoint=True) for _ in range(3)]
    return [np.asarray(one, like.dtype) for one in made]


def _ends(dtype: np.dtype[Any]) -> tuple[float, float]:
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _back(its_format: Format, arrays: list[np.ndarray], field: Field) -> list[np.ndarray]:
    """Arrays after they have been tensors."""
    return [its_format.to_array(one, field) for one in its_format.to_tensors(arrays, field)]


def _refuses(call: Callable[[], object], errors: type[Exception], complaint: str) -> None:
    try:
        call()
    except errors:
        return
    raise CheckFailed(complaint)


@check("format")
def check_format_examples(subject: Subject) -> None:
    """Its `examples` are fields that its `check` accepts; `check` refuses other shapes."""
    for its_format, field, arrays, named in _examples(subject):
        require(field.format == subject.id, f"an example says that its format is {field.format!r}")
        made, wanted = arrays[0].dtype, its_format.dtype(field)
        require(made == wanted, f"{named}: `to_array` makes {made}, `dtype` says {wanted}")
        shape = its_format.tensor_shape(arrays[0].shape, field)
        require(
            tuple(shape) == field.shape,
            f"`tensor_shape` makes {shape} of an array that `to_array` made of {field.shape}",
        )
        for other in ((*field.shape, 2, 2, 2), (2, 2, 2, 2, 2)):
            wrong = replace(field, shape=other)
            complaint = f"`check` accepts the shape {list(other)}: raise a ValueError"
            _refuses(partial(its_format.check, wrong), ValueError, complaint)


@check("format")
def check_format_tensors(subject: Subject) -> None:
    """Tensors have their type, a range ends at -1 and 1, and batches and pickling change no bit."""
    for its_format, field, arrays, named in _examples(subject):
        tensors = its_format.to_tensors(arrays, field)
        wanted = torch.int64 if its_format.indices else torch.float32
        require(
            tensors.dtype == wanted,
            f"{named}: tensors are {tensors.dtype}, and `indices` says {wanted}",
        )
        alone = torch.stack([its_format.to_tensors(one[None], field)[0] for one in arrays])
        stacked = its_format.to_tensors(np.stack(arrays), field)
        require(
            torch.equal(alone, tensors) and torch.equal(stacked, tensors),
            f"{named}: the bits of a tensor depend on how many are converted together",
        )
        try:
            copy: Format = pickle.loads(pickle.dumps(its_format))  # noqa: S301  # made here
        except Exception as error:
            message = f"it can't be pickled, as loaders' processes need: {error!r}"
            raise CheckFailed(message) from error
        same = torch.equal(copy.to_tensors(arrays, field), tensors)
        require(same, f"{named}: a pickled copy makes other tensors")
        for end in field.range or ():
            low, high = field.range or (-1.0, 1.0)
            full = np.full_like(arrays[0], end)  # whose type may not hold an end of the range
            right = 2 * (float(full.flat[0]) - low) / (high - low) - 1
            made = its_format.to_tensors([full], field)
            require(
                bool(((made - right).abs() <= FLOAT_BOUND).all()),
                f"{named}: {full.flat[0]:g} becomes {made.flatten()[0]:.9g}, not {right:.9g}",
            )


@check("format")
def check_format_round_trip(subject: Subject) -> None:
    """Whole numbers come back exactly from networks, floats within 2^-22 of their range."""
    for its_format, field, arrays, named in _examples(subject):
        low, high = field.range or (-1.0, 1.0)
        for array, back in zip(arrays, _back(its_format, arrays, field), strict=True):
            require(
                back.dtype == array.dtype and back.shape == array.shape,
                f"{named}: {array.shape} of {array.dtype} come back as {back.shape} of "
                f"{back.dtype}",
            )
            allowed = FLOAT_BOUND * (high - low) if array.dtype.kind == "f" else 0
            far = float(np.abs(back.astype(np.float64) - array.astype(np.float64)).max(initial=0))
            require(
                far <= allowed,
                f"{named}: a value comes back with an error of {far:.4g}, and at most "
                f"{allowed:.4g} is allowed",
            )


@check("format")
def check_format_refuses(subject: Subject) -> None:
    """Arrays of other axes are a `DataError`, and numbers that aren't finite are an error, too."""
    for its_format, field, (array, *_), named in _examples(subject):
        for wrong in (array[None, None], np.zeros((2, 2, 2, 2, 2), array.dtype)):
            complaint = f"{named}: takes an array of {wrong.shape}: raise a DataError"
            _refuses(partial(its_format.to_tensors, [wrong], field), DataError, complaint)
        if not its_format.indices:
            nan = torch.full(field.shape, math.nan)
            complaint = f"{named}: makes numbers of NaN: raise a DivergedError"
            _refuses(partial(its_format.to_array, nan, field), Exception, complaint)


@check("format")
def check_format_files(subject: Subject) -> None:
    """What it writes it reads back, whole; a damaged file is a `DataError` that names it."""
    for number, (its_format, field, arrays, named) in enumerate(_examples(subject)):
        if not its_format.suffixes:
            raise NotApplicable("it has no files")
        suffix = its_format.suffix(field)
        require(
            suffix in its_format.suffixes,
            f"{named}: `suffix` says {suffix!r}, which isn't in `suffixes`",
        )
        path = subject.folder / f"{number}{suffix}"
        (array,) = _back(its_format, arrays[:1], field)
        its_format.write(array, path, field, {"made": "by a test"})
        require(path.is_file(), f"{named}: `write` leaves no file {path.name}")
        (again,) = _back(its_format, [its_format.read(path, field)], field)
        require(
            np.array_equal(again, array),
            f"{named}: a {suffix} file is read as other values than were written",
        )
        path.write_bytes(path.read_bytes()[:7])
        try:
            its_format.read(path, field)
        except DataError as error:
            require(str(path) in str(error), f"the error of a damaged {suffix} doesn't name it")
        else:
            raise CheckFailed(f"{named}: a damaged {suffix} is read: raise a DataError")


@check("format")
def check_format_pictures(subject: Subject) -> None:
    """Pictures are H x W x 3 of 8 bits, differ with the values, and show where a mask is 0."""
    for its_format, field, arrays, named in _examples(subject):
        if its_format.shown == "never":
            raise NotApplicable("it is never shown")
        shown = _back(its_format, arrays, field)
        if its_format.shown == "together":
            groups = {"one": np.stack(shown), "two": np.stack(shown[::-1])}
            pictures = [its_format.plot(groups, field, "caption", ["one"])]
        else:
            pictures = [its_format.picture(one, field) for one in shown]
        for one in pictures:
            right = isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim == 3
            require(right and one.shape[2] == 3, f"{named}: its picture isn't H x W x 3 uint8")
        first, *others = pictures
        require(
            not others or any(not np.array_equal(first, other) for other in others),
            f"{named}: the pictures of different values are equal",
        )
        if others and its_format.pixels:
            empty = np.zeros(field.shape[-2:], np.uint8)
            blank, *masked = [its_format.picture(one, field, empty) for one in shown]
            require(
                all(np.array_equal(blank, other) for other in masked),
                f"{named}: a picture shows values where its mask says that there are none",
            )
            require(
                np.array_equal(its_format.picture(shown[0], field, empty + 1), first),
                f"{named}: a mask that is 1 everywhere changes the picture",
            )
