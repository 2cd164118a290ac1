"""A trained network, ready to turn one part of a sample into another."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Chosen, Mode
from ganzoo.data.rng import seed_for
from ganzoo.errors import DataError, PluginError, UsageError
from ganzoo.inference.card_formats import card_formats
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.older_cards import INPUT, OUTPUT
from ganzoo.inference.precision import PRECISIONS, computing_in, lower_weights
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, load_weights
from ganzoo.interfaces import Field, Shape
from ganzoo.nn.device_and_precision import Precision, pick_device, pick_precision


@dataclass(frozen=True)
class Trained:
    """A network with what is needed to use it; calling it never changes the network.

    Args:
        net: the raw network.
        task: whose `predict` is called.
        role: the network's role in it.
        mode, seed: see `ganzoo.inference.modes`.
        size_multiple: number that an input's height and width must be multiples of, in pixels.
        precision: see `ganzoo.inference.precision`.
    """

    net: nn.Module
    task: Chosen
    role: str
    mode: Mode
    seed: int = 0
    size_multiple: int = 1
    precision: Precision = "fp32"

    @property
    def fields(self) -> tuple[str, str]:
        """The field that goes in, and the one that comes out."""
        return served(self.task, self.role)

    def __call__(self, inputs: Mapping[str, Tensor], name: str) -> Tensor:
        """Turn one sample's input into its output.

        Args:
            inputs: parts of a sample without a batch axis: the field that goes in and, for tasks
                that look at more, those beside it. Images are C x H x W in [-1, 1] and of any size:
                they are padded at the right and the bottom to the size multiple (mirrored, or with
                their edge where they are too small for that), and the result is cropped.
            name: of the sample; the dropout's seed comes from it and `seed`, so that a result
                depends on neither the other samples nor their order.

        Returns:
            On the CPU, in float32 or int64. An image is C' x H' x W'; H' and W' are H and W times
            the network's scale.

        Raises:
            UsageError: the task wants a field that `inputs` lacks.
        """
        given = _Inputs({key: as_given(value, self.net)[None] for key, value in inputs.items()})
        with (
            inference_mode(self.net, self.mode, seed_for(self.seed, "inference", name)),
            computing_in(self.precision, self.net),
        ):
            net = any_size(self.net, self.size_multiple)
            output = predicted(self.task, self.role, net, given)
        return as_result(output)[0]


class _Inputs(dict[str, Tensor]):
    """What a task may read; a missing field is reported as a usage error."""

    def __missing__(self, name: str) -> Tensor:
        there = ", ".join(self)
        raise UsageError(
            f"the network also needs the field {name!r}, but it is given only {there}",
            hint="`ganzoo evaluate RUN` gives a network every field of the run's data.",
        )


def predicted(
    task: Chosen, role: str, net: Callable[..., Any], given: Mapping[str, Tensor]
) -> Tensor:
    """What a task makes of a batch with one network.

    Raises:
        PluginError: it isn't one result a sample.
    """
    output: Any = task.load().predict(task.options, role, net, given)
    count = len(next(iter(given.values())))
    if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != count:
        made = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise PluginError(
            f"{task.id} returns {made} for {count} samples with its {role}",
            hint="Its `predict` must return a tensor with one result for each sample; report this "
            "to its authors.",
        )
    return output


def as_result(output: Tensor) -> Tensor:
    """What a network made, on the CPU: floats as float32, and indices as they are."""
    return (output.float() if output.is_floating_point() else output).cpu()


def as_given(value: Tensor, net: nn.Module) -> Tensor:
    """A tensor where the network is; integers as they are.

    Floats are float64 where its weights are, else float32: autocast rounds them where it should.
    """
    weight = next(net.parameters(), torch.empty(0))
    floats = torch.float64 if weight.dtype == torch.float64 else torch.float32
    return value.to(weight.device, floats if value.is_floating_point() else value.dtype)


def draws(task: Chosen, role: str, fields: Mapping[str, Field]) -> bool:
    """Whether a role's network makes samples of what its task draws, and of nothing in the data.

    Args:
        task: the task.
        role: one that it serves.
        fields: of the data.

    Raises:
        UsageError: as `served`.
    """
    return served(task, role)[0] not in fields


def served(task: Chosen, role: str) -> tuple[str, str]:
    """The fields that a role turns into each other.

    Raises:
        UsageError: the task has no use for that role's weights alone.
    """
    serves = task.load().serves
    if role not in serves:
        raise UsageError(
            f"{task.id} doesn't serve the network {role!r}: it can't be used alone",
            hint=f"It serves {', '.join(serves)}.",
        )
    fields: tuple[str, str] = serves[role]
    return fields


def direction(task: Chosen, role: str, fields: Mapping[str, Field]) -> str:
    """What a role's network turns into what, as the data's user calls it: `cats -> dogs`.

    Raises:
        UsageError: as `served`.
    """
    return " -> ".join(
        (fields[name].called if name in fields else "") or name for name in served(task, role)
    )


def any_size(net: Callable[..., Any], multiple: int) -> Callable[..., Any]:
    """The network for images of any size: what it can't take is padded, and the results cropped.

    Args:
        net: takes images N x C x H x W and label maps N x H x W; other inputs (noise, points) are
            passed on as they are, and so are other outputs.
        multiple: number that H and W must be multiples of, in pixels.
    """

    def call(*given: Tensor) -> Any:
        padded = [_padded(one, multiple) if _is_map(one) else one for one in given]
        output = net(*padded)
        first = next((index for index, one in enumerate(given) if _is_map(one)), None)
        if first is None:
            return output

        def cropped(made: Any) -> Any:
            if not _is_map(made):
                return made
            height, width = (
                round(size * result / whole)
                for size, result, whole in zip(
                    given[first].shape[-2:],
                    made.shape[-2:],
                    padded[first].shape[-2:],
                    strict=True,
                )
            )
            return made[..., :height, :width]

        if isinstance(output, Mapping):
            return {name: cropped(made) for name, made in output.items()}
        return cropped(output)

    return call


def _is_map(value: Any) -> bool:
    """Whether a tensor is a batch of images, or of label maps."""
    if not isinstance(value, Tensor):
        return False
    return value.ndim == 4 or (value.ndim == 3 and not value.is_floating_point())


def _padded(images: Tensor, multiple: int) -> Tensor:
    for axis, places in ((-1, (0, 1)), (-2, (2, 3))):
        size = images.shape[axis]
        missing = -size % multiple
        if missing:
            padding = [0, 0, 0, 0]
            padding[places[1]] = missing
            kind = "reflect" if missing < size else "replicate"
            # torch mirrors only floats; float64 holds every class index
            floats = images if images.is_floating_point() else images.double()
            images = functional.pad(floats, padding, mode=kind).to(images.dtype)
    return images


def load_network(
    path: Path, device: str = "auto", precision: str = "fp32"
) -> tuple[WeightsCard, Chosen, nn.Module, Precision]:
    """The card of a weights file, its task, its network on the device, and what it computes in.

    The network is ready for that precision.

    Raises:
        UsageError: there is no such file, or its task doesn't serve its role, or the precision is
            only for training.
        DataError: it can't be read, or doesn't fit its network.
        PluginError: a plugin that it needs is missing.
        EnvironmentFault: the device isn't there or can't do the precision, or a newer ganzoo wrote
            the file.
    """
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(
            f"trained networks aren't computed in {precision}",
            hint=f"These precisions can be used: auto, {', '.join(PRECISIONS)}.",
        )
    card, state = load_weights(path)
    task = task_of(card)
    place = pick_device(device)
    made = served(task, card.role)[1]
    # The 8-bit grid is about as coarse as 16-bit floats. All else is kept as it comes out, and
    # bf16 has three digits.
    coarse = card_formats(card)[made].dtype(card.fields[made]) == "uint8"
    used = pick_precision(precision, place, auto=None if coarse else "fp32")
    net = build_network(card, state, where=str(path)).to(place)
    lower_weights(net, used)
    return card, task, net, used


def task_of(card: WeightsCard) -> Chosen:
    """The task that weights were trained for.

    Raises:
        UsageError: it doesn't serve their role.
        PluginError: its plugin is missing.
        DataError: what the card says of the data and the shapes doesn't fit the task.
    """
    from ganzoo.plugin_system import registry

    task = registry.current().choose("task", dict(card.task))
    taken, made = served(task, card.role)
    if made not in card.fields:
        raise DataError(
            f"its card doesn't say what {made!r} is, which {task.id} makes with {card.role!r}",
            hint=f"Its fields are: {', '.join(card.fields) or 'none'}.",
        )
    for name, sides, unnamed in (
        (taken, card.io.inputs, INPUT),
        (made, card.io.outputs, OUTPUT),
    ):
        declared, data = sides.get(name) or sides.get(unnamed), card.fields.get(name)
        if declared and data and not _alike(declared.shape, data.shape):
            raise DataError(
                f"its card says that {name!r} has the shape {list(data.shape)} in the data, and"
                f" {list(declared.shape)} in its network"
            )
    return task


def _alike(one: Shape, other: Shape) -> bool:
    """Whether two shapes have the same axes and channels; sizes of maps may differ."""
    return len(one) == len(other) and (len(one) == 2 or one[:1] == other[:1])


def load_trained(
    path: Path,
    *,
    mode: Mode | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> tuple[WeightsCard, Trained]:
    """Build the network of a weights file, with the mode and seed of its card unless given.

    `precision` is one of `ganzoo.inference.precision.PRECISIONS`, or `auto`.

    Raises:
        UsageError: there is no such file, or its task doesn't serve its role, or draws its inputs.
        DataError, PluginError, EnvironmentFault: as `load_network`.
    """
    card, task, net, used = load_network(path, device, precision)
    refuse_drawing(card, task, path)
    return card, Trained(
        net=net,
        task=task,
        role=card.role,
        mode=mode or card.inference["mode"],
        seed=card.inference["seed"] if seed is None else seed,
        size_multiple=card.size_multiple,
        precision=used,
    )


def refuse_drawing(card: WeightsCard, task: Chosen, path: Path) -> None:
    """Say no to weights that take no data.

    Raises:
        UsageError: the task draws their network's inputs.
    """
    if draws(task, card.role, card.fields):
        wanted = served(task, card.role)[0]
        raise UsageError(
            f"its network makes samples from {wanted}, not from files",
            where=str(path),
            hint=f"Use `ganzoo sample {shlex.quote(str(path))} -n 64`.",
        )
