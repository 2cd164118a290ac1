"""Sample grids: the same few held-out images at every look, one row each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ganzoo.api import NetOptions
from ganzoo.data.convert import to_uint8
from ganzoo.data.pipeline import PreparedData, collate, open_data
from ganzoo.engine.rng import isolated
from ganzoo.errors import PluginError
from ganzoo.files import replacing
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.network import any_size
from ganzoo.observers.base import Observer

if TYPE_CHECKING:
    from ganzoo.engine.view import Run

_GAP = 4
_TEXT = 18
_LEGIBLE = 192
"""Pixels; images are enlarged by a whole factor up to this side."""


class SampleGrids(Observer):
    """Writes `samples/step_N.png`: columns as the task captions them, rows of the `val` split."""

    def __init__(self) -> None:
        self.data: PreparedData | None = None

    def sample(self, run: Run) -> list[Path]:
        """Make the grid of this step; the training's random numbers and weights stay."""
        trainer, recipe = run.trainer, run.recipe
        with isolated(recipe.train.seed):
            if self.data is None:
                self.data = open_data(recipe, "val", stand_in=trainer.data.stand_in)
            rows = min(recipe.watch.sample_count, len(self.data))
            table = [_row(run, self.data, index) for index in range(rows)]
        caption = f"{recipe.name} · step {trainer.steps} · {recipe.inference.mode}"
        if self.data.stand_in:
            caption += f" · STAND-IN DATA {self.data.chosen.id}"
        path = run.path / "samples" / f"step_{trainer.steps:09d}.png"
        info = PngInfo()
        info.add_itxt("Description", caption)
        with replacing(path) as temporary:
            grid(table, caption).save(temporary, format="PNG", pnginfo=info)
        return [path]


def _row(run: Run, data: PreparedData, index: int) -> dict[str, np.ndarray]:
    trainer = run.trainer
    batch = trainer.session.move(collate([data.sample(index)]))
    mode = run.recipe.inference.mode
    with ExitStack() as stack:
        for net in trainer.shown.values():
            stack.enter_context(inference_mode(net, mode, index))
        nets: dict[str, Callable[..., Tensor]] = dict(trainer.shown)
        for role in trainer.task.serves:
            options = trainer.plan.chosen[role].options
            multiple = options.size_multiple() if isinstance(options, NetOptions) else 1
            nets[role] = any_size(nets[role], multiple)
        shown = trainer.task.sample(batch, nets)
    for name, image in shown.items():
        if image.ndim != 4:
            shape = " x ".join(map(str, image.shape))
            raise PluginError(
                f"{run.recipe.task.id} shows {shape} as {name!r}, which is no N x C x H x W",
                hint="its `sample` gives images to look at; tell its authors",
            )
    return {name: to_uint8(image[0].float().cpu()) for name, image in shown.items()}


def grid(table: list[dict[str, np.ndarray]], caption: str) -> Image.Image:
    """Rows of captioned images (H x W x C uint8, equal sizes in a column) as one picture."""
    table = [{name: _enlarged(image) for name, image in row.items()} for row in table]
    names = list(table[0])
    widths = [max(row[name].shape[1] for row in table) for name in names]
    heights = [max(image.shape[0] for image in row.values()) for row in table]
    font = ImageFont.load_default(12)
    needed = round(font.getlength(caption)) + 2 * _GAP
    width = max(sum(widths) + _GAP * (len(names) + 1), needed)
    height = sum(heights) + _GAP * (len(table) + 1) + 2 * _TEXT
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    left = _GAP
    for column, name in enumerate(names):
        draw.text((left, 2), name, fill="black", font=font)
        top = _TEXT
        for row, row_height in zip(table, heights, strict=True):
            sheet.paste(_as_picture(row[name]), (left, top))
            top += row_height + _GAP
        left += widths[column] + _GAP
    draw.text((_GAP, height - _TEXT), caption, fill="black", font=font)
    return sheet


def _enlarged(image: np.ndarray) -> np.ndarray:
    """A small image in whole pixels, large enough to be looked at."""
    factor = max(1, _LEGIBLE // max(image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _as_picture(image: np.ndarray) -> Image.Image:
    """RGB of an image of any channel count; beyond four, the first channel as gray."""
    channels = image.shape[2]
    if channels == 4:
        return Image.fromarray(image, "RGBA").convert("RGB")
    if channels == 3:
        return Image.fromarray(image)
    return Image.fromarray(np.ascontiguousarray(image[:, :, 0])).convert("RGB")
