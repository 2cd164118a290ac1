"""Samples from noise: what a task draws, a class where there is one, and walks between latents."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganzoo.api import Mode
from ganzoo.data.rng import seed_for
from ganzoo.errors import UsageError
from ganzoo.inference.application_weights import Weights
from ganzoo.inference.applications import draws_all, label_classes, taken_by
from ganzoo.inference.load_application import load
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.precision import computing_in
from ganzoo.inference.trained_application import Applied, as_result

STEPS = 8
"""Samples of a walk from one latent to another, both ends included."""

CHUNK = 64
"""Samples that go through a network at once, where they may."""

BLOCK = 64
"""Samples whose inputs are drawn together, at least; whole rounds of the classes."""


@dataclass(frozen=True)
class Sampler(Applied):
    """An application that draws its inputs; using it never changes its networks."""

    @property
    def field(self) -> str:
        """The first field that comes out, which is the one that is shown."""
        return self.application.gives[0]

    @property
    def classes(self) -> int:
        """The number of classes of what it draws as `label`; 0 if that isn't known."""
        return label_classes(self.io.values())

    def draw(self, count: int, seed: int) -> dict[str, Tensor]:
        """Inputs of `count` samples, on the CPU.

        They are drawn block by block, each from a generator of its own, so that the first samples
        have the same inputs however many there are.

        Raises:
            PluginError: the task has no `draw`, or it gives other than that.
        """
        classes = max(self.classes, 1)
        block = classes * -(-BLOCK // classes)
        parts = []
        for number in range(-(-count // block)):
            random = torch.Generator().manual_seed(seed_for(seed, "draw", number))
            parts.append(self.draw_inputs(block, random))
        return {name: torch.cat([part[name] for part in parts])[:count] for name in parts[0]}

    def __call__(self, inputs: Mapping[str, Tensor], seed: int = 0) -> Iterator[dict[str, Tensor]]:
        """Make samples, a chunk at a time; one by one where the mode takes statistics of each.

        Args:
            inputs: as `draw` gives them.
            seed: of the dropout, which is each sample's own.

        Returns:
            What the application gives, by field: N x C x H x W in [-1, 1], or N x D; float32 on
            the CPU, in the order of the inputs.

        Raises:
            UsageError: the networks can't be used one by one.
        """
        count = len(next(iter(inputs.values())))
        size = CHUNK if self.mode == "running" else 1
        for start in range(0, count, size):
            given = self.given(
                {name: value[start : start + size] for name, value in inputs.items()}
            )
            with (
                inference_mode(self.all, self.mode, seed_for(seed, "inference", start)),
                computing_in(self.precision, self.all),
            ):
                try:
                    made = self.apply(given)
                except ValueError as error:  # torch's, of the statistics of a single number
                    if self.mode == "running":
                        raise
                    raise UsageError(
                        f"the mode {self.mode} can't be used with this network: {error}",
                        where=self.name,
                        hint="It uses the statistics of each single sample; use the mode running.",
                    ) from error
            yield {name: as_result(one) for name, one in made.items()}


def load_sampler(
    weights: Weights,
    *,
    options: Mapping[str, Any] | None = None,
    mode: Mode | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
) -> Sampler:
    """Build an application that draws its inputs, with the mode of its card unless given.

    Args:
        weights: of its networks.
        options: the application's, by key; the others have their defaults.
        mode: see `ganzoo.inference.modes`.
        seed: the one that `Sampler.settings` states. The seeds with which inputs are drawn and
            dropout is computed are arguments of `Sampler.draw` and of the call.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: one of `ganzoo.inference.precision.PRECISIONS`, or `auto`.

    Raises:
        UsageError: the application takes data.
        GanzooError: as `ganzoo.inference.load_application.load_trained`.
    """
    if not draws_all(weights.application):
        given = taken_by(weights.application)
        command = f"ganzoo predict {shlex.quote(str(weights.path))}{weights.which} IN -o OUT"
        raise UsageError(
            f"the application {weights.name} takes each {' and '.join(given)} as its input and "
            "generates nothing from noise",
            where=str(weights.path),
            hint=f"Use `{command}`.",
        )
    return load(Sampler, weights, options or {}, mode, seed, device, precision)


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
