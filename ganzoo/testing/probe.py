"""Made-up inputs for losses: images, and a discriminator whose logits are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from ganzoo.interfaces import (
    Clock,
    DiscriminatorOutput,
    KnownValue,
    Loss,
    LossInputs,
    Shape,
)
from ganzoo.testing.kit import CheckFailed

Turn: TypeAlias = Literal["discriminator", "generator"]


@dataclass(frozen=True)
class Probe:
    """What a loss is to be shown.

    Args:
        shape: of one sample.
        rows: samples in the batch.
        scales: of the discriminator; the logits of scale s are maps of 2^s x 2^s.
        features: whether the discriminator gives features too: each scale's only layer is `x`.
        real_logit, fake_logit: every logit.
        real, fake: the samples; by default random ones in [-1, 1], the same every time.
        line: (slope, offset) of the discriminator at other points, whose logit is slope * mean +
            offset; None: it can't be asked there.
        cells: False: one logit a sample.
        discriminator: whether there is one.
        show_real: show `real_output` in the generator's turn, whatever the loss declares.
        track: whether logits, real and fake want gradients.
        dtype, device: of everything.
        progress: how far training is.
        step: steps done.
    """

    shape: Shape = (3, 32, 32)
    rows: int = 4
    scales: int = 1
    features: bool = False
    real_logit: float = 0.3
    fake_logit: float = -0.2
    real: Any = None
    fake: Any = None
    line: tuple[float, float] | None = (1.0, 0.0)
    cells: bool = True
    discriminator: bool = True
    show_real: bool = False
    track: bool = False
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    progress: float = 0.0
    step: int = 0
    slope: Tensor = field(init=False, repr=False)
    """The discriminator's only weight, as penalties reach it."""

    def __post_init__(self) -> None:
        for seed, name in enumerate(("real", "fake")):
            if getattr(self, name) is None:
                generator = torch.Generator().manual_seed(seed)
                drawn = torch.rand((self.rows, *self.shape), generator=generator) * 2 - 1
                object.__setattr__(self, name, drawn)
        slope = self.line[0] if self.line else 0.0
        object.__setattr__(self, "slope", torch.tensor(slope, dtype=self.dtype, device=self.device))
        self.slope.requires_grad_(self.track)

    @classmethod
    def of_known_value(cls, value: KnownValue) -> Probe:
        """What a `KnownValue` describes, in double precision."""
        shape = (3, 8, 8)
        rise, run = value.real_logit - value.fake_logit, value.real - value.fake
        if run:
            slope = rise / run
            line: tuple[float, float] | None = (slope, value.real_logit - slope * value.real)
        else:
            line = None if rise else (0.0, value.real_logit)
        return cls(
            shape=shape,
            real_logit=value.real_logit,
            fake_logit=value.fake_logit,
            real=torch.full((4, *shape), value.real, dtype=torch.float64),
            fake=torch.full((4, *shape), value.fake, dtype=torch.float64),
            line=line,
            cells=False,
            dtype=torch.float64,
        )

    def but(self, **changes: Any) -> Probe:
        """The same with changes."""
        if "rows" in changes:
            changes = {"real": None, "fake": None} | changes
        return replace(self, **changes)

    def inputs(self, loss: Loss, turn: Turn) -> LossInputs:
        """What the loss gets in a turn; real outputs in the generator's only if it declares it."""
        real, fake = (
            one.detach().clone().to(self.device, self.dtype).requires_grad_(self.track)
            for one in (self.real, self.fake)
        )
        shows_real = (
            turn == "discriminator"
            or self.show_real
            or getattr(loss, "real_in_generator_turn", False)
        )
        there = self.discriminator
        return LossInputs(
            real=real,
            fake=fake,
            clock=Clock(self.step, 0, self.progress),
            real_output=self._output(real, self.real_logit) if there and shows_real else None,
            fake_output=self._output(fake, self.fake_logit) if there else None,
            discriminate=self._discriminate,
        )

    def _output(self, x: Tensor, logit: float) -> DiscriminatorOutput:
        """The stated logit for all of `x`; features are its own."""
        logits = tuple(
            torch.full(
                (len(x), 1, *side), logit, dtype=self.dtype, device=self.device
            ).requires_grad_(self.track)
            for side in self._sides()
        )
        return DiscriminatorOutput(logits, self._features(x))

    def _sides(self) -> list[tuple[int, ...]]:
        if len(self.shape) != 3:
            return [()] * self.scales
        return [(2**scale * 2,) * 2 if self.cells else (1, 1) for scale in range(self.scales)]

    def _features(self, x: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        if not self.features:
            return ()
        return ((x,),) * self.scales

    def _discriminate(self, x: Tensor, *, precise: bool = False) -> DiscriminatorOutput:
        """The discriminator at other points: linear in the mean of each sample."""
        del precise
        if not self.discriminator:
            message = "the recipe has no discriminator, and its loss asks for one"
            raise RuntimeError(message)
        if self.line is None:
            message = (
                "the loss asks for logits at other points, and its `known_values` doesn't define "
                "them: state `real` and `fake` that differ; the logit is then linear in the mean "
                "of a sample, through both"
            )
            raise CheckFailed(message)
        _, offset = self.line
        mean = self.slope * x.flatten(1).mean(1) + offset
        logits = tuple(
            mean.reshape(-1, 1, *(1 for _ in side)).expand(-1, 1, *side) for side in self._sides()
        )
        return DiscriminatorOutput(logits, self._features(x))
