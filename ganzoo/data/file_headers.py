"""Check before training, by the headers of a split's files, that they are readable and fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ganzoo.data.pipeline import PreparedData, unreadable
from ganzoo.errors import DataError

Sizes = Callable[[int], Mapping[str, tuple[int, int]]]

MOST = 20_000
"""The largest number of samples whose headers are read, which takes some seconds. In a larger
split, these samples are spread over the whole split."""


def try_extremes(data: PreparedData) -> None:
    """Apply the augmentation to the samples with the smallest and largest images.

    The sizes are read from the headers. Nothing is checked where the data source has no `sizes`
    (`DataSource.sizes`).

    Raises:
        DataError: when a sample can't be read, is too small for a crop, or has another size than
            the first one after augmentation. The error names the sample.
    """
    sizes: Sizes | None = getattr(data.source, "sizes", None)
    if sizes is None:
        return
    looked_at = np.linspace(0, len(data) - 1, min(len(data), MOST)).round().astype(int).tolist()
    extremes: dict[tuple[str, int, bool], tuple[int, int]] = {}
    for index in looked_at:
        try:
            found = sizes(index)
        except OSError as error:
            raise unreadable(error, data.name(index)) from error
        for name, sides in found.items():
            for axis, side in enumerate(sides):
                for largest in (False, True):
                    key, value = (name, axis, largest), -side if largest else side
                    extremes[key] = min(extremes.get(key, (value, index)), (value, index))
    try:
        for index in sorted({index for _, index in extremes.values()}):
            data.sample(index)
    except DataError as error:
        error.hint = "\n".join(
            filter(None, (error.hint, "`ganzoo data inspect` looks at every sample."))
        )
        raise
