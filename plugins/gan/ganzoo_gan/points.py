"""Mixtures of Gaussians in the plane: whether a GAN finds every mode is seen at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganzoo.interfaces import Field, Split
from ganzoo_gan.points_options import GridOptions, RingOptions

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Mixture:
    """Points of equal round Gaussians; split and seed settle all of them.

    Field: `real`, points (2,). All of a split is in `arrays`.

    Args:
        options: centres, standard deviation and counts.
        split: `train`, `val` or `test`; each has a stream of its own.
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
        """`real`, two coordinates."""
        return {"real": Field((2,), "points")}

    @property
    def metrics(self) -> tuple[Mapping[str, Any], ...]:
        """How many of these modes a generator hits, and how well."""
        centres = [list(centre) for centre in self.options.centres()]
        return ({"use": "gan/modes", "centres": centres, "std": self.options.std},)

    def __len__(self) -> int:
        return len(self.arrays["real"])

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Point `index`, float32 of shape (2,).

        Args:
            index: 0 to `len(self) - 1`.
            rng: not used; the points are drawn already.

        Raises:
            IndexError: there's no such point.
        """
        if not 0 <= index < len(self):
            message = f"there are {len(self)} points, and no index {index}"
            raise IndexError(message)
        return {"real": self.arrays["real"][index]}

    def name(self, index: int) -> str:
        """`000012`."""
        return f"{index:06d}"
