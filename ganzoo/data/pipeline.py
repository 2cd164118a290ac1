"""From a recipe's data and augment tables to tensors: what a network is fed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ganzoo.api import Chosen
from ganzoo.data.convert import tensor_shape, to_tensor, to_tensors
from ganzoo.data.field_checks import fields_of, no_sample
from ganzoo.data.rng import drawn, generator_for
from ganzoo.data.sample_cache import SampleCache, pack
from ganzoo.data.sampler import Position
from ganzoo.data.value_ranges import dark
from ganzoo.errors import DataError, DataMissing, PluginError, printable
from ganzoo.files import stays_inside
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
        cache_mb: size of the cache that a loader should give to `batch`, in 10^6 bytes.

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
        cache_mb: int = 0,
    ) -> None:
        self.chosen = chosen
        self.source = source
        self.augments = tuple(augments)
        self.seed = seed
        self.split = split
        self.one_size = one_size
        self.stand_in = stand_in
        self.notes = tuple(printable(note) for note in notes)
        self.cache_mb = cache_mb
        if len(source) == 0:
            raise DataError(f"{chosen.id} has no images in its {split} split")
        given = fields_of(chosen, source.fields)
        self._names = frozenset(given)
        first = self._arrays(0, 0)
        self.fields: dict[str, Field] = {
            name: replace(field, shape=tuple(to_tensor(first[name], field).shape))
            for name, field in given.items()
        }
        self.notes += tuple(self._dark(first))
        if self._held is not None:
            self._check(self._held, first)

    def _dark(self, sample: Mapping[str, np.ndarray]) -> Iterator[str]:
        for name, field in self.fields.items():
            if field.kind == "image" and sample[name].size:
                low, high = int(sample[name].min()), int(sample[name].max())
                what = f"{name} of the first {self.split} sample, {self.name(0)},"
                if said := dark(what, low, high, sample[name].dtype):
                    yield said

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """Name of a sample, for files and messages.

        Raises:
            PluginError: the data component gives what no file in a folder can be called.
        """
        return self._checked_name(self.source.name(index))

    def own_names(self, field: str) -> list[str]:
        """Names of all that there is of a field, each once; item i is in sample i.

        Of fields that aren't aligned there may be fewer than samples, and they have names of their
        own where the source says so (`DataSource.own_names`); else these are the samples' names.

        Raises:
            PluginError: as `name`, or there are more of them than samples.
        """
        told: Mapping[str, Sequence[str]] = getattr(self.source, "own_names", {})
        if field not in told:
            return [self.name(index) for index in range(len(self))]
        names = [self._checked_name(name) for name in told[field]]
        if not 0 < len(names) <= len(self):
            raise PluginError(
                f"{self.chosen.id} has {len(names)} `own_names` of {field!r} and {len(self)}"
                " samples: there must be one at least, and no more than samples"
            )
        return names

    def _checked_name(self, name: object) -> str:
        if isinstance(name, str) and stays_inside(name):
            return printable(name)
        raise PluginError(
            f"{self.chosen.id} calls a sample {name!r}, which can't be the name of a file in a"
            " folder",
            hint="The fault lies in its plugin: tell its authors. Nothing was written under it.",
        )

    def _arrays(
        self, index: int, epoch: int, cache: SampleCache | None = None
    ) -> dict[str, np.ndarray]:
        rng = generator_for(self.seed, self.split, epoch, index)
        done, sample = (cache.get(index) if cache else None) or (0, {})
        if cache and not done:
            done, sample = self._watched(index, rng, cache)
        for stage in range(done, len(self.augments) + 1):
            sample = self._stage(stage, index, sample, rng)
        return sample

    def _stage(
        self, stage: int, index: int, sample: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Load a sample (stage 0), or apply an augment; the result is in C-contiguous arrays.

        Sums over an array may differ in their last bits with its layout in memory, and what a cache
        gives back has this one.
        """
        try:
            made = self.augments[stage - 1](sample, rng) if stage else self.source.load(index, rng)
        except DataError as error:
            if stage == 0:  # the source has named the file
                raise
            message = ": ".join(filter(None, (error.where, error.message)))
            raise DataError(message, where=self.name(index), hint=error.hint) from error
        except OSError as error:
            raise unreadable(error, self.name(index)) from error
        if not isinstance(made, Mapping) or not self._names <= made.keys():
            maker = self.augments[stage - 1] if stage else self.source
            raise no_sample(made, maker, self._names, "" if stage else self.chosen.id)
        return {name: np.asarray(array, order="C") for name, array in made.items()}

    def _watched(
        self, index: int, rng: np.random.Generator, cache: SampleCache
    ) -> tuple[int, dict[str, np.ndarray]]:
        """Go through the stages up to the first that draws, and keep the sample before it.

        What has drawn nothing is a function of the index alone: the same in every epoch.

        Returns:
            How many stages are done, and the sample after them.
        """
        start, record = drawn(rng), None
        sample: dict[str, np.ndarray] = {}
        # A source in memory has no work that a cache could spare.
        worthless = 1 if hasattr(self.source, "arrays") else 0
        for stage in range(len(self.augments) + 1):
            if stage > worthless:
                # Beforehand, since an augment may write into what it's given.
                record = pack(stage, sample)
            sample = self._stage(stage, index, sample, rng)
            if drawn(rng) != start:
                break
        else:
            record = pack(stage + 1, sample)
        if record:
            cache.put(index, record)
        return stage + 1, sample

    def sample(self, index: int, epoch: int = 0) -> dict[str, Tensor]:
        """Sample `index` as tensors without a batch axis, images in [low, high].

        Raises:
            DataError: naming the sample, when it can't be read or, in training, differs in size.
        """
        arrays = self._checked(index, epoch, None)
        try:
            return {name: to_tensor(arrays[name], field) for name, field in self.fields.items()}
        except DataError as error:
            error.where = error.where or self.name(index)
            raise

    def _checked(self, index: int, epoch: int, cache: SampleCache | None) -> dict[str, np.ndarray]:
        arrays = self._arrays(index, epoch, cache)
        if self.one_size:
            for name, field in self.fields.items():
                shape = tensor_shape(arrays[name].shape, field)
                if shape != field.shape:
                    raise DataError(
                        f"its {name} is {_size(shape)} after augmentation, "
                        f"others are {_size(field.shape)}",
                        where=self.name(index),
                        hint="Training needs one size: end [[augment]] with a resize or a crop.",
                    )
        return arrays

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

    def batch(
        self, positions: Sequence[Position], cache: SampleCache | None = None
    ) -> dict[str, Tensor]:
        """Samples by (epoch, index), stacked: cut out of the source's `arrays` where that will do.

        Args:
            positions: at least one.
            cache: keeps what is the same in every epoch; the result has the same bits without it.

        Raises:
            DataError: as `sample`.
        """
        arrays = self._held
        if arrays is None:
            samples = [self._checked(index, epoch, cache) for epoch, index in positions]
            return {
                name: to_tensors([sample[name] for sample in samples], field)
                for name, field in self.fields.items()
            }
        rows = [index for _, index in positions]
        return {name: to_tensors(arrays[name][rows], field) for name, field in self.fields.items()}


def unreadable(error: OSError, place: str) -> DataError:
    """What the system refuses to read, as an error of the data; `place` counts if it names none."""
    named = error.filename if isinstance(error.filename, str) else place
    return DataError(f"can't be read: {error.strerror or error}", where=named)


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
    """Open any split, `train` too, with the augments of evaluation and no random ones.

    What the source itself draws in training (`DataSource.undrawn`) isn't drawn either.
    """
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
    if phase == "evaluation" and hasattr(source, "undrawn"):
        source = source.undrawn()
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
        cache_mb=recipe.train.cache if phase == "train" else 0,
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
    except OSError as error:
        raise unreadable(error, recipe.data.id) from error


def collate(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack samples of equal shapes into a batch."""
    import torch

    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
