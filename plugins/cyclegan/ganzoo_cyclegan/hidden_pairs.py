"""Pairs that are separated for training, and kept for the metrics."""

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
    """Data source of another source's pairs: separated in training, complete in val and test.

    The training pairs are dealt into two halves. The sources come from one half and the targets
    from the other, so that no source has its partner among the targets. Each source occurs once in
    an epoch, beside a randomly drawn target. All other fields belong to the source's pair.

    Raises:
        DataError: when the data have no fields `source` and `target`, or fewer than two training
            pairs. Errors of the data themselves are passed on.
    """

    def __init__(self, options: HiddenPairsOptions, split: Split) -> None:
        self.pairs: DataSource = options.pairs.build(split)
        absent = [name for name in IMAGES if name not in self.pairs.fields]
        if absent:
            raise DataError(
                f"{options.pairs.id} has no {absent[0]}, so there are no pairs to separate",
                hint=f"Its fields are: {', '.join(self.pairs.fields)}.",
            )
        self.apart = self.drawn = split == "train"
        self.notes: tuple[str, ...] = tuple(getattr(self.pairs, "notes", ()))
        self.metrics: tuple[object, ...] = tuple(getattr(self.pairs, "metrics", ()))
        order = np.arange(len(self.pairs))
        if self.apart:
            if len(order) < 2:
                raise DataError(
                    f"{options.pairs.id} has {len(order)} training pair: at least two are needed "
                    "to separate them"
                )
            order = np.random.Generator(np.random.PCG64(options.seed)).permutation(order)
            half = (len(order) + 1) // 2
            self.sources, self.targets = np.sort(order[:half]), np.sort(order[half:])
            said = (
                f"{options.pairs.id}: its training pairs are separated into {half} sources and "
                f"{len(order) - half} targets of other pairs."
            )
            self.notes = (*self.notes, said)
        else:
            self.sources = self.targets = order

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return the fields of the pairs; in training, source and target aren't aligned."""
        fields = dict(self.pairs.fields)
        if self.apart:
            fields |= {name: replace(fields[name], aligned=False) for name in IMAGES}
        return fields

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def own_names(self) -> dict[str, list[str]]:
        """Return the names of the pairs in each half: sample i shows pair i of it.

        The result is empty where targets are drawn, and where the pairs aren't separated.
        """
        if self.drawn or not self.apart:
            return {}
        halves = {"source": self.sources, "target": self.targets}
        return {
            name: [self.pairs.name(int(index)) for index in half] for name, half in halves.items()
        }

    def undrawn(self) -> HiddenPairs:
        """Return a copy that draws nothing: its targets come in the order of their half."""
        other = copy.copy(self)
        other.drawn = False
        return other

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return pair `index`; in training its target is replaced by one drawn from `rng`.

        Raises:
            IndexError: when there is no such sample.
            DataError: when the pairs raise it.
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
        """Return the name of the source's pair."""
        return self.pairs.name(int(self.sources[index]))
