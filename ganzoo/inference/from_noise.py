"""Samples from noise: what a task draws, a class where there is one, and walks between latents."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Chosen, Mode
from ganzoo.data.rng import seed_for
from ganzoo.errors import PluginError, UsageError
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.precision import computing_in
from ganzoo.inference.trained_network import (
    as_given,
    as_result,
    draws,
    load_network,
    predicted,
    served,
)
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.interfaces import NetIO
from ganzoo.nn.device_and_precision import Precision

STEPS = 8
"""Samples of a walk from one latent to another, both ends included."""

CHUNK = 64
"""Samples that go through a network at once, where they may."""

BLOCK = 64
"""Samples whose inputs are drawn together, at least; whole rounds of the classes."""

LABEL = "label"
"""What tasks call the class indices that they draw."""


@dataclass(frozen=True)
class Sampler:
    """A network that draws its inputs; using it never changes it.

    Args:
        net: the raw network.
        task: whose `draw` and `predict` are called.
        role: the network's role in it.
        io: the inputs and outputs of the network.
        mode: see `ganzoo.inference.modes`.
        precision: see `ganzoo.inference.precision`.
    """

    net: nn.Module
    task: Chosen
    role: str
    io: NetIO
    mode: Mode
    precision: Precision = "fp32"

    @property
    def field(self) -> str:
        """The field that comes out."""
        return served(self.task, self.role)[1]

    def draw(self, count: int, seed: int) -> dict[str, Tensor]:
        """Inputs of `count` samples, on the CPU.

        They are drawn block by block, each from a generator of its own, so that the first samples
        have the same inputs however many there are.

        Raises:
            PluginError: the task has no `draw`, or it gives other than that.
        """
        task: Any = self.task.load()
        classes = max(self.io.classes, 1)
        block = classes * -(-BLOCK // classes)
        parts = []
        for number in range(-(-count // block)):
            random = torch.Generator().manual_seed(seed_for(seed, "draw", number))
            try:
                part = dict(task.draw(self.task.options, self.role, self.io, block, random))
            except NotImplementedError as error:
                raise PluginError(str(error), where=self.task.id) from error
            for name, value in part.items():
                if len(value) != block:
                    raise PluginError(
                        f"{self.task.id} draws {len(value)} of {name}, but {block} are needed"
                    )
            parts.append(part)
        return {name: torch.cat([part[name] for part in parts])[:count] for name in parts[0]}

    def __call__(self, inputs: Mapping[str, Tensor], seed: int = 0) -> Iterator[Tensor]:
        """Make samples, a chunk at a time; one by one where the mode takes statistics of each.

        Args:
            inputs: as `draw` gives them.
            seed: of the dropout, which is each sample's own.

        Returns:
            N x C x H x W in [-1, 1], or N x D; float32 on the CPU, in the order of the inputs.

        Raises:
            UsageError: the network can't be used one by one.
        """
        count = len(next(iter(inputs.values())))
        size = CHUNK if self.mode == "running" else 1
        for start in range(0, count, size):
            given = {
                name: as_given(value[start : start + size], self.net)
                for name, value in inputs.items()
            }
            with (
                inference_mode(self.net, self.mode, seed_for(seed, "inference", start)),
                computing_in(self.precision, self.net),
            ):
                try:
                    made = predicted(self.task, self.role, self.net, given)
                except ValueError as error:  # torch's, of the statistics of a single number
                    if self.mode == "running":
                        raise
                    raise UsageError(
                        f"the mode {self.mode} can't be used with this network: {error}",
                        where=self.role,
                        hint="It uses the statistics of each single sample; use the mode running.",
                    ) from error
            yield as_result(made)


def load_sampler(
    path: Path, *, mode: Mode | None = None, device: str = "auto", precision: str = "fp32"
) -> tuple[WeightsCard, Sampler]:
    """Build the network of a weights file, with the mode of its card unless given.

    `precision` is one of `ganzoo.inference.precision.PRECISIONS`, or `auto`.

    Raises:
        UsageError: there is no such file, or its task doesn't serve its role, or its network takes
            data.
        DataError, PluginError, EnvironmentFault: as `load_network`.
    """
    card, task, net, used = load_network(path, device, precision)
    if not draws(task, card.role, card.fields):
        wanted = served(task, card.role)[0]
        raise UsageError(
            f"its network takes each {wanted} as its input and generates nothing from noise",
            where=str(path),
            hint=f"Use `ganzoo predict {shlex.quote(str(path))} IN -o OUT`.",
        )
    return card, Sampler(net, task, card.role, card.io, mode or card.inference["mode"], used)


def walk(sampler: Sampler, count: int, seed: int) -> dict[str, Tensor]:
    """Rows from one latent to another: inputs of `count` samples.

    Noise of a bounded range (uniform) is walked in a straight line, which stays in it; normal noise
    along a great circle, since a line would leave the shell that nearly all of it lies on (White
    2016, arXiv 1609.04468). Integers stay those of the row's beginning.

    Raises:
        UsageError: the count isn't a whole number of rows.
    """
    if count % STEPS:
        rows = max(1, round(count / STEPS))
        raise UsageError(
            f"--interpolate makes rows of {STEPS} samples, but {count} is not a multiple of that",
            hint=f"Use -n {rows * STEPS}.",
        )
    rows = count // STEPS
    ends = sampler.draw(2 * rows, seed)
    shares = torch.linspace(0, 1, STEPS)
    walked = {}
    for name, value in ends.items():
        first, last = value[:rows], value[rows:]
        if value.is_floating_point():
            bounded = float(sampler.draw(1000, seed)[name].abs().max()) <= 1
            between = torch.lerp if bounded else slerp
            steps = [between(first, last, share) for share in shares]
        else:
            steps = [first] * STEPS
        walked[name] = torch.stack(steps, 1).flatten(0, 1)
    return walked


def slerp(a: Tensor, b: Tensor, share: Tensor | float) -> Tensor:
    """Points on the great circle from a to b (Shoemake 1985), sample by sample.

    Where both have one direction, or opposite ones, there is no such circle, and it is the line.

    Args:
        a: N x ...; each sample is a vector.
        b: the same.
        share: of the way, 0 to 1.
    """
    x, y = a.flatten(1).double(), b.flatten(1).double()
    cosine = torch.nn.functional.cosine_similarity(x, y).clamp(-1, 1)[:, None]
    angle = cosine.arccos()
    sine = angle.sin()
    flat = sine < 1e-6
    safe = torch.where(flat, torch.ones_like(sine), sine)
    left = torch.where(flat, torch.ones_like(sine) - share, ((1 - share) * angle).sin() / safe)
    right = torch.where(flat, torch.zeros_like(sine) + share, (share * angle).sin() / safe)
    return (left * x + right * y).to(a.dtype).reshape(a.shape)
