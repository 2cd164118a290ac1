"""Three digits as the channels of one image: 1,000 modes that a classifier can count.

The data set is that of Metz et al., Unrolled GANs (arXiv 1611.02163, section 3.3.1). PacGAN
(1712.04086) and R3GAN (2501.05441) are measured on it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from ganzoo.interfaces import Field, Split
from ganzoo_gan.data_options import StackedDigitsOptions
from ganzoo_gan.digits import labelled

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


class StackedDigits:
    """Data source of stacked digits; a sample is a function of (seed, split, index) alone.

    The field is `real` (3 x S x S image). Its channels are digits of the same split of the source.
    They are drawn independently and with replacement.
    """

    def __init__(self, options: StackedDigitsOptions, split: Split) -> None:
        self.options = options
        self.split: Split = split
        self._count = {"train": options.train, "val": options.val, "test": options.test}[split]
        self.metrics = ({"use": "gan/digit_modes", "source": options.source},)
        labelled(options.source, options.size, split)  # a missing package raises here

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `real`, an RGB image."""
        return {"real": Field((3, self.options.size, self.options.size), "ganzoo/image")}

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the whole split: `real` N x S x S x 3 uint8."""
        return {"real": _stacked(self.options, self.split, self._count)}

    @property
    def modes(self) -> np.ndarray:
        """Return each sample's mode, N int64: the digits of red, green and blue as one number."""
        digits = labelled(self.options.source, self.options.size, self.split)
        red, green, blue = digits.labels[self._drawn()].T
        modes: np.ndarray = 100 * red + 10 * green + blue
        return modes

    def __len__(self) -> int:
        return self._count

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return one sample, `real` S x S x 3 uint8; it depends on seed, split and index alone.

        Raises:
            IndexError: when there is no such sample.
        """
        if not 0 <= index < self._count:
            message = f"{self.split} has {self._count} samples, there is no index {index}"
            raise IndexError(message)
        images = labelled(self.options.source, self.options.size, self.split).images
        return {"real": np.ascontiguousarray(np.moveaxis(images[self._drawn()[index]], 0, 2))}

    def name(self, index: int) -> str:
        """Return the index with six digits: `000012`."""
        return f"{index:06d}"

    def _drawn(self) -> np.ndarray:
        options = self.options
        pool = len(labelled(options.source, options.size, self.split).labels)
        return _draws(options.seed, self.split, pool, self._count)


@lru_cache(maxsize=8)
def _draws(seed: int, split: Split, pool: int, count: int) -> np.ndarray:
    """Return which digits are stacked: count x 3, each of 0 to pool - 1.

    They are drawn row by row, so a row doesn't depend on the count.
    """
    random = np.random.Generator(np.random.PCG64([seed, _SPLITS.index(split)]))
    drawn = random.integers(pool, size=(count, 3))
    drawn.setflags(write=False)
    return drawn


@lru_cache(maxsize=3)
def _stacked(options: StackedDigitsOptions, split: Split, count: int) -> np.ndarray:
    digits = labelled(options.source, options.size, split)
    drawn = _draws(options.seed, split, len(digits.labels), count)
    stacked = np.empty((count, options.size, options.size, 3), np.uint8)
    for channel in range(3):
        stacked[..., channel] = digits.images[drawn[:, channel]]
    stacked.setflags(write=False)
    return stacked
