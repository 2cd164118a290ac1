"""Samples from trained weights alone: grids, walks between latents, nearest training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganzoo.api import Mode
from ganzoo.data.array_files import write_array
from ganzoo.data.contact_sheet import block, grid
from ganzoo.data.formats import described, is_8_bit_image
from ganzoo.data.write_image import save_image
from ganzoo.errors import UsageError
from ganzoo.inference import nearest_neighbours as near
from ganzoo.inference.application_weights import Weights, find_application
from ganzoo.inference.applications import LABEL
from ganzoo.inference.evaluate import run_recipe, trained_data
from ganzoo.inference.from_noise import STEPS, Sampler, load_sampler, walk
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.interfaces import Field, Format
from ganzoo.process.memory import memory_for
from ganzoo.run_files import run_above

MOST_CLASSES = 16
"""Up to so many classes each has a column of its own in a grid, or a colour in a scatter plot."""
_BLOCK_OF_NEIGHBOURS = 1280
"""Pixels: such a block holds four times the images."""


@dataclass(frozen=True)
class _Output:
    """Where samples go, and as what."""

    path: Path
    form: Literal["picture", "array", "folder"]
    field: Field
    format: Format

    def file(self, name: str) -> Path:
        return self.path / name if self.form == "folder" else self.path


def sample(
    run_or_weights: Path,
    out: Path | None = None,
    *,
    count: int = 64,
    application: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    interpolate: bool = False,
    label: int | None = None,
    neighbours: bool = False,
    mode: Mode | None = None,
    device: str = "auto",
    precision: str = "fp32",
    ema: bool | None = None,
    overwrite: bool = False,
    done: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Generate samples from what the weights' task draws: the first field of the application.

    Sample i has the same latent whatever `count` is.

    Args:
        run_or_weights: see `ganzoo.inference.application_weights.find_application`.
        out: a name that ends in `.png`: one picture, a grid of images or a scatter plot of points.
            In `.npy`: one array of all samples, as their format's files hold them (N x H x W x C,
            N x H x W or N x D). Any other name is a folder: it gets one file for each image and
            `grid.png`, or `samples.npy` and `scatter.png`. None: `RECIPE_samples.png` in the
            present folder.
        count: how many.
        application: which one; None: the first one that draws its inputs.
        options: of the application, by key; the others have their defaults.
        seed: of all that is drawn.
        interpolate: rows of `STEPS` samples each, from one latent to another; a row has one class.
        label: the class of all samples.
        neighbours: find the training images nearest to each sample; needs weights in a run's
            folder, and its data.
        mode: unless given, the one that the weights say.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`; see `ganzoo.inference.precision`.
        ema: see `ganzoo.inference.find_weights.find_networks`.
        overwrite: replace results that exist.
        done: called with the number of training images compared and their total.

    Returns:
        `{"weights", "application", "options", "ema", "mode", "seed", "device", "precision", "n",
        "output", "labels", "neighbours"}`. `ema` says by role whether these are moving averages.
        `labels` is the class of each sample, or null. `neighbours` is null unless
        asked for: `{"data", "distance", "median", "held_out", "nearest": [[{"name", "distance"}]]}`
        with a list for each sample, and medians of the distance to the nearest training image, of
        the samples and of images held out.

    Raises:
        GanzooError: before anything is written, as `find_application` and `load_sampler`;
            UsageError where the weights can't do what is asked; EnvironmentFault when a result
            can't be written or the device has no memory for it.
    """
    weights = find_application(run_or_weights, application, ema=ema, command="sample")
    sampler = load_sampler(
        weights, options=options, mode=mode, seed=seed, device=device, precision=precision
    )
    card, path = weights.card, weights.path
    output = _output(out or Path(f"{card.recipe or sampler.name}_samples.png"), weights)
    if neighbours and interpolate:
        raise UsageError(
            "--neighbours and --interpolate make different pictures: use only one of them"
        )
    run = _run_of(weights, output) if neighbours else None
    _check_free(output, count, overwrite=overwrite)
    hint = "Make fewer at once: lower -n, with another --seed for more."
    with memory_for(f"making {count} samples at once", hint=hint):
        drawn = walk(sampler, count, seed) if interpolate else sampler.draw(count, seed)
        if label is not None:
            _set_label(drawn, label, sampler, path)
        made = torch.cat([one[sampler.field] for one in sampler(drawn, seed)])
        shown = np.stack([output.format.to_array(one, output.field) for one in made])
    labels = drawn[LABEL].tolist() if LABEL in drawn else None
    note = {**weights.source(), **sampler.settings()}
    found = None
    if run is not None:
        found = _neighbours(run, card, shown, sampler.field, done)
    caption = f"{card.recipe} · step {card.step} · {sampler.mode} · seed {seed}"
    columns = STEPS if interpolate else _columns(sampler, count, label)
    _write(output, shown, labels, {**note, "n": count}, caption, columns, found)
    return {
        "weights": str(path),
        **sampler.settings(),
        "ema": weights.ema,
        "device": sampler.device,
        "n": count,
        "output": str(output.path),
        "labels": labels,
        "neighbours": None if found is None else found.document,
    }


def _output(out: Path, weights: Weights) -> _Output:
    name = weights.application.gives[0]
    its_format, field = weights.formats[name], weights.fields[name]
    forms: dict[str, Literal["picture", "array"]] = {".png": "picture", ".npy": "array"}
    suffix = out.suffix.lower()
    output = _Output(out, forms.get(suffix, "folder"), field, its_format)
    if its_format.shown == "never":
        raise UsageError(
            f"its network makes {field.format}, which can't be shown", where=str(weights.path)
        )
    if output.form == "folder" and its_format.shown == "each" and not its_format.suffixes:
        raise UsageError(
            f"{field.format} has no files",
            where=str(out),
            hint="Give the output a name that ends in .png or .npy.",
        )
    if output.form == "folder" and suffix and not out.is_dir():
        raise UsageError(
            f"samples are written as one .png, one .npy, or into a folder: {suffix} isn't known",
            where=str(out),
        )
    return output


def _check_free(output: _Output, count: int, *, overwrite: bool) -> None:
    """Refuse to replace what is there.

    Raises:
        UsageError: it is, or a folder is where a file should be, or the reverse.
    """
    if output.path.exists() and output.path.is_dir() != (output.form == "folder"):
        what = "a folder" if output.path.is_dir() else "a file"
        raise UsageError(f"is {what} already", where=str(output.path))
    files = [output.path]
    if output.form == "folder":
        names = ["samples.npy", "scatter.png"]
        if output.format.shown == "each":
            ending = output.format.suffix(output.field)
            names = ["grid.png", *(f"{index:06d}{ending}" for index in range(count))]
        files = [output.path / name for name in names]
    there = [file for file in files if file.exists()]
    if there and not overwrite:
        raise UsageError(
            f"{len(there)} of the results exist already; nothing was done",
            where=str(there[0]),
            hint="Choose another -o, or replace them with --overwrite.",
        )


def _run_of(weights: Weights, output: _Output) -> Path:
    """The run directory that weights lie in, for images' neighbours.

    Raises:
        UsageError: there's none, or these are no 8-bit images.
    """
    path = weights.path
    if not is_8_bit_image(output.field, output.format):
        what = described(output.field)
        raise UsageError(f"--neighbours works for 8-bit images, not for {what}", where=str(path))
    if weights.application.gives[0] not in weights.card.fields:
        name = weights.application.gives[0]
        raise UsageError(
            f"--neighbours needs data with {name}, and they have none", where=str(path)
        )
    run = run_above(path)
    if run is None:
        raise UsageError(
            "neighbours are searched in the data of the weights' run, but these weights aren't in a"
            " run directory",
            where=str(path),
            hint="Give a run directory (runs/NAME/STAMP), or weights below it.",
        )
    return run


def _set_label(drawn: dict[str, Tensor], label: int, sampler: Sampler, path: Path) -> None:
    classes = sampler.classes
    if LABEL not in drawn or not classes:
        raise UsageError(
            f"--label can't be used: the application {sampler.name} has no class index {LABEL!r} "
            "with a known number of classes",
            where=str(path),
            hint=f"It draws {' and '.join(drawn)}.",
        )
    if not 0 <= label < classes:
        raise UsageError(
            f"there is no class {label}: the application {sampler.name} has {classes} (0 to "
            f"{classes - 1})",
            where=str(path),
        )
    drawn[LABEL] = torch.full_like(drawn[LABEL], label)


def _columns(sampler: Sampler, count: int, label: int | None) -> int | None:
    """A column for each class, where samples are dealt round them and the grid isn't too wide."""
    classes = sampler.classes
    dealt = label is None and 1 < classes <= min(MOST_CLASSES, count)
    return classes if dealt else None


@dataclass(frozen=True)
class _Found:
    """Neighbours, ready to be shown."""

    document: dict[str, Any]
    pictures: np.ndarray
    sentence: str


def _neighbours(
    run: Path,
    card: WeightsCard,
    shown: np.ndarray,
    field: str,
    done: Callable[[int, int], None],
) -> _Found:
    recipe = run_recipe(run)
    train, held_out = (trained_data(recipe, card, split) for split in ("train", "test"))
    found = near.find_neighbours(shown, train, held_out, field, done)
    own, other = (float(np.median(one)) for one in (found.distances[:, 0], found.held_out))
    chosen, places = np.unique(found.indices, return_inverse=True)
    pictures = near.images(train, chosen, field, shown.shape[1:])[
        places.reshape(found.indices.shape)
    ]
    nearest = [
        [
            {"name": train.name(int(index)), "distance": float(distance)}
            for index, distance in zip(indices, distances, strict=True)
        ]
        for indices, distances in zip(found.indices, found.distances, strict=True)
    ]
    document = {
        "data": train.chosen.id,
        "distance": "Euclidean over all values of an image, in [-1, 1]",
        "median": own,
        "held_out": other,
        "nearest": nearest,
    }
    sentence = f"median distance to the nearest: {own:.2f}; of held-out real images {other:.2f}"
    return _Found(document, pictures, sentence)


def _write(
    output: _Output,
    shown: np.ndarray,
    labels: list[int] | None,
    note: Mapping[str, Any],
    caption: str,
    columns: int | None,
    found: _Found | None,
) -> None:
    together = output.format.shown == "together"
    if output.form == "array" or (output.form == "folder" and together):
        write_array(shown, output.file("samples.npy"))
    if output.form == "array":
        return
    if together:
        picture = output.format.plot(_clouds(shown, labels), output.field, caption)
        save_image(picture, output.file("scatter.png"), note=note)
        return
    if output.form == "folder":
        for index, image in enumerate(shown):
            own = {**note, "index": index, "label": None if labels is None else labels[index]}
            path = output.path / f"{index:06d}{output.format.suffix(output.field)}"
            output.format.write(image, path, output.field, own)
    picture = block([output.format.picture(one, output.field) for one in shown], columns)
    if found is not None:
        picture = _beside(shown, found, caption)
    save_image(picture, output.file("grid.png"), note=note)


def _clouds(points: np.ndarray, labels: list[int] | None) -> dict[str, np.ndarray]:
    """Points by class, if they have few."""
    classes = sorted(set(labels or ()))
    if not 1 < len(classes) <= MOST_CLASSES:
        return {"generated": points}
    own = np.array(labels)
    return {f"class {one}": points[own == one] for one in classes}


def _beside(shown: np.ndarray, found: _Found, caption: str) -> np.ndarray:
    """Each sample, and to its right its neighbours."""
    height, width, channels = shown.shape[1:]
    narrow, wide = (
        np.full((height, max(1, width // part), channels), 255, np.uint8) for part in (12, 3)
    )
    strips = [
        np.concatenate((one, narrow, *others, wide), 1)
        for one, others in zip(shown, found.pictures, strict=True)
    ]
    name = "each generated image | the training images nearest to it"
    table = [{name: block(strips, side=_BLOCK_OF_NEIGHBOURS)}]
    return np.asarray(grid(table, f"{caption} · {found.sentence}"))
