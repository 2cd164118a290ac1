"""What is demanded of data: what the fields say, the same every time, in every process."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from ganzoo.api import Chosen
from ganzoo.data.convert import to_tensor
from ganzoo.data.rng import drawn, generator_for, isolated
from ganzoo.errors import DataError, DataMissing, GanzooError
from ganzoo.interfaces import DataSource, Field, Split
from ganzoo.plugin_system.registry import ChoiceError
from ganzoo.testing.kit import CheckFailed, NotApplicable, Subject, check, require
from ganzoo.testing.networks import generators

Sample = Mapping[str, np.ndarray]

_KINDS = ("image", "labels", "points", "class")
_LOOKED_AT = 16
"""Samples of a split that are looked at, at most."""
_CLASSES_OF = 256
"""Samples whose classes are looked at, at most."""
_NAMES = 10_000
"""Names of a split that are looked at, at most."""


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
    require(field.kind in _KINDS, f"{what} is of the unknown kind {field.kind!r}")
    require(
        isinstance(array, np.ndarray) or (field.kind == "class" and np.ndim(array) == 0),
        f"{what} is a {type(array).__name__}, not an array",
    )
    array = np.asarray(array)
    require(field.low < field.high, f"{what} has a range from {field.low} to {field.high}")
    try:
        tensor = to_tensor(array, field)
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
        require(
            field.kind != "points" or array.dtype == np.float32,
            f"{what} is {array.dtype}: points are float32",
        )
    if field.kind == "image" and array.dtype.kind == "f":
        require(array.dtype == np.float32, f"{what} is {array.dtype}: floats are float32")
        slack = 1e-6 * (field.high - field.low)
        require(
            field.low - slack <= array.min() and array.max() <= field.high + slack,
            f"{what} has values from {array.min():.4g} to {array.max():.4g}, and its field says "
            f"{field.low:g} to {field.high:g}",
        )


@check("data")
def check_data_classes(subject: Subject) -> None:
    """A field of classes says how many there are, and no sample has another one."""
    source = opened(subject)
    counted = {n: one for n, one in source.fields.items() if one.kind == "class" or one.classes}
    if not counted:
        raise NotApplicable("no field of it has classes")
    for name, field in counted.items():
        require(
            field.classes > 0,
            f"the field {name!r} is a class, and doesn't say of how many: Field((), "
            '"class", classes=...), from which tasks build their networks',
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


@check("data")
def check_data_deterministic(subject: Subject) -> None:
    """A sample is a function of its index and the given `rng`, and draws from nothing else."""
    source = opened(subject)
    indices = range(min(len(source), 3))
    with isolated(1):
        before = generators()
        first = [loaded(source, index) for index in indices]
        require(
            before == generators(),
            "load() draws from a global random generator: take what is random from its `rng`",
        )
    with isolated(2):
        again = [loaded(source, index) for index in reversed(indices)][::-1]
        other = opened(subject)
        fresh = [loaded(other, index) for index in indices]
    for index, one in enumerate(first):
        _same_sample(f"sample {index}, loaded again", one, again[index])
        _same_sample(f"sample {index} of a second instance", one, fresh[index])
        _same_unless_it_draws(source, index)


def _same_unless_it_draws(source: DataSource, index: int) -> None:
    """Compare a sample with that of another epoch, if `load` leaves `rng` alone in both."""
    made = []
    for epoch in (0, 1):
        random = generator_for(0, "train", epoch, index)
        before = drawn(random)
        sample = source.load(index, random)
        if before != drawn(random):
            return
        made.append(sample)
    one, other = made
    for name in one:
        require(
            np.array_equal(one[name], other[name]),
            f"{name!r} of sample {index} changes with `rng`, and load() draws nothing from it: "
            "call `rng` itself, never a copy of it or of its state",
        )


@check("data")
def check_data_names(subject: Subject) -> None:
    """Names of samples are unique, and good as names of files."""
    source = opened(subject)
    seen: dict[str, int] = {}
    for index in range(min(len(source), _NAMES)):
        name = source.name(index)
        require(
            isinstance(name, str) and name and name == name.strip() and len(name) <= 200,
            f"sample {index} is called {name!r}: give 1 to 200 characters, no blanks around them",
        )
        require(
            name not in {".", ".."} and not set(name) & set('/\\:*?"<>|\0\n\r\t'),
            f"sample {index} is called {name!r}, which is no name for a file",
        )
        require(name not in seen, f"samples {seen.get(name)} and {index} are both called {name!r}")
        seen[name] = index


@check("data")
def check_data_splits(subject: Subject) -> None:
    """Training shares no sample with val and test; these two may, if `notes` says so."""
    sources: dict[str, DataSource] = {"train": opened(subject)}
    for split in ("val", "test"):
        try:
            sources[split] = opened(subject, split)
        except DataError as error:
            message = f"it has no {split} split: {error}"
            raise NotApplicable(message) from error
    prints = {
        split: {
            _fingerprint(loaded(source, index, split)): source.name(index)
            for index in range(min(len(source), _LOOKED_AT))
        }
        for split, source in sources.items()
    }
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = prints[one].keys() & prints[other].keys()
        said = one == "val" and any(getattr(sources[split], "notes", ()) for split in (one, other))
        names = sorted(prints[one][print_] for print_ in shared)
        require(
            not shared or said,
            f"{one} and {other} share samples, such as {names[:3]}: what is judged must be new",
        )


@check("data")
def check_data_pickles(subject: Subject) -> None:
    """Pickled and back it gives the same samples: loader processes get it so."""
    source = opened(subject)
    loaded(source, 0)  # what is made at the first use travels too
    try:
        copy: DataSource = pickle.loads(pickle.dumps(source))  # noqa: S301  # our own bytes
    except Exception as error:
        message = f"it doesn't pickle: {error!r} (open files in load(), not in __init__)"
        raise CheckFailed(message) from error
    require(len(copy) == len(source), f"{len(source)} samples become {len(copy)} by pickling")
    require(dict(copy.fields) == dict(source.fields), "its fields change by pickling")
    require(copy.name(0) == source.name(0), "its names change by pickling")
    for index in range(min(len(source), 3)):
        _same_sample(f"sample {index} after pickling", loaded(source, index), loaded(copy, index))


class _Loaded(Dataset[Any]):
    """Samples for a loader: of the source that it was given, then of one that it opens itself.

    An error is a value, which comes back whole.
    """

    def __init__(self, source: DataSource, chosen: Chosen) -> None:
        self.source = source
        self.chosen = chosen

    def __len__(self) -> int:
        return 2 * _loaded_there(self.source)

    def __getitem__(self, index: int) -> Any:
        try:
            count = _loaded_there(self.source)
            if index < count:
                return dict(loaded(self.source, index))
            anew: DataSource = self.chosen.build("train")
            return dict(loaded(anew, index - count))
        except GanzooError as error:
            return str(error)


def _loaded_there(source: DataSource) -> int:
    return min(len(source), 3)


def _first(samples: list[Any]) -> Any:
    return samples[0]


@check("data", slow=True)
def check_data_in_workers(subject: Subject) -> None:
    """Loader processes started by forkserver (Python 3.14's way) give the same samples.

    So does a source that is opened there: a resume opens it in another process.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise NotApplicable("this system has no forkserver")
    source = opened(subject)
    loader: DataLoader[Any] = DataLoader(
        _Loaded(source, subject.choose()),
        num_workers=1,
        collate_fn=_first,
        multiprocessing_context="forkserver",
    )
    with isolated():
        count = _loaded_there(source)
        for index, sample in enumerate(loader):
            require(not isinstance(sample, str), f"in a loader process: {sample}")
            what = f"sample {index % count} of a loader process"
            if index >= count:
                what += ", opened there (sort files and sets: their order is no promise)"
            _same_sample(what, loaded(source, index % count), sample)


def _same_sample(what: str, one: Sample, other: Sample) -> None:
    for name in one:
        a, b = np.asarray(one[name]), np.asarray(other[name])
        require(
            a.dtype == b.dtype and np.array_equal(a, b),
            f"{what}: {name!r} isn't the same, so a resume wouldn't be exact",
        )


def _fingerprint(sample: Sample) -> str:
    digest = hashlib.sha256()
    for name in sorted(sample):
        digest.update(name.encode() + np.ascontiguousarray(sample[name]).tobytes())
    return digest.hexdigest()
