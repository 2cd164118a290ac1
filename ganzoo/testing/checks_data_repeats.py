"""Checks of data: the same samples every time, in every split and in every process."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from ganzoo.api import Chosen
from ganzoo.data.rng import drawn, generator_for, isolated
from ganzoo.errors import DataError, GanzooError
from ganzoo.interfaces import DataSource
from ganzoo.testing.checks_data import Sample, loaded, opened
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import generators
from ganzoo.testing.subject import Subject

_LOOKED_AT = 16
"""Samples of a split that are looked at, at most."""
_NAMES = 10_000
"""Names of a split that are looked at, at most."""


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
