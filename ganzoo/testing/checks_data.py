"""Checks of data: samples are what the fields say, and the same ones in every process."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from ganzoo.api import Chosen
from ganzoo.data.convert import to_tensor
from ganzoo.data.formats import format_of, split_no_data
from ganzoo.data.rng import drawn, generator_for, isolated
from ganzoo.errors import DataError, DataMissing, GanzooError
from ganzoo.interfaces import DataSource, Field, Split
from ganzoo.plugin_system.component_choice import ChoiceError
from ganzoo.plugin_system.option_errors import key_of
from ganzoo.testing.compare import generators
from ganzoo.testing.kit import CheckFailed, NotApplicable, NotTested, Unusable, check, require, told
from ganzoo.testing.subject import Subject

Sample = Mapping[str, np.ndarray]

_LOOKED_AT = 16
"""Samples of a split that are looked at, at most."""
_NAMES = 10_000
"""Names of a split that are looked at, at most."""


def _opened(subject: Subject) -> DataSource:
    """The train split, of which one sample at least can be loaded.

    Raises:
        CheckFailed: it can't be opened, or is empty.
        NotTested: its files aren't there.
    """
    try:
        source: DataSource = subject.choose().build("train")
        count = len(source)
        if count:
            loaded(source, 0)
    except DataMissing as missing:
        raise NotTested(f"the data aren't there: {missing}") from missing
    except Exception as error:
        message = f"sample 0 can't be loaded: {told(error)}"
        raise CheckFailed(message) from error
    require(count, "its train split has no samples")
    return source


def opened(subject: Subject) -> DataSource:
    """The train split, for every check but `check_data_fields`.

    Raises:
        Unusable: there is none, and `check_data_fields` says why.
    """
    try:
        return _opened(subject)
    except (CheckFailed, NotTested) as reason:
        raise Unusable(str(reason), reported_by="check_data_fields") from reason


def loaded(source: DataSource, index: int, split: str = "train") -> Sample:
    """A sample, drawn as a run draws it."""
    return source.load(index, generator_for(0, split, 0, index))


@check("data")
def check_data_fields(subject: Subject) -> None:
    """Samples hold what `fields` says: names, shapes of sample 0, types, ranges and classes."""
    source = _opened(subject)
    fields = source.fields
    require(fields, "`fields` is empty")
    for name, field in fields.items():
        require(
            field.classes or field.shape or not format_of(field).indices,
            f"the field {name!r} is a class, and doesn't say of how many: Field((), "
            '"ganzoo/class", classes=...), from which tasks build their networks',
        )
    for index in np.linspace(0, len(source) - 1, min(len(source), _LOOKED_AT)).astype(int):
        sample = loaded(source, int(index))
        require(
            set(sample) == set(fields),
            f"sample {index} holds {sorted(sample)}, and its fields are {sorted(fields)}",
        )
        for name, field in fields.items():
            _fits(f"{name!r} of sample {index}", sample[name], field, shape=index == 0)


def _fits(what: str, array: Any, field: Field, *, shape: bool) -> None:
    require(
        isinstance(array, np.ndarray) or (not field.shape and np.ndim(array) == 0),
        f"{what} is a {type(array).__name__}, not an array",
    )
    array = np.asarray(array)
    if field.nodata is not None:
        array = split_no_data({what: array}, {what: field})[what]
    try:
        tensor = to_tensor(array, field)
    except DataError as error:
        raise CheckFailed(f"{what}: {error.message}") from error
    require(
        not shape or tuple(tensor.shape) == tuple(field.shape),
        f"{what} is {tuple(tensor.shape)} as a network sees it, and its field says "
        f"{tuple(field.shape)}",
    )
    if array.dtype.kind == "f":
        require(array.dtype == np.float32, f"{what} is {array.dtype}: floats are float32")
        low, high = field.range or (-np.inf, np.inf)
        slack = 1e-6 * (high - low) if field.range else 0
        require(
            low - slack <= array.min() and array.max() <= high + slack,
            f"{what} has values from {array.min():.4g} to {array.max():.4g}, not from "
            f"{low:g} to {high:g}",
        )
    elif field.dtype:
        require(array.dtype == field.dtype, f"{what} is {array.dtype}, not {field.dtype}")


@check("data")
def check_data_arrays(subject: Subject) -> None:
    """`arrays`, where it is offered, holds bit for bit what `load` gives, which draws nothing."""
    source = opened(subject)
    arrays = getattr(source, "arrays", None)
    if arrays is None:
        raise NotApplicable("it offers no `arrays`")
    lengths = {name: len(rows) for name, rows in arrays.items()}
    wanted = dict.fromkeys(source.fields, len(source))
    require(lengths == wanted, f"`arrays` has rows of {lengths}, and the data has {wanted}")
    for index in sorted({0, len(source) // 2, len(source) - 1}):
        random = generator_for(0, "train", 0, index)
        before = drawn(random)
        sample = source.load(index, random)
        require(
            before == drawn(random),
            "load() draws from its `rng`, and `arrays` can't: leave `arrays` out",
        )
        row = {name: rows[index] for name, rows in arrays.items()}
        _same_sample(f"row {index} of `arrays`, beside what load() gives", sample, row)


@check("data")
def check_data_metrics(subject: Subject) -> None:
    """The metrics that it adds to an evaluation are installed, with options that are legal."""
    proposed = getattr(opened(subject), "metrics", ())
    if not proposed:
        raise NotApplicable("it adds no metrics")
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
    what = f"index {len(source)} of {len(source)}"
    try:
        loaded(source, len(source))
    except (IndexError, DataError):
        return
    except Exception as error:
        raise CheckFailed(f"{what} raises {error!r}: raise an IndexError") from error
    raise CheckFailed(f"{what} gives a sample: raise an IndexError")


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
    what = (
        f"sample {index} draws nothing from `rng`, and changes with it (call `rng`, never a copy)"
    )
    _same_sample(what, *made)


@check("data")
def check_data_names(subject: Subject) -> None:
    """Names of samples are unique, whatever its options say, and good as names of files."""
    _unique("", opened(subject))
    options = subject.choose().options
    for name, info in type(options).model_fields.items():
        number, key = getattr(options, name), key_of(name, info)
        for value in {number + 1, 2 * number} - {number} if type(number) is int else ():
            try:
                source = subject.choose(**{key: value}).build("train")
            except (ChoiceError, GanzooError):
                continue  # a limit of its own
            _unique(f"with {key} = {value}, ", source)


def _unique(where: str, source: DataSource) -> None:
    seen: dict[str, int] = {}
    for index in range(min(len(source), _NAMES)):
        name = source.name(index)
        what = f"{where}sample {index} is called {name!r}"
        require(
            isinstance(name, str) and name and name == name.strip() and len(name) <= 200,
            f"{what}: give 1 to 200 characters, no blanks around them",
        )
        require(
            name not in {".", ".."} and not set(name) & set('/\\:*?"<>|\0\n\r\t'),
            f"{what}, which is no name for a file",
        )
        require(name not in seen, f"{what}, as sample {seen.get(name)} is: files are named by it")
        seen[name] = index


@check("data")
def check_data_splits(subject: Subject) -> None:
    """Training shares no sample with val and test; these two may, if `notes` says so."""
    sources: dict[Split, DataSource] = {"train": opened(subject)}
    pairs: tuple[tuple[Split, Split], ...] = (("train", "val"), ("train", "test"), ("val", "test"))
    missing = []
    for split in pairs[-1]:
        try:
            sources[split] = subject.choose().build(split)
        except DataMissing as error:
            missing.append(f"the data of its {split} split aren't there: {error}")
        except DataError:
            continue  # it has no such split
    prints = {}
    for split, source in sources.items():
        few = range(min(len(source), _LOOKED_AT))
        prints[split] = {_fingerprint(loaded(source, i, split)): source.name(i) for i in few}
    for one, other in (pair for pair in pairs if {*pair} <= prints.keys()):
        shared = prints[one].keys() & prints[other].keys()
        said = one == "val" and any(getattr(sources[split], "notes", ()) for split in (one, other))
        names = sorted(prints[one][print_] for print_ in shared)
        require(
            not shared or said,
            f"{one} and {other} share samples, such as {names[:3]}: what is judged must be new",
        )
    if missing:
        raise NotTested("\n".join(missing))
    if len(sources) == 1:
        raise NotApplicable("it has no split but train")


def _fingerprint(sample: Sample) -> str:
    digest = hashlib.sha256()
    for name in sorted(sample):
        digest.update(name.encode() + np.ascontiguousarray(sample[name]).tobytes())
    return digest.hexdigest()


@check("data")
def check_data_pickles(subject: Subject) -> None:
    """Pickled and back it gives the same samples: loader processes get it so."""
    source = opened(subject)
    try:
        copy: DataSource = pickle.loads(pickle.dumps(source))  # noqa: S301  # our own bytes
    except Exception as error:
        message = f"it doesn't pickle: {error!r} (open files in load(), not in __init__)"
        raise CheckFailed(message) from error
    require(len(copy) == len(source), f"{len(source)} samples become {len(copy)} by pickling")
    require(dict(copy.fields) == dict(source.fields), "its fields change by pickling")
    for index in range(min(len(source), 3)):
        _same_sample(f"sample {index} after pickling", loaded(source, index), loaded(copy, index))


class _Loaded(Dataset[Any]):
    """Samples for a loader: of the source that it was given, then of one that it opens itself.

    An error is a value, which comes back whole.
    """

    def __init__(self, source: DataSource, chosen: Chosen) -> None:
        self.source = source
        self.chosen = chosen
        self.count = min(len(source), 3)

    def __len__(self) -> int:
        return 2 * self.count

    def __getitem__(self, index: int) -> Any:
        try:
            if index < self.count:
                return dict(loaded(self.source, index))
            return dict(loaded(self.chosen.build("train"), index - self.count))
        except GanzooError as error:
            return str(error)


@check("data", slow=True)
def check_data_in_workers(subject: Subject) -> None:
    """Loader processes started by forkserver (Python 3.14's way) give the same samples.

    So does a source that is opened there: a resume opens it in another process.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise NotTested("this system has no forkserver")
    source = opened(subject)
    samples = _Loaded(source, subject.choose())
    loader: DataLoader[Any] = DataLoader(
        samples, num_workers=1, collate_fn=itemgetter(0), multiprocessing_context="forkserver"
    )
    with isolated():
        for index, sample in enumerate(loader):
            require(not isinstance(sample, str), f"in a loader process: {sample}")
            what = f"sample {index % samples.count} of a loader process"
            if index >= samples.count:
                what += ", opened there (sort files and sets: their order isn't fixed)"
            _same_sample(what, loaded(source, index % samples.count), sample)


def _same_sample(what: str, one: Sample, other: Sample) -> None:
    for name in one:
        a, b = np.asarray(one[name]), np.asarray(other[name])
        require(
            a.dtype == b.dtype and np.array_equal(a, b),
            f"{what}: {name!r} isn't the same, so a resume wouldn't be exact",
        )
