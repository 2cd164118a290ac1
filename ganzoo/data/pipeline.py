"""From a recipe's data and augment tables to tensors: what a network is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ganzoo.api import Chosen
from ganzoo.data.convert import to_tensor, to_tensors
from ganzoo.data.sampler import Position, generator_for
from ganzoo.errors import DataError, DataMissing, PluginError
from ganzoo.interfaces import Augment, DataSource, Field, Split
from ganzoo.recipe.model import Recipe


class PreparedData:
    """One split of a data set behind its augmentation; picklable, and without hidden state.

    Args:
        chosen: the data component that was opened (the fallback, if it stands in).
        source: what it gave.
        augments: applied in order to each raw sample.
        seed: a sample's random numbers come from (seed, split, epoch, index).
        split: which part of the data.
        one_size: refuse samples that differ in size from the first, since they go into batches.
        stand_in: True when the recipe's own data are missing and the fallback is used.
        notes: sentences that the user must see.

    Raises:
        DataError: when there are no samples, or the first one can't be read.
        PluginError: `arrays` that are no such samples.
    """

    def __init__(
        self,
        *,
        chosen: Chosen,
        source: DataSource,
        augments: Sequence[Augment],
        seed: int,
        split: Split,
        one_size: bool,
        stand_in: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        self.chosen = chosen
        self.source = source
        self.augments = tuple(augments)
        self.seed = seed
        self.split = split
        self.one_size = one_size
        self.stand_in = stand_in
        self.notes = tuple(notes)
        if len(source) == 0:
            raise DataError(f"{chosen.id} has no images in its {split} split")
        first = self._arrays(0, 0)
        self.fields: dict[str, Field] = {
            name: replace(field, shape=tuple(to_tensor(first[name], field).shape))
            for name, field in source.fields.items()
        }
        if self._held is not None:
            self._check(self._held, first)

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """Name of a sample, for files and messages."""
        return self.source.name(index)

    def _arrays(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        rng = generator_for(self.seed, self.split, epoch, index)
        sample = dict(self.source.load(index, rng))
        for augment in self.augments:
            sample = augment(sample, rng)
        return sample

    def sample(self, index: int, epoch: int = 0) -> dict[str, Tensor]:
        """Sample `index` as tensors without a batch axis, images in [low, high].

        Raises:
            DataError: naming the sample, when it can't be read or, in training, differs in size.
        """
        arrays = self._arrays(index, epoch)
        tensors = {name: to_tensor(arrays[name], field) for name, field in self.fields.items()}
        if self.one_size:
            for name, tensor in tensors.items():
                expected = self.fields[name].shape
                if tuple(tensor.shape) != expected:
                    raise DataError(
                        f"its {name} is {_size(tensor.shape)} after augmentation, "
                        f"others are {_size(expected)}",
                        where=self.name(index),
                        hint="Training needs one size: end [[augment]] with a resize or a crop.",
                    )
        return tensors

    @property
    def _held(self) -> Mapping[str, np.ndarray] | None:
        """The source's `arrays`, where batches may be cut out of them."""
        held: Mapping[str, np.ndarray] | None = getattr(self.source, "arrays", None)
        return None if self.augments else held

    def _check(self, held: Mapping[str, np.ndarray], first: Mapping[str, np.ndarray]) -> None:
        """Compare `arrays` with the first sample; the conformance checks look at all of them."""
        import torch

        for name, field in self.fields.items():
            rows = held.get(name)
            if (
                rows is None
                or len(rows) != len(self)
                or not torch.equal(to_tensor(rows[0], field), to_tensor(first[name], field))
            ):
                raise PluginError(
                    f"{self.chosen.id} has `arrays` that don't hold what it gives as {name!r}",
                    hint="They need a row for each sample, equal to what `load` gives; tell its "
                    "authors.",
                )

    def batch(self, positions: Sequence[Position]) -> dict[str, Tensor]:
        """Samples by (epoch, index), stacked: cut out of the source's `arrays` where that will do.

        Raises:
            DataError: as `sample`.
        """
        arrays = self._held
        if arrays is None:
            return collate([self.sample(index, epoch) for epoch, index in positions])
        rows = [index for _, index in positions]
        return {name: to_tensors(arrays[name][rows], field) for name, field in self.fields.items()}


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def open_data(recipe: Recipe, split: Split, *, stand_in: bool | None = None) -> PreparedData:
    """Open a split as the recipe says, answering missing data by the recipe's fallback.

    Args:
        recipe: a validated recipe.
        split: `train` gets the augments for training, `val` and `test` those for evaluation.
        stand_in: what a run has settled already: True opens the fallback, False never does.

    Raises:
        DataMissing: when data are missing and no fallback may stand in.
        DataError: when they are there and broken.
    """
    phase = "train" if split == "train" else "evaluation"
    return _open(recipe, split, phase, settled=stand_in)


def open_for_evaluation(
    recipe: Recipe, split: Split, *, stand_in: bool | None = None
) -> PreparedData:
    """Open any split, `train` too, with the augments of evaluation and no random ones."""
    return _open(recipe, split, "evaluation", settled=stand_in)


def _open(recipe: Recipe, split: Split, phase: str, *, settled: bool | None) -> PreparedData:
    chosen, source, reason = _source(recipe, split, settled=settled)
    stand_in = reason is not None
    notes = []
    if stand_in:
        notes.append(
            f"STAND-IN DATA: {recipe.data.id} is missing ({reason}); {chosen.id} stands in for it."
        )
    notes.extend(getattr(source, "notes", ()))
    augments: list[Any] = [
        entry.chosen.build() for entry in recipe.augment if entry.on in (phase, "always")
    ]
    return PreparedData(
        chosen=chosen,
        source=source,
        augments=augments,
        seed=recipe.train.seed,
        split=split,
        one_size=phase == "train",
        stand_in=stand_in,
        notes=notes,
    )


def _source(
    recipe: Recipe, split: Split, *, settled: bool | None
) -> tuple[Chosen, DataSource, str | None]:
    """The component that was opened, its source, and why the recipe's own data weren't."""
    if settled is True and recipe.fallback is not None:
        return recipe.fallback, recipe.fallback.build(split), "as this run began"
    try:
        return recipe.data, recipe.data.build(split), None
    except DataMissing as missing:
        if recipe.fallback is None or settled is False:
            raise
        return recipe.fallback, recipe.fallback.build(split), missing.message


def collate(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack samples of equal shapes into a batch."""
    import torch

    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
