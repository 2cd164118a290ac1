"""The data: drawn discs and squares on a coloured ground."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ganzoo.interfaces import Field, Split

from ganzoo_latent.options import ShapesOptions

SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Shapes:
    """A ground that changes its colour from left to right, and a disc and a square on it.

    Args:
        options: size and counts.
        split: train, val or test; no two splits share an image.
    """

    def __init__(self, options: ShapesOptions, split: Split) -> None:
        self.options = options
        self.split = split
        self.count = {"train": options.train, "val": options.val, "test": options.test}[split]

    @property
    def fields(self) -> Mapping[str, Field]:
        """What `load` returns, as networks see it: (C, H, W) in [-1, 1]."""
        size = self.options.size
        return {"real": Field((3, size, size), "ganzoo/image")}

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """Return an image, H x W x 3 uint8; chance comes from split and index alone.

        Raises:
            IndexError: when there is no such image.
        """
        del rng
        if not 0 <= index < self.count:
            raise IndexError(f"{self.split} has {self.count} images, there is no index {index}")
        chance = np.random.default_rng((SPLITS.index(self.split), index))
        size = self.options.size
        left, right, *colours = chance.uniform(0, 255, (4, 3))
        down, across = np.mgrid[:size, :size]
        share = (across / (size - 1))[..., None]
        image = (1 - share) * left + share * right
        for colour, square in zip(colours, (False, True), strict=True):
            radius = size * chance.uniform(0.12, 0.25)
            x, y = chance.uniform(radius, size - radius, 2)
            off = np.abs(across - x), np.abs(down - y)
            distance = np.maximum(*off) if square else np.hypot(*off)
            covered = (radius - distance + 0.5).clip(0, 1)[..., None]  # a soft edge of a pixel
            image += covered * (colour - image)
        return {"real": image.round().astype(np.uint8)}

    def name(self, index: int) -> str:
        """`000012`: how an image is called in reports."""
        return f"{index:06d}"
