"""Several samples at once: one array with an axis of samples, or a sequence of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from torch import Tensor

from ganzoo.interfaces import Shape

Arrays: TypeAlias = np.ndarray | Sequence[np.ndarray]
"""An array with an axis of samples first, or one or more arrays of one shape."""


def shape_of(arrays: Arrays) -> Shape:
    """Shape of one sample."""
    return arrays.shape[1:] if isinstance(arrays, np.ndarray) else arrays[0].shape


def places(made: Tensor, arrays: Arrays) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Pairs of a part of a batch and of the arrays that belong there, both with a sample axis."""
    if isinstance(arrays, np.ndarray):
        yield made, arrays
    else:
        for place, array in zip(made, arrays, strict=True):
            yield place[None], array[None]
