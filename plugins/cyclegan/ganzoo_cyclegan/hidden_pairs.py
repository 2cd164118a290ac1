"""Pairs that training doesn't get to see as pairs, and that results are scored on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ganzoo.errors import DataError
from ganzoo.interfaces import DataSource, Field

if TYPE_CHECKING:
    from ganzoo.interfaces import Split
    from ganzoo_cyclegan.options import HiddenPairsOptions

IMAGES = ("source", "target")


class HiddenPairs:
    """Other data's pairs: taken apart in training, as they are in validation and test.

    The training pairs are dealt into two halves. One gives its sources, the other its targets, so
    that no source has its partner among the targets. Each source comes once an epoch, beside a
    target drawn at random; fields other than the two belong to the source's pair.

    Raises:
        DataError: when the data have no fields source and target, or only one training pair;
            and whatever the data raise.
    """

    def __init__(self, options: HiddenPairsOptions, split: Split) -> None:
        self.pairs: DataSource = options.pairs.build(split)
        absent = [name for name in IMAGES if name not in self.pairs.fields]
        if absent:
            raise DataError(
                f"{options.pairs.id} has no {absent[0]}: there are no pairs to be hidden",
                hint=f"Its fields are: {', '.join(self.pairs.fields)}.",
            )
        self.apart = self.drawn = split == "train"
        self.notes: tuple[str, ...] = tuple(getattr(self.pairs, "notes", ()))
        self.metrics: tuple[object, ...] = tuple(getattr(self.pairs, "metrics", ()))
        order = np.arange(len(self.pairs))
        if self.apart:
            if len(order) < 2:
                raise DataError(
                    f"{options.pairs.id} has {len(order)} training pair: two are the least that "
                    "can be taken apart"
                )
            order = np.random.Generator(np.random.PCG64(options.seed)).permutation(order)
            half = (len(order) + 1) // 2
            self.sources, self.targets = np.sort(order[:half]), np.sort(order[half:])
            said = (
                f"{options.pairs.id}: its training pairs are taken apart, {half} sources and "
                f"{len(order) - half} targets of other pairs."
            )
            self.notes = (*self.notes, said)
        else:
            self.sources = self.targets = order

    @property
    def fields(self) -> Mapping[str, Field]:
        """Those of the pairs; source and target aren't aligned in training."""
        fields = dict(self.pairs.fields)
        if self.apart:
            fields |= {name: replace(fields[name], aligned=False) for name in IMAGES}
        return fields

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def own_names(self) -> dict[str, list[str]]:
        """Of the two halves, where nothing is drawn: pair i of each is shown by sample i."""
        if self.drawn or not self.apart:
            return {}
        halves = {"source": self.sources, "target": self.targets}
        return {
            name: [self.pairs.name(int(index)) for index in half] for name, half in halves.items()
        }

    def undrawn(self) -> HiddenPairs:
        """The same with nothing drawn: the targets of other pairs follow each other."""
        other = copy.copy(self)
        other.drawn = False
        return other

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Pair `index`; in training with the target of another one, drawn from `rng`.

        Raises:
            IndexError: when there's no such sample.
            DataError: as the pairs do.
        """
        if not 0 <= index < len(self):
            message = f"there are {len(self)} samples, and no index {index}"
            raise IndexError(message)
        sample = dict(self.pairs.load(int(self.sources[index]), rng))
        if self.apart:
            place = rng.integers(len(self.targets)) if self.drawn else index % len(self.targets)
            other = int(self.targets[place])
            sample["target"] = self.pairs.load(other, rng)["target"]
        return sample

    def name(self, index: int) -> str:
        """Name of the pair that the source is from."""
        return self.pairs.name(int(self.sources[index]))
