"""Prepare samples as tensors for networks, as a recipe's data and augment tables specify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ganzoo.api import Chosen
from ganzoo.data.convert import to_batch, to_tensor
from ganzoo.data.field_checks import check_arrays, fields_of, no_sample
from ganzoo.data.formats import shows_whole_type, split_no_data
from ganzoo.data.rng import drawn, generator_for
from ganzoo.data.sample_cache import SampleCache, pack
from ganzoo.data.sampler import Position
from ganzoo.data.value_ranges import dark, span_of_dark
from ganzoo.errors import DataError, DataMissing, PluginError, printable
from ganzoo.files import stays_inside
from ganzoo.interfaces import Augment, DataSource, Field, Split
from ganzoo.recipe.model import Recipe


class PreparedData:
    """One split of a data set with its augmentation; it can be pickled and has no hidden state.

    Args:
        chosen: the data component that was opened, which may be the fallback.
        source: the source that the component built.
        augments: the augmentations, which are applied in order to each raw sample.
        seed: the seed; a sample's random numbers depend on (seed, split, epoch, index).
        split: the name of the split.
        one_size: whether samples that differ in size from the first one are errors, because they
            are stacked into batches.
        stand_in: whether the recipe's own data are missing and the fallback is used.
        notes: sentences that the user must see.
        cache_mb: the size of the cache that a loader should pass to `batch`, in 10^6 bytes.

    Raises:
        DataError: when there are no samples, or the first one can't be read.
        PluginError: when the source's fields are invalid, or its `arrays` differ from its samples.
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
        given, self.formats = fields_of(chosen, source.fields)
        self._names = frozenset(source.fields)
        self._declared = given
        self._with_no_data = any(one.nodata is not None for one in given.values())
        first = self._arrays(0, 0)
        self.fields: dict[str, Field] = given
        self.fields = {
            name: replace(given[name], shape=tuple(tensor.shape))
            for name, tensor in self._tensors(first).items()
        }
        self.notes += tuple(self._dark(first))
        if self._held is not None:
            check_arrays(chosen, self._held, len(self), self._tensors(first), self._tensor)

    def _dark(self, sample: Mapping[str, np.ndarray]) -> Iterator[str]:
        for name, field in self.fields.items():
            if shows_whole_type(field, self.formats[name]) and (span := span_of_dark(sample[name])):
                what = f"{name} of the first {self.split} sample, {self.name(0)},"
                yield dark(what, span.low, span.high, sample[name].dtype)

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """Return the name of a sample, for files and messages.

        Raises:
            PluginError: when the name can't be the name of a file in a folder.
        """
        return self._checked_name(self.source.name(index))

    def own_names(self, field: str) -> list[str]:
        """Return the names of all items of a field, each once; item i belongs to sample i.

        A field that isn't aligned may have fewer items than samples, with their own names where the
        source defines them (`DataSource.own_names`). Otherwise these are the samples' names.

        Raises:
            PluginError: when a name can't be the name of a file, when there are no names, or when
                there are more names than samples.
        """
        told: Mapping[str, Sequence[str]] = getattr(self.source, "own_names", {})
        if field not in told:
            return [self.name(index) for index in range(len(self))]
        names = [self._checked_name(name) for name in told[field]]
        if not 0 < len(names) <= len(self):
            raise PluginError(
                f"{self.chosen.id} has {len(names)} `own_names` of {field!r} and {len(self)}"
                " samples: there must be at least one name, and no more names than samples"
            )
        return names

    def _checked_name(self, name: object) -> str:
        if isinstance(name, str) and stays_inside(name):
            return printable(name)
        raise PluginError(
            f"{self.chosen.id} names a sample {name!r}, which can't be the name of a file in a"
            " folder",
            hint="The error is in its plugin: report it to its authors. Nothing was written under "
            "it.",
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
        """Load a sample (stage 0) or apply an augmentation; the arrays are then C-contiguous.

        The cache returns C-contiguous arrays, and a sum over an array may differ in its last bits
        with the array's memory layout.
        """
        try:
            made = self.augments[stage - 1](sample, rng) if stage else self.source.load(index, rng)
        except DataError as error:
            if stage == 0:  # the source's error names the file
                raise
            message = ": ".join(filter(None, (error.where, error.message)))
            raise DataError(message, where=self.name(index), hint=error.hint) from error
        except OSError as error:
            raise unreadable(error, self.name(index)) from error
        # The source doesn't have the masks that are made of its values for "no data".
        names = self.formats.keys() if stage else self._names
        if not isinstance(made, Mapping) or not names <= made.keys():
            maker = self.augments[stage - 1] if stage else self.source
            raise no_sample(made, maker, names, "" if stage else self.chosen.id)
        if stage == 0 and self._with_no_data:
            made = split_no_data(made, self._declared)
        return {name: np.asarray(array, order="C") for name, array in made.items()}

    def _watched(
        self, index: int, rng: np.random.Generator, cache: SampleCache
    ) -> tuple[int, dict[str, np.ndarray]]:
        """Run the stages up to the first that draws random numbers, and cache the sample before it.

        Before that stage, a sample depends only on the index, so it is the same in every epoch.

        Returns:
            The number of stages done, and the sample after them.
        """
        start, record = drawn(rng), None
        sample: dict[str, np.ndarray] = {}
        # A source that is in memory takes no time to load, so caching it saves nothing.
        worthless = 1 if hasattr(self.source, "arrays") else 0
        for stage in range(len(self.augments) + 1):
            if stage > worthless:
                # This is done before the stage, since an augmentation may change its input.
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
        """Return sample `index` as tensors without a batch axis, with images in [-1, 1].

        Raises:
            DataError: when the sample can't be read or, in training, differs in size from the first
                one. The error names the sample.
        """
        arrays = self._checked(index, epoch, None)
        try:
            return self._tensors(arrays)
        except DataError as error:
            error.where = error.where or self.name(index)
            raise

    def _tensor(self, name: str, array: np.ndarray) -> Tensor:
        return to_tensor(array, self.fields[name], self.formats[name])

    def _tensors(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        return {name: self._tensor(name, arrays[name]) for name in self.fields}

    def _checked(self, index: int, epoch: int, cache: SampleCache | None) -> dict[str, np.ndarray]:
        arrays = self._arrays(index, epoch, cache)
        if self.one_size:
            for name, field in self.fields.items():
                shape = self.formats[name].tensor_shape(arrays[name].shape, field)
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
        """Return the source's `arrays`; None where batches can't be taken from them."""
        held: Mapping[str, np.ndarray] | None = getattr(self.source, "arrays", None)
        return None if self.augments or self._with_no_data else held

    def batch(
        self, positions: Sequence[Position], cache: SampleCache | None = None
    ) -> dict[str, Tensor]:
        """Return a batch of samples, which is taken from the source's `arrays` where possible.

        Args:
            positions: at least one (epoch, index).
            cache: a cache of what is the same in every epoch; it doesn't change the result.

        Raises:
            DataError: in the same cases as `sample`.
        """
        rows, held = [index for _, index in positions], self._held
        if held is None:
            samples = [self._checked(index, epoch, cache) for epoch, index in positions]
        batch = {}
        for name, field in self.fields.items():
            arrays = [one[name] for one in samples] if held is None else held[name][rows]
            batch[name] = to_batch(arrays, field, self.formats[name], rows, self.name)
        return batch


def unreadable(error: OSError, place: str) -> DataError:
    """Return the DataError for a file that can't be read; `place` replaces a missing file name."""
    named = error.filename if isinstance(error.filename, str) else place
    return DataError(f"can't be read: {error.strerror or error}", where=named)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def open_data(recipe: Recipe, split: Split, *, stand_in: bool | None = None) -> PreparedData:
    """Open a split of the recipe's data, or of its fallback where the data are missing.

    Args:
        recipe: a validated recipe.
        split: the split. `train` gets the augmentations for training, `val` and `test` those for
            evaluation.
        stand_in: whether a run uses the fallback: True opens it, and False never does. None: not
            determined yet.

    Raises:
        DataMissing: when data are missing and the fallback can't be used.
        DataError: when the data exist but are damaged.
    """
    phase = "train" if split == "train" else "evaluation"
    return _open(recipe, split, phase, settled=stand_in)


def open_for_evaluation(
    recipe: Recipe, split: Split, *, stand_in: bool | None = None
) -> PreparedData:
    """Open any split, including `train`, with the augmentations for evaluation only.

    The source makes no random choices either (`DataSource.undrawn`).
    """
    return _open(recipe, split, "evaluation", settled=stand_in)


def _open(recipe: Recipe, split: Split, phase: str, *, settled: bool | None) -> PreparedData:
    chosen, source, reason = _source(recipe, split, settled=settled)
    stand_in = reason is not None
    notes = []
    if stand_in:
        notes.append(
            f"STAND-IN DATA: {recipe.data.id} is missing ({reason}); {chosen.id} is used instead."
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
    """Return the opened component, its source, and why the recipe's own data weren't opened."""
    if settled is True and recipe.fallback is not None:
        return recipe.fallback, recipe.fallback.build(split), "as when this run began"
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
