"""Drawn pairs."""

from __future__ import annotations
from collections.abc import Mapping
import numpy as np
from ganzoo.interfaces import Field, Split
from ganzoo_cyclegan.options import ShapesOptions

VARIANT = None
_SPLITS = ("train", "val", "test")


class Shapes:
    def __init__(self, options: ShapesOptions, split: Split) -> None:
        self.options = options
        self.split = split
        self._count = {"train": options.train, "val": options.val, "test": options.test}[split]
        self.cache = {}

    @property
    def fields(self) -> Mapping[str, Field]:
        shape = (3, self.options.size, self.options.size)
        return {"source": Field(shape, "image"), "target": Field(shape, "image")}

    def __len__(self) -> int:
        return self._count

    def load(self, index, rng=None):
        if not 0 <= index < self._count:
            raise IndexError(index)
        if index not in self.cache:
            self.cache[index] = self.draw(index)
        return self.cache[index]

    def draw(self, index):
        n = self.options.size
        r = np.random.default_rng((self.options.seed, _SPLITS.index(self.split), index))
        y, x = np.mgrid[0:n, 0:n]
        V = VARIANT or "stripes"
        cell = n // 2
        src = np.full((n, n, 3), (120, 160, 120), np.uint8)
        tgt = src.copy()
        for cy in (0, 1):
            for cx in (0, 1):
                s = r.integers(12, 16)
                h = s / 2
                my = cy * cell + h + r.random() * (cell - s)
                mx = cx * cell + h + r.random() * (cell - s)
                disc = r.random() < 0.5
                m = (
                    ((y - my + 0.5) ** 2 + (x - mx + 0.5) ** 2 <= h * h)
                    if disc
                    else (np.maximum(abs(y - my + 0.5), abs(x - mx + 0.5)) <= h * 0.9)
                )
                common = r.random() < 0.75
                if V == "stripes":
                    p = r.integers(4)
                    st = ((x if common else y) + p) % 4 < 2
                    src[m & st] = (240, 240, 240)
                    src[m & ~st] = (130, 130, 130)
                    tgt[m] = (200, 60, 40) if common else (40, 90, 190)
                elif V == "two":
                    src[m] = (60, 60, 70) if common else (230, 230, 220)
                    tgt[m] = (200, 60, 40) if common else (40, 90, 190)
                elif V == "three":
                    k = r.choice(3, p=(0.55, 0.3, 0.15))
                    src[m] = ((60, 60, 70), (230, 230, 220), (145, 145, 145))[k]
                    tgt[m] = ((200, 60, 40), (40, 90, 190), (240, 200, 40))[k]
                else:  # grey levels
                    t = r.beta(1.2, 2.5)
                    src[m] = np.array((90, 90, 90)) + t * np.array((150, 150, 150))
                    ramp = np.array([(250, 190, 60), (220, 60, 60), (90, 20, 110)], float)
                    f = t * 2
                    i = min(int(f), 1)
                    tgt[m] = ramp[i] + (f - i) * (ramp[i + 1] - ramp[i])
        return {"source": src, "target": tgt}

    def name(self, index):
        return f"{index:06d}"
