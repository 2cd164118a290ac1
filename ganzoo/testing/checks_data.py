"""What is demanded of data: what the fields say, the same every time, in every process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.data.convert import to_tensor
from ganzoo.data.formats import format_of, split_no_data
from ganzoo.data.rng import drawn, generator_for
from ganzoo.errors import DataError, DataMissing, GanzooError
from ganzoo.interfaces import DataSource, Field, Split
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.subject import Subject

Sample = Mapping[str, np.ndarray]

_CLASSES_OF = 256
"""Samples whose classes are looked at, at most."""


def opened(subject: Subject, split: Split = "train") -> DataSource:
    """A split of the data.

    Raises:
        NotApplicable: its files aren't there.
    """
    try:
        source: DataSource = subject.choose().build(split)
    except DataMissing as missing:
        message = f"the data aren't there: {missing}"
        raise NotApplicable(message) from missing
    return source


def loaded(source: DataSource, index: int, split: str = "train") -> Sample:
    """A sample, drawn as a run draws it."""
    return source.load(index, generator_for(0, split, 0, index))


@check("data")
def check_data_fields(subject: Subject) -> None:
    """Samples hold what `fields` says: names, kinds, the shapes of sample 0, types and ranges."""
    source = opened(subject)
    fields = source.fields
    require(fields, "`fields` is empty")
    count = len(source)
    require(count > 0, "its train split has no samples")
    for index in sorted({0, count // 2, count - 1}):
        sample = loaded(source, index)
        require(
            set(sample) == set(fields),
            f"sample {index} holds {sorted(sample)}, and its fields are {sorted(fields)}",
        )
        for name, field in fields.items():
            _fits(f"{name!r} of sample {index}", sample[name], field, shape=index == 0)


def _fits(what: str, array: Any, field: Field, *, shape: bool) -> None:
    its_format = format_of(field)
    require(
        isinstance(array, np.ndarray) or (not field.shape and np.ndim(array) == 0),
        f"{what} is a {type(array).__name__}, not an array",
    )
    array = np.asarray(array)
    if field.nodata is not None:
        array = split_no_data({what: array}, {what: field})[what]
    try:
        tensor = to_tensor(array, field, its_format)
    except DataError as error:
        message = f"{what}: {error.message}"
        raise CheckFailed(message) from error
    if shape:
        require(
            tuple(tensor.shape) == tuple(field.shape),
            f"{what} is {tuple(tensor.shape)} as a network sees it, and its field says "
            f"{tuple(field.shape)}",
        )
    if array.dtype.kind == "f":
        require(np.isfinite(array).all(), f"{what} has values that aren't finite")
        require(array.dtype == np.float32, f"{what} is {array.dtype}: floats are float32")
        limits = field.range or ((-1, 1) if its_format.pixels else None)
        if limits is not None:
            slack = 1e-6 * (limits[1] - limits[0])
            require(
                limits[0] - slack <= array.min() and array.max() <= limits[1] + slack,
                f"{what} has values from {array.min():.4g} to {array.max():.4g}, not from "
                f"{limits[0]:g} to {limits[1]:g}",
            )
    elif field.dtype:
        require(array.dtype == field.dtype, f"{what} is {array.dtype}, not {field.dtype}")


@check("data")
def check_data_classes(subject: Subject) -> None:
    """A field of classes says how many there are, and no sample has another one."""
    source = opened(subject)
    counted = {
        name: one
        for name, one in source.fields.items()
        if one.classes or (format_of(one).indices and not one.shape)
    }
    if not counted:
        raise NotApplicable("no field of it has classes")
    for name, field in counted.items():
        require(
            field.classes > 0,
            f"the field {name!r} is a class, and doesn't say of how many: Field((), "
            '"ganzoo/class", classes=...), from which tasks build their networks',
        )
    for index in np.linspace(0, len(source) - 1, min(len(source), _CLASSES_OF)).astype(int):
        sample = loaded(source, int(index))
        for name, field in counted.items():
            low, high = np.min(sample[name]), np.max(sample[name])
            require(
                low >= 0 and high < field.classes,
                f"{name!r} of sample {index} goes from {low} to {high}, and its field says "
                f"{field.classes} classes: count from 0",
            )


@check("data")
def check_data_arrays(subject: Subject) -> None:
    """`arrays`, where it is offered, holds bit for bit what `load` gives, which draws nothing."""
    source = opened(subject)
    arrays = getattr(source, "arrays", None)
    if arrays is None:
        raise NotApplicable("it offers no `arrays`")
    names, fields = sorted(arrays), sorted(source.fields)
    require(names == fields, f"`arrays` holds {names}, and its fields are {fields}")
    for name, rows in arrays.items():
        require(
            isinstance(rows, np.ndarray) and len(rows) == len(source),
            f"`arrays` holds no array of {len(source)} rows as {name!r}",
        )
    for index in sorted({0, len(source) // 2, len(source) - 1}):
        random = generator_for(0, "train", 0, index)
        before = drawn(random)
        sample = source.load(index, random)
        require(
            before == drawn(random),
            "load() draws from its `rng`, and `arrays` can't: leave `arrays` out",
        )
        for name in sample:
            one, row = np.asarray(sample[name]), arrays[name][index]
            require(
                one.dtype == row.dtype and np.array_equal(one, row),
                f"row {index} of `arrays` isn't what load() gives as {name!r}: a run takes either",
            )


@check("data")
def check_data_metrics(subject: Subject) -> None:
    """The metrics that it adds to an evaluation are installed, with options that are legal."""
    proposed = getattr(opened(subject), "metrics", ())
    if not proposed:
        raise NotApplicable("it adds no metrics")
    require(not isinstance(proposed, str), f"`metrics` is {proposed!r}: give a tuple")
    for one in proposed:
        try:
            subject.registry.choose("metric", one)
        except (GanzooError, ChoiceError) as error:
            message = f"its `metrics` has {one!r}, which no recipe could: {error}"
            raise CheckFailed(message) from error


@check("data")
def check_data_bad_index(subject: Subject) -> None:
    """An index beyond the end raises `IndexError` or `DataError`."""
    source = opened(subject)
    for index in (len(source), len(source) + 1000):
        try:
            loaded(source, index)
        except (IndexError, DataError):
            continue
        except Exception as error:
            message = f"index {index} of {len(source)} raises {error!r}: raise an IndexError"
            raise CheckFailed(message) from error
        message = f"index {index} of {len(source)} gives a sample: raise an IndexError"
        raise CheckFailed(message)
