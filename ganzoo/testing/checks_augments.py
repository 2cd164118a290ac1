"""Checks of augments: one draw from `rng`, one geometry, and nothing else touched."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ganzoo.data.rng import drawn, isolated
from ganzoo.errors import DataError
from ganzoo.testing.compare import generators
from ganzoo.testing.kit import CheckFailed, NotTested, Unusable, check, require, told
from ganzoo.testing.subject import Subject

Sample: TypeAlias = "dict[str, np.ndarray]"

_SIDE, _BLOCK = 64, 8
_SEEDS = range(6)
_LABELS = (0, 40, 90, 200)
"""Far apart, so that a mean of two is none of them; 0 is what is filled in from outside."""
_IMAGES = ("source", "target")


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _sample() -> Sample:
    """Two equal images, their label map, a vector and a class: blocks of random classes.

    `source` is the label map as grey levels, so that the two can be compared after any geometry.
    """
    cells = _random(0).integers(len(_LABELS), size=(_SIDE // _BLOCK, _SIDE // _BLOCK))
    labels = np.array(_LABELS, np.uint8)[cells].repeat(_BLOCK, 0).repeat(_BLOCK, 1)
    image = np.ascontiguousarray(labels[:, :, None].repeat(3, 2))
    points, kind = np.array([0.5, -0.25], np.float32), np.array(3)
    return {
        "source": image,
        "target": image.copy(),
        "labels": labels,
        "points": points,
        "class": kind,
    }


def _built(subject: Subject) -> Callable[[Mapping[str, np.ndarray], Any], Any]:
    """The augment, which takes a plain sample.

    Raises:
        Unusable: it doesn't.
    """
    try:
        augment: Callable[[Mapping[str, np.ndarray], Any], Any] = subject.choose().build()
        augment(_sample(), _random(0))
    except Exception as error:
        message = f"of a plain sample it makes nothing: {told(error)}"
        raise Unusable(message, reported_by="check_augment_types") from error
    return augment


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
    augment = _built(subject)
    fixed: Sample | None = None
    for seed in _SEEDS:
        random = _random(seed)
        start = drawn(random)
        with isolated(1):
            before = generators()
            one = augment(_sample(), random)
            require(
                before == generators(),
                "it draws from a global random generator: take what is random from `rng`",
            )
        with isolated(2):
            other = augment(_sample(), _random(seed))
        differ = _different(one, other)
        require(not differ, f"with the same `rng` {differ} aren't the same: a resume isn't exact")
        if start == drawn(random):
            fixed = fixed or one
            differ = _different(fixed, one)
            require(
                not differ,
                f"{differ} change with `rng`, and nothing is drawn from it: call `rng` itself, "
                "never a copy of it or of its state",
            )


@check("augment")
def check_augment_types(subject: Subject) -> None:
    """It keeps names and sorts of arrays, and leaves the arrays given to it as they were.

    Images stay uint8, uint16 or float32 in [-1, 1] with three axes, label maps integers.
    """
    augment = _built(subject)
    for seed, dtype in enumerate((np.uint8, np.uint16, np.float32) * 2):
        given, kept = (_as(_sample(), np.dtype(dtype)) for _ in range(2))
        arrays = dict(given)
        try:
            result = augment(given, _random(seed))
        except DataError:
            continue  # what it can't do it may refuse, in words; it takes uint8
        require(
            isinstance(result, dict) and set(result) == set(kept),
            f"of a dict with {sorted(kept)} it makes a {type(result).__name__} with "
            f"{sorted(result)}: keep the keys",
        )
        changed = _different(kept, arrays)
        require(
            not changed and given.keys() == kept.keys(),
            f"it changes the sample given to it, in {changed}: copy before writing",
        )
        for name in _IMAGES:
            image = result[name]
            require(
                image.ndim == 3 and image.dtype in (np.uint8, np.uint16, np.float32),
                f"of the {kept[name].dtype} image {name!r} it makes {image.dtype} with "
                f"{image.ndim} axes: an image has three, and is uint8, uint16 or float32",
            )
            require(
                image.dtype != np.float32 or np.abs(image).max(initial=0) <= 1 + 1e-5,
                f"its image {name!r} has values from {image.min():.4g} to {image.max():.4g}: "
                "floats are in [-1, 1]",
            )
        for name, kinds in (("labels", "iu"), ("class", "iu"), ("points", "f")):
            made = result[name]
            require(
                made.dtype.kind in kinds and made.ndim == kept[name].ndim,
                f"of {name!r} it makes {made.dtype} with {made.ndim} axes",
            )


def _as(sample: Sample, dtype: np.dtype[Any]) -> Sample:
    for name in _IMAGES:
        if dtype == np.uint16:
            sample[name] = sample[name].astype(np.uint16) * 257
        elif dtype == np.float32:
            sample[name] = (sample[name] / 127.5 - 1).astype(np.float32)
    return sample


@check("augment")
def check_augment_one_geometry(subject: Subject) -> None:
    """Images and label maps of a sample get one geometry; no label is between two classes."""
    augment = _built(subject)
    compared = False
    for seed in _SEEDS:
        result = augment(_sample(), _random(seed))
        source, target, labels = (result[name] for name in ("source", "target", "labels"))
        sizes = {array.shape[:2] for array in (source, target, labels)}
        require(len(sizes) == 1, f"of images and labels of one size it makes {sorted(sizes)}")
        require(
            np.array_equal(source, target) or _alike(source, target) > 0.5,
            "two copies of one image come out unlike: draw the geometry once for a sample",
        )
        made_up = sorted(set(np.unique(labels).tolist()) - set(_LABELS))
        require(
            not made_up,
            f"of a label map of {_LABELS} it makes {made_up[:5]} too: resample with nearest "
            "neighbour, and leave values alone",
        )
        if len(np.unique(labels)) > 1 and len(np.unique(source)) > 1:
            compared = True
            require(
                _alike(source, labels) > 0.3,
                "the label map no longer lies on its image: give it the same geometry",
            )
    if not compared:
        raise NotTested("nothing is left of the picture that could be compared")


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
def check_augment_pickles(subject: Subject) -> None:
    """Pickled and back it does the same: loader processes get it so."""
    augment = _built(subject)
    try:
        copy = pickle.loads(pickle.dumps(augment))  # noqa: S301  # our own bytes
    except Exception as error:
        message = f"it doesn't pickle: {error!r} (no lambdas, locks or open files)"
        raise CheckFailed(message) from error
    differ = _different(augment(_sample(), _random(1)), copy(_sample(), _random(1)))
    require(not differ, f"after pickling it does otherwise: {differ}")
