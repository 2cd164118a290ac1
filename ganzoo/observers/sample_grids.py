"""Write sample grids, each with the same few held-out images or the same latents."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ganzoo.api import NetOptions
from ganzoo.data.contact_sheet import block, grid, scatter
from ganzoo.data.convert import to_uint8
from ganzoo.data.pipeline import PreparedData, collate, open_data
from ganzoo.data.rng import isolated
from ganzoo.data.write_image import save_image
from ganzoo.errors import PluginError
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.trained_network import any_size, draws
from ganzoo.observers.base import Observer

if TYPE_CHECKING:
    from PIL import Image

    from ganzoo.engine.run_view import Run

MOST_POINTS = 1000
"""The largest number of points of each cloud in a scatter plot."""


class SampleGrids(Observer):
    """Write `samples/step_N.png` with samples of the `val` split.

    Images are shown in one row per sample, with a column for each caption of the task. For networks
    that draw random inputs, there is a block of images for each caption. Points are shown in one
    scatter plot.
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
        save_image(np.asarray(picture), path, caption=caption)
        return [path]


def _picture(run: Run, data: PreparedData, caption: str) -> Image.Image:
    recipe = run.recipe
    serves = recipe.task.load().serves
    count = min(recipe.watch.sample_count, len(data))
    if all(data.fields[made].format == "ganzoo/points" for _, made in serves.values()):
        shown = _shown(run, data, range(min(MOST_POINTS, len(data))))
        return scatter(
            {name: _points(run, name, value) for name, value in shown.items()},
            caption,
            behind=[name for name in shown if name in data.fields],
        )
    if any(draws(recipe.task, role, data.fields) for role in serves):
        shown = _shown(run, data, range(count))
        blocks = {_in_words(n, data): block(_images(run, n, v)) for n, v in shown.items()}
        return grid([blocks], caption)
    table = []
    for index in range(count):  # images of the split may differ in size
        shown = _shown(run, data, range(index, index + 1))
        table.append({_in_words(n, data): _images(run, n, v)[0] for n, v in shown.items()})
    return grid(table, caption)


def _shown(run: Run, data: PreparedData, indices: range) -> dict[str, Tensor]:
    """Return the task's tensors for some samples, by caption.

    Their random numbers depend only on the index of the first sample.
    """
    trainer = run.trainer
    batch = trainer.session.move(collate([data.sample(index) for index in indices]))
    mode = run.recipe.inference.mode
    with ExitStack() as stack:
        for net in trainer.shown.values():
            stack.enter_context(inference_mode(net, mode, indices.start))
        nets: dict[str, Callable[..., Tensor]] = dict(trainer.shown)
        for role in trainer.task.serves:
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
    return {name: value.float().cpu() for name, value in shown.items()}


def _in_words(caption: str, data: PreparedData) -> str:
    """Return a caption with the user's names of the fields, such as `cats to dogs`."""
    called = {name: one.called for name, one in data.fields.items() if one.called}
    return re.sub(r"\w+", lambda word: called.get(word[0], word[0]), caption)


def _one_by_one(net: Callable[..., Any]) -> Callable[..., Any]:
    """Return a network that computes normalisation statistics for each sample separately."""

    def call(*inputs: Any) -> Any:
        count = len(inputs[0])
        made = [net(*(one[i : i + 1] for one in inputs)) for i in range(count)]
        if isinstance(made[0], Mapping):
            return {name: torch.cat([one[name] for one in made]) for name in made[0]}
        return torch.cat(made)

    return call


def _images(run: Run, name: str, value: Tensor) -> list[Any]:
    _require(run, name, value, 4, "not N x C x H x W")
    return list(to_uint8(value))


def _points(run: Run, name: str, value: Tensor) -> Any:
    _require(run, name, value, 2, "not points, N x D")
    return value.numpy()


def _require(run: Run, name: str, value: Tensor, axes: int, what: str) -> None:
    if value.ndim != axes:
        shape = " x ".join(map(str, value.shape))
        raise PluginError(
            f"{run.recipe.task.id} shows {shape} as {name!r}, which is {what}",
            hint="its `sample` must return images or points; report this to its authors",
        )
