"""Mixtures of Gaussians in the plane: a plot of the samples shows which modes a GAN finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.interfaces import Field, Split
from ganzoo_gan.points_options import GridOptions, RingOptions

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Mixture:
    """Data source of points of equal round Gaussians; split and seed determine all of them.

    The field is `real`, points (2,). All points of a split are in `arrays`.

    Args:
        options: centres, standard deviation and counts.
        split: `train`, `val` or `test`; each has a separate random stream.
    """

    def __init__(self, options: RingOptions | GridOptions, split: Split) -> None:
        self.options = options
        count = {"train": options.train, "val": options.val, "test": options.test}[split]
        stream = np.random.SeedSequence((options.seed, _SPLITS.index(split)))
        rng = np.random.Generator(np.random.PCG64(stream))
        centres = np.array(options.centres())
        points = centres[rng.integers(len(centres), size=count)]
        points += options.std * rng.standard_normal((count, 2))
        self.arrays: Mapping[str, np.ndarray] = {"real": points.astype(np.float32)}

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return `real`, two coordinates."""
        return {"real": Field((2,), "ganzoo/points")}

    @property
    def metrics(self) -> tuple[Mapping[str, Any], ...]:
        """Return the metric that counts these modes in a generator's samples."""
        centres = [list(centre) for centre in self.options.centres()]
        return ({"use": "gan/modes", "centres": centres, "std": self.options.std},)

    def __len__(self) -> int:
        return len(self.arrays["real"])

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return point `index`, float32 of shape (2,).

        Args:
            index: 0 to `len(self) - 1`.
            rng: not used, because the points were drawn when the source was created.

        Raises:
            IndexError: when there is no such point.
        """
        if not 0 <= index < len(self):
            message = f"there are {len(self)} points, and no index {index}"
            raise IndexError(message)
        return {"real": self.arrays["real"][index]}

    def name(self, index: int) -> str:
        """Return the index with six digits: `000012`."""
        return f"{index:06d}"
