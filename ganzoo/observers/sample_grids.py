"""Write sample grids, each with the same few held-out images or the same latents."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganzoo.api import NetOptions
from ganzoo.data.contact_sheet import block, grid
from ganzoo.data.inspect import picture_of
from ganzoo.data.pipeline import PreparedData, collate, open_data
from ganzoo.data.rng import isolated
from ganzoo.data.write_image import save_image
from ganzoo.errors import PluginError
from ganzoo.inference.applications import available, draws_all
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.padding import any_size
from ganzoo.inference.trained_application import as_result
from ganzoo.observers.base import Observer

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run

MOST_TOGETHER = 1000
"""The largest number of samples of each group, such as points, that are drawn in one picture."""


class _Shown(NamedTuple):
    """A batch that a task shows: its caption, the field that it is about, and its values."""

    caption: str
    field: str
    value: Tensor


class SampleGrids(Observer):
    """Write `samples/step_N.png` with samples of the `val` split.

    Samples such as images are shown in one row each, with a column for each caption of the task.
    For networks that draw random inputs, there is a block of them for each caption. Samples such as
    points are shown together in one plot.
    """

    def __init__(self) -> None:
        self.data: PreparedData | None = None

    def sample(self, run: Run) -> list[Path]:
        """Write the picture of this step.

        The training's weights and random generators aren't changed.
        """
        trainer, recipe = run.trainer, run.recipe
        caption = f"{recipe.name} · step {trainer.steps} · {recipe.inference.mode}"
        with isolated(recipe.train.seed):
            if self.data is None:
                self.data = open_data(recipe, "val", stand_in=trainer.data.stand_in)
            if self.data.stand_in:
                caption += f" · STAND-IN DATA {self.data.chosen.id}"
            picture = _picture(run, self.data, caption)
        path = run.path / "samples" / f"step_{trainer.steps:09d}.png"
        save_image(picture, path, caption=caption)
        return [path]


def _picture(run: Run, data: PreparedData, caption: str) -> np.ndarray:
    recipe = run.recipe
    applications = available(recipe.task, run.trainer.plan.chosen).values()
    made = [name for one in applications for name in one.gives if name in data.fields]
    # Without any, as for an encoder alone, the captions say what is shown.
    made = made or list(data.fields)
    count = min(recipe.watch.sample_count, len(data))
    if all(data.formats[name].shown == "together" for name in made):
        _, shown = _shown(run, data, range(min(MOST_TOGETHER, len(data))))
        first = made[0]
        alike = [
            name for name in data.fields if data.fields[name].format == data.fields[first].format
        ]
        about = _about(shown, alike, run, data)
        return data.formats[first].plot(
            {one.caption: _arrays(one, run, data) for one in about},
            data.fields[first],
            caption,
            behind=[one.caption for one in about if one.caption in data.fields],
        )
    # Points beside images are in no grid, which has one picture for each sample.
    each = [name for name, one in data.formats.items() if one.shown == "each"]
    if any(map(draws_all, applications)):
        batch, shown = _shown(run, data, range(count))
        blocks = {
            _titled(one, data): block(_pictures(one, run, data, batch))
            for one in _about(shown, each, run, data)
        }
        return np.asarray(grid([blocks], caption))
    table = []
    for index in range(count):  # images of the split may differ in size
        batch, shown = _shown(run, data, range(index, index + 1))
        table.append(
            {
                _titled(one, data): _pictures(one, run, data, batch)[0]
                for one in _about(shown, each, run, data)
            }
        )
    return np.asarray(grid(table, caption))


def _shown(
    run: Run, data: PreparedData, indices: range
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return some samples as a batch, and the task's tensors for them by caption.

    The random numbers of the latter depend only on the index of the first sample.
    """
    trainer = run.trainer
    batch = trainer.session.move(collate([data.sample(index) for index in indices]))
    mode = run.recipe.inference.mode
    with ExitStack() as stack:
        for net in trainer.shown.values():
            stack.enter_context(inference_mode(net, mode, indices.start))
        nets: dict[str, Callable[..., Tensor]] = dict(trainer.shown)
        for role in trainer.plan.used:
            options = trainer.plan.chosen[role].options
            multiple = options.size_multiple() if isinstance(options, NetOptions) else 1
            nets[role] = any_size(nets[role], multiple)
            if mode != "running":
                nets[role] = _one_by_one(nets[role])
        shown: Any = trainer.task.sample(batch, nets)
    for value in shown.values() if isinstance(shown, Mapping) else [shown]:
        if not isinstance(value, Tensor):
            raise PluginError(
                f"{run.recipe.task.id} shows a {type(value).__name__}",
                hint="its `sample` must return a dict of tensors by caption; report this to its "
                "authors",
            )
    return batch, {name: as_result(value) for name, value in shown.items()}


def _about(
    shown: Mapping[str, Tensor], fields: Collection[str], run: Run, data: PreparedData
) -> list[_Shown]:
    """Return those of a task's tensors, given by caption, that are about some of the fields.

    Raises:
        PluginError: none is.
    """
    every = [_Shown(name, _field_of(name, one, run, data), one) for name, one in shown.items()]
    found = [one for one in every if one.field in fields]
    if not found:
        raise PluginError(
            f"{run.recipe.task.id} shows {', '.join(map(repr, shown)) or 'nothing'}, of which "
            "nothing can be drawn",
            hint=f"Its `sample` must return {' or '.join(fields)}; report this to its authors.",
        )
    return found


def _in_words(caption: str, data: PreparedData) -> str:
    """Return a caption with the user's names of the fields, such as `cats to dogs`."""
    called = {name: one.called for name, one in data.fields.items() if one.called}
    return re.sub(r"\w+", lambda word: called.get(word[0], word[0]), caption)


def _titled(one: _Shown, data: PreparedData) -> str:
    """Return a caption in the user's words, with the range and the unit that a picture shows."""
    field = data.fields[one.field]
    words = _in_words(one.caption, data)
    if field.range is None:
        return words
    return f"{words}: {field.range[0]:g} to {field.range[1]:g} {field.unit}".rstrip()


def _field_of(caption: str, value: Tensor, run: Run, data: PreparedData) -> str:
    """Return the field that a caption of the task is about.

    It is the last field that the caption names, such as `target` of `source to target`, and that
    has as many axes; otherwise the first one of the data's that an application gives.

    Raises:
        PluginError: there is none.
    """
    words = [word for word in re.findall(r"\w+", caption) if word in data.fields]
    named = [name for name in words if len(data.fields[name].shape) == value.ndim - 1]
    applications = run.trainer.task.applications.values()
    given = [name for one in applications for name in one.gives if name in data.fields]
    if not named and not given:
        raise PluginError(
            f"{run.recipe.task.id} shows {caption!r}, which names none of the data's fields",
            hint="The captions of its `sample` must name them; report this to its authors.",
        )
    return named[-1] if named else given[0]


def _one_by_one(net: Callable[..., Any]) -> Callable[..., Any]:
    """Return a network that computes normalisation statistics for each sample separately."""

    def call(*inputs: Any) -> Any:
        made = [net(*(one[i : i + 1] for one in inputs)) for i in range(len(inputs[0]))]
        if isinstance(made[0], Mapping):
            return {name: torch.cat([one[name] for one in made]) for name in made[0]}
        return torch.cat(made)

    return call


def _pictures(
    one: _Shown, run: Run, data: PreparedData, batch: Mapping[str, Tensor]
) -> list[np.ndarray]:
    _check_axes(one, run, data)
    samples = (
        {key: every[index] for key, every in batch.items()} for index in range(len(one.value))
    )
    return [
        picture_of(one.field, value, sample, data)
        for value, sample in zip(one.value, samples, strict=True)
    ]


def _arrays(one: _Shown, run: Run, data: PreparedData) -> np.ndarray:
    _check_axes(one, run, data)
    to_array, field = data.formats[one.field].to_array, data.fields[one.field]
    return np.stack([to_array(value, field) for value in one.value])


def _check_axes(one: _Shown, run: Run, data: PreparedData) -> None:
    """Check that a value has as many axes as a batch of the field that it is about.

    Raises:
        PluginError: it has others.
    """
    field = data.fields[one.field]
    if one.value.ndim != len(field.shape) + 1:
        shape = " x ".join(map(str, one.value.shape))
        raise PluginError(
            f"{run.recipe.task.id} shows {shape} as {one.caption!r}, which is no batch of "
            f"{field.format}",
            hint="its `sample` must return tensors as the fields say; report this to its authors",
        )
