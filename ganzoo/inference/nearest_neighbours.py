"""Does a generator copy? Each sample beside the training images that are nearest to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ganzoo.data.convert import to_uint8
from ganzoo.data.pipeline import PreparedData
from ganzoo.inference.baselines import resized

NEAREST = 3
"""Neighbours that are shown of each sample."""

_AT_ONCE = 256


@dataclass(frozen=True)
class Neighbours:
    """The training images nearest to some samples.

    Args:
        distances: of each sample to its neighbours, the nearest first; N x K. Euclidean over all
            values of an image, in [-1, 1].
        indices: which training images these are.
        held_out: distance of each image held out from training to its nearest training image: what
            to expect of a generator that doesn't copy.
    """

    distances: np.ndarray
    indices: np.ndarray
    held_out: np.ndarray


def find_neighbours(
    samples: np.ndarray,
    train: PreparedData,
    held_out: PreparedData,
    field: str,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Neighbours:
    """Compare samples with every training image.

    Args:
        samples: N x H x W x C uint8.
        train: the training split in its form for evaluation, without random changes. Images of
            another size are brought to that of the samples.
        held_out: a split that wasn't trained on; as many of it as there are samples are looked at,
            evenly spaced.
        field: the images' name in both.
        done: called with the number of training images done and their total.

    Raises:
        DataError: an image can't be read.
    """
    size = samples.shape[1:]
    count = min(len(samples), len(held_out))
    others = np.linspace(0, len(held_out) - 1, count).astype(int)
    queries = np.concatenate((samples, images(held_out, others, field, size)))
    wanted = min(NEAREST, len(train))
    best = np.full((len(queries), wanted), np.inf)
    which = np.zeros((len(queries), wanted), dtype=int)
    for start in range(0, len(train), _AT_ONCE):
        indices = np.arange(start, min(start + _AT_ONCE, len(train)))
        squares = _squares(queries, images(train, indices, field, size))
        every = np.concatenate((best, squares), 1)
        names = np.concatenate((which, np.broadcast_to(indices, squares.shape)), 1)
        order = every.argsort(1, kind="stable")[:, :wanted]
        best, which = np.take_along_axis(every, order, 1), np.take_along_axis(names, order, 1)
        done(int(indices[-1]) + 1, len(train))
    distances = np.sqrt(best) / 127.5
    own = len(samples)
    return Neighbours(distances[:own], which[:own], distances[own:, 0])


def images(
    data: PreparedData, indices: Sequence[int] | np.ndarray, field: str, size: tuple[int, ...]
) -> np.ndarray:
    """Images of a split, N x H x W x C uint8; `size` is (H, W, C)."""
    shape = (size[2], *size[:2])
    found = [resized(to_uint8(data.sample(int(index))[field]), shape) for index in indices]
    return np.stack(found)


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances between two sets of 8-bit images: whole numbers, and as such exact."""
    a, b = (one.reshape(len(one), -1).astype(np.float64) for one in (a, b))
    squares: np.ndarray = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * (a @ b.T)
    return squares
