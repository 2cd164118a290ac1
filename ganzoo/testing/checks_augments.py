"""What is demanded of augments: one draw from `rng`, one geometry, and nothing else touched."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganzoo.data.rng import drawn, isolated
from ganzoo.errors import DataError
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.networks import generators
from ganzoo.testing.subject import Subject

Sample = dict[str, np.ndarray]

_SIDE = 64
_BLOCK = 8
_SEEDS = range(6)
_LABELS = (0, 40, 90, 200)
"""Far apart, so that a mean of two is none of them; 0 is what is filled in from outside."""


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def made_up_sample() -> Sample:
    """Two equal images, their label map, a vector and a class: blocks of random classes.

    `source` is the label map as grey levels, so that the two can be compared after any geometry.
    """
    cells = _random(0).integers(len(_LABELS), size=(_SIDE // _BLOCK, _SIDE // _BLOCK))
    levels = np.array(_LABELS, np.uint8)[cells]
    labels = levels.repeat(_BLOCK, 0).repeat(_BLOCK, 1)
    image = np.ascontiguousarray(labels[:, :, None].repeat(3, 2))
    return {
        "source": image,
        "target": image.copy(),
        "labels": labels,
        "points": np.array([0.5, -0.25], np.float32),
        "class": np.array(3),
    }


def _augment(subject: Subject) -> Callable[[Mapping[str, np.ndarray], Any], Any]:
    augment: Callable[[Mapping[str, np.ndarray], Any], Any] = subject.choose().build()
    return augment


def _copy(sample: Mapping[str, np.ndarray]) -> Sample:
    return {name: array.copy() for name, array in sample.items()}


def _different(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> list[str]:
    """Names of arrays that aren't the same."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if name not in one
        or name not in other
        or np.asarray(one[name]).dtype != np.asarray(other[name]).dtype
        or not np.array_equal(one[name], other[name])
    ]


@check("augment")
def check_augment_draws_from_rng(subject: Subject) -> None:
    """The same `rng` gives the same result, and no global random generator is drawn from."""
    augment = _augment(subject)
    fixed: Sample | None = None
    for seed in _SEEDS:
        random = _random(seed)
        start = drawn(random)
        with isolated(1):
            before = generators()
            one = augment(made_up_sample(), random)
            require(
                before == generators(),
                "it draws from a global random generator: take what is random from `rng`",
            )
        with isolated(2):
            other = augment(made_up_sample(), _random(seed))
        differ = _different(one, other)
        require(not differ, f"with the same `rng` {differ} aren't the same: a resume isn't exact")
        if start != drawn(random):
            continue
        fixed = fixed or one
        differ = _different(fixed, one)
        require(
            not differ,
            f"{differ} change with `rng`, and nothing is drawn from it: call `rng` itself, never a "
            "copy of it or of its state",
        )


@check("augment")
def check_augment_leaves_its_input(subject: Subject) -> None:
    """It gives a dict with the same keys, and leaves the arrays given to it as they were."""
    augment = _augment(subject)
    for seed in _SEEDS:
        given = made_up_sample()
        kept, arrays = _copy(given), dict(given)
        result = augment(given, _random(seed))
        require(isinstance(result, dict), f"it gives a {type(result).__name__}, not a dict")
        require(
            set(result) == set(kept), f"of {sorted(kept)} it makes {sorted(result)}: keep the keys"
        )
        changed = _different(kept, arrays)
        require(
            not changed and given.keys() == kept.keys(),
            f"it changes the sample given to it, in {changed}: copy before writing",
        )


@check("augment")
def check_augment_types(subject: Subject) -> None:
    """Images stay uint8, uint16 or float32 in [-1, 1] with three axes, label maps integers."""
    augment = _augment(subject)
    for dtype in (np.uint8, np.uint16, np.float32):
        given = made_up_sample()
        for name in ("source", "target"):
            given[name] = _as(given[name], dtype)
        try:
            result = augment(given, _random(0))
        except DataError as error:
            if dtype is np.uint8:
                message = f"it refuses a plain sample: {error}"
                raise CheckFailed(message) from error
            continue  # what it can't do it may refuse, in words
        for name in ("source", "target"):
            _is_image(name, np.dtype(dtype), result[name])
        labels = result["labels"]
        require(
            labels.dtype.kind in "iu" and labels.ndim == 2,
            f"of a label map it makes {labels.dtype} with {labels.ndim} axes",
        )
        require(
            result["points"].dtype == np.float32 and result["class"].dtype.kind in "iu",
            "it changes the type of points or of a class",
        )


def _is_image(name: str, given: np.dtype[Any], image: np.ndarray) -> None:
    require(
        image.ndim == 3 and image.dtype in (np.uint8, np.uint16, np.float32),
        f"of the {given} image {name!r} it makes {image.dtype} with {image.ndim} axes: an image "
        "has three, and is uint8, uint16 or float32",
    )
    if image.dtype == np.float32:
        require(
            bool(np.isfinite(image).all()) and np.abs(image).max(initial=0) <= 1 + 1e-5,
            f"its image {name!r} has values from {image.min():.4g} to {image.max():.4g}: floats "
            "are in [-1, 1]",
        )


def _as(image: np.ndarray, dtype: Any) -> np.ndarray:
    if dtype is np.uint16:
        return image.astype(np.uint16) * 257
    return (image / 127.5 - 1).astype(np.float32) if dtype is np.float32 else image


@check("augment")
def check_augment_one_geometry(subject: Subject) -> None:
    """All images and label maps of a sample get the same geometry."""
    augment = _augment(subject)
    compared = False
    for seed in _SEEDS:
        result = augment(made_up_sample(), _random(seed))
        source, target, labels = (result[name] for name in ("source", "target", "labels"))
        sizes = {array.shape[:2] for array in (source, target, labels)}
        require(len(sizes) == 1, f"of images and labels of one size it makes {sorted(sizes)}")
        require(
            np.array_equal(source, target) or _alike(source, target) > 0.5,
            "two copies of one image come out unlike: draw the geometry once for a sample",
        )
        if len(np.unique(labels)) > 1 and len(np.unique(source)) > 1:
            compared = True
            require(
                _alike(source, labels) > 0.3,
                "the label map no longer lies on its image: give it the same geometry",
            )
    if not compared:
        raise NotApplicable("nothing is left of the picture that could be compared")


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """How much of one picture is told by the other, 0 to 1, whatever the values became.

    The share of variance of the first one that is between the groups of equal values of the other.
    """
    a = one.reshape(*one.shape[:2], -1).mean(2).ravel().astype(np.float64)
    b = other.reshape(*other.shape[:2], -1).mean(2).ravel()
    groups = np.minimum((b - b.min()) * 16 // max(float(np.ptp(b)), 1e-9), 15)
    spread = a.var()
    if spread == 0:
        return 1.0
    within = sum(a[groups == g].var() * (groups == g).mean() for g in np.unique(groups))
    return float(1 - within / spread)


@check("augment")
def check_augment_label_values(subject: Subject) -> None:
    """A label map keeps its set of values (0 may be filled in): nothing between two classes."""
    augment = _augment(subject)
    for seed in _SEEDS:
        labels = augment(made_up_sample(), _random(seed))["labels"]
        made_up = sorted(set(np.unique(labels).tolist()) - set(_LABELS))
        require(
            not made_up,
            f"of a label map of {_LABELS} it makes {made_up[:5]} too: resample with nearest "
            "neighbour, and leave values alone",
        )


@check("augment")
def check_augment_pickles(subject: Subject) -> None:
    """Pickled and back it does the same: loader processes get it so."""
    augment = _augment(subject)
    augment(made_up_sample(), _random(0))  # what is made at the first use travels too
    try:
        copy = pickle.loads(pickle.dumps(augment))  # noqa: S301  # our own bytes
    except Exception as error:
        message = f"it doesn't pickle: {error!r} (no lambdas, locks or open files)"
        raise CheckFailed(message) from error
    differ = _different(augment(made_up_sample(), _random(1)), copy(made_up_sample(), _random(1)))
    require(not differ, f"after pickling it does otherwise: {differ}")
