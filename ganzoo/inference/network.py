"""A trained network, ready to turn one image into another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Chosen
from ganzoo.data.sampler import seed_for
from ganzoo.errors import DataError, EnvironmentFault, UsageError
from ganzoo.inference.modes import Mode, inference_mode
from ganzoo.inference.weights import WeightsCard, build_network, load_weights


@dataclass(frozen=True)
class Trained:
    """A network with what is needed to use it; calling it never changes the network.

    Args:
        net: the raw network.
        task: whose `predict` is called.
        role: the network's role in it.
        mode, seed: see `ganzoo.inference.modes`.
        size_multiple: number that an input's height and width must be multiples of, in pixels.
    """

    net: nn.Module
    task: Chosen
    role: str
    mode: Mode
    seed: int = 0
    size_multiple: int = 1

    @property
    def fields(self) -> tuple[str, str]:
        """The field that goes in, and the one that comes out."""
        return served(self.task, self.role)

    def __call__(self, image: Tensor, name: str) -> Tensor:
        """Turn one image into another.

        Args:
            image: C x H x W in [-1, 1]. Any size: it is padded at the right and the bottom to the
                size multiple (mirrored, or with its edge where it is too small for that), and the
                result is cropped.
            name: of the image; the dropout's seed comes from it and `seed`, so that a result
                depends on neither the other images nor their order.

        Returns:
            C' x H' x W' in float32 on the CPU; H' and W' are H and W times the network's scale.
        """
        weight = next(self.net.parameters(), torch.empty(0))
        inputs = {self.fields[0]: image.to(weight.device, weight.dtype)[None]}
        task: Any = self.task.load()
        with inference_mode(self.net, self.mode, seed_for(self.seed, "inference", name)):
            net = any_size(self.net, self.size_multiple)
            output: Tensor = task.predict(self.task.options, self.role, net, inputs)
        return output[0].float().cpu()


def served(task: Chosen, role: str) -> tuple[str, str]:
    """The fields that a role turns into each other.

    Raises:
        UsageError: the task has no use for that role's weights alone.
    """
    serves = task.load().serves
    if role not in serves:
        raise UsageError(
            f"{task.id} doesn't serve the network {role!r}: nothing can be predicted with it alone",
            hint=f"It serves {', '.join(serves)}.",
        )
    fields: tuple[str, str] = serves[role]
    return fields


def any_size(net: Callable[..., Tensor], multiple: int) -> Callable[..., Tensor]:
    """The network for images of any size: what it can't take is padded, and the result cropped.

    Args:
        net: takes N x C x H x W; other inputs (noise, points) are passed on as they are.
        multiple: number that H and W must be multiples of, in pixels.
    """

    def call(images: Tensor, *rest: Any) -> Tensor:
        if images.ndim != 4:
            return net(images, *rest)
        padded = _padded(images, multiple)
        output = net(padded, *rest)
        height, width = (
            round(given * made / whole)
            for given, made, whole in zip(
                images.shape[-2:], output.shape[-2:], padded.shape[-2:], strict=True
            )
        )
        return output[..., :height, :width]

    return call


def _padded(images: Tensor, multiple: int) -> Tensor:
    for axis, places in ((-1, (0, 1)), (-2, (2, 3))):
        size = images.shape[axis]
        missing = -size % multiple
        if missing:
            padding = [0, 0, 0, 0]
            padding[places[1]] = missing
            kind = "reflect" if missing < size else "replicate"
            images = functional.pad(images, padding, mode=kind)
    return images


def pick_device(name: str = "auto") -> torch.device:
    """The device that a flag means; `auto` takes an accelerator if there is one.

    Raises:
        EnvironmentFault: the device isn't there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, found in there.items() if found)
    if not there[name]:
        raise EnvironmentFault(f"torch sees no {name} device", hint="Use --device cpu.")
    return torch.device(name)


def load_trained(
    path: Path, *, mode: Mode | None = None, seed: int | None = None, device: str = "auto"
) -> tuple[WeightsCard, Trained]:
    """Build the network of a weights file, with the mode and seed of its card unless given.

    Raises:
        UsageError: there is no such file, or its task doesn't serve its role.
        DataError: it can't be read, or doesn't fit its network, or takes no image.
        PluginError: a plugin that it needs is missing.
        EnvironmentFault: the device isn't there, or a newer ganzoo wrote the file.
    """
    from ganzoo import registry

    card, state = load_weights(path)
    task = registry.current().choose("task", dict(card.task))
    source, _ = served(task, card.role)
    if card.fields[source].kind != "image":
        raise DataError(
            f"its network takes {card.fields[source].kind}, not an image", where=str(path)
        )
    net = build_network(card, state, where=str(path)).to(pick_device(device))
    return card, Trained(
        net=net,
        task=task,
        role=card.role,
        mode=mode or card.inference["mode"],
        seed=card.inference["seed"] if seed is None else seed,
        size_multiple=card.size_multiple,
    )
