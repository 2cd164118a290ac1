"""Drawn pairs whose mapping can be learnt without pairs: grey shapes (A) and coloured ones (B).

Each picture has four shapes, discs or squares, on a ground that both sides share. On average, three
of four shapes are dark in A and red in B. The others are light in A and blue in B. Without pairs,
the adversarial loss alone allows any mapping of greys to colours. The cycle term requires that the
grey can be recovered from the colour, which leaves two mappings. The frequencies of the colours
leave only one of these.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganzoo.interfaces import Field, Split
from ganzoo_cyclegan.options import ShapesOptions

GROUND = (120, 160, 120)
SOURCE = ((60, 60, 70), (230, 230, 220))
"""The colours of the frequent and of the rare shapes in A."""
TARGET = ((200, 60, 40), (40, 90, 190))
"""The colours of the same shapes in B. Neither colour of A is clearly nearer to one of B's
colours."""
FREQUENT = 0.75
"""The share of the frequent shapes."""
SIDES = (0.75, 0.95)
"""The smallest and the largest side of a shape, as a share of the side of its quarter. Together the
shapes cover a bit more than half of the image."""

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Shapes:
    """Data source of drawn pairs; a sample is a function of (seed, split, index) alone.

    The fields are `source` and `target`, 3 x size x size images of the same shapes in the colours
    of A and of B.
    """

    notes = ("cyclegan/shapes: drawn pictures, not photographs",)

    def __init__(self, options: ShapesOptions, split: Split) -> None:
        self.options = options
        self.split: Split = split
        self._count = {"train": options.train, "val": options.val, "test": options.test}[split]

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return the shapes and kinds of `source` and `target`."""
        shape = (3, self.options.size, self.options.size)
        return {"source": Field(shape, "ganzoo/image"), "target": Field(shape, "ganzoo/image")}

    def __len__(self) -> int:
        return self._count

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Draw a pair, both size x size x 3 uint8; nothing is drawn from `rng`.

        Raises:
            IndexError: when there is no such sample.
        """
        if not 0 <= index < self._count:
            message = f"{self.split} has {self._count} samples, there is no index {index}"
            raise IndexError(message)
        size = self.options.size
        random = np.random.default_rng((self.options.seed, _SPLITS.index(self.split), index))
        source = np.full((size, size, 3), GROUND, np.uint8)
        target = source.copy()
        y, x = np.mgrid[0:size, 0:size] + 0.5
        quarter = size / 2
        for top in (0.0, quarter):
            for left in (0.0, quarter):
                side = quarter * random.uniform(*SIDES)
                dy = y - top - side / 2 - random.uniform(0, quarter - side)
                dx = x - left - side / 2 - random.uniform(0, quarter - side)
                disc = random.random() < 0.5
                far = np.hypot(dy, dx) if disc else np.maximum(abs(dy), abs(dx))
                inside = far <= side / 2
                kind = int(random.random() >= FREQUENT)
                source[inside], target[inside] = SOURCE[kind], TARGET[kind]
        return {"source": source, "target": target}

    def name(self, index: int) -> str:
        """Return the index with six digits: `000012`."""
        return f"{index:06d}"
