"""Losses: what they are given, and what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

from ganzoo.interfaces.networks import DiscriminatorOutput
from ganzoo.interfaces.training import Clock


@dataclass(frozen=True)
class LossInputs:
    """All that a loss may look at in one player's turn.

    Args:
        real, fake: N x C x H x W in [-1, 1], or N x D points, as the data's `Field` says. Where
            there are no data, a task has given both the same value (`Task.honours_masks`).
        clock: how far the training is, for weights that change and terms of only some steps.
        real_output: None in the generator's turn unless the loss has `real_in_generator_turn`,
            and where there is no discriminator.
        fake_output: None where there is no discriminator: the recipe has none, or its player
            begins later. The loss then leaves out the terms that need it.
        discriminate: a function that runs the discriminator on other points, for penalties:
            `discriminate(x, precise=True)` without autocast. Raises `RuntimeError` where there is
            no discriminator.
        condition: what else the task passes on to the loss, by name.
    """

    real: Tensor
    fake: Tensor
    clock: Clock
    real_output: DiscriminatorOutput | None
    fake_output: DiscriminatorOutput | None
    discriminate: Callable[..., DiscriminatorOutput]
    condition: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownValue:
    """Terms of a loss that were computed by hand; `ganzoo.testing` compares the loss with them.

    The discriminator gives one logit an image, N x 1 x 1 x 1. At other points, where a penalty asks
    for it, the logit is linear in the mean of an image, through both of those stated: with
    `slope = (real_logit - fake_logit) / (real - fake)` its gradient has slope / 192 at each of the
    192 values, so the norm |slope| / sqrt(192). For that `real` and `fake` must differ (or both
    logits be equal: the slope is then 0). A loss that refuses to work without features gets
    the images themselves as those of one layer. A loss that takes no images gets samples of the
    first shape that it does take, N x 2, N x 1 x 64 or N x 1 x 8 x 8 x 8, and the slope is divided
    by the number of their values.

    Each option that changes terms must change them at a known value too, or the check can't tell
    whether its weight is right: `real` and `fake` that differ test the weight of their distance. A
    component with the tag `no_known_values` states only the terms that can be worked out.

    Args:
        discriminator: the terms of the discriminator's turn.
        generator: the terms of the generator's turn.
        real_logit, fake_logit: every logit of real and of fake images.
        real, fake: every value of the samples, by default images, N x 3 x 8 x 8.
    """

    discriminator: Mapping[str, float]
    generator: Mapping[str, float]
    real_logit: float = 0.0
    fake_logit: float = 0.0
    real: float = 0.0
    fake: float = 0.0


@runtime_checkable
class Loss(Protocol):
    """A loss returns weighted, named terms for each player; their sum is minimised.

    Each term is also logged.

    Optional attributes: `real_in_generator_turn: bool` (default False), for relativistic losses and
    feature matching; `needs_discriminator: bool` (default True); `known_values`, a sequence of
    `KnownValue` to which tests hold the loss; `decides`, the logit above which the discriminator
    takes a sample for real, or `"pairs"` where it compares each real sample with a generated one:
    logs then show how often it is right; `at_chance: Mapping[str, float]`, the terms of a
    discriminator that can't decide, so that every logit is `decides`;
    `term_weights(clock) -> Mapping[str, float]`, the weight of terms that a person would compare
    with a metric: logs show their plain values too. A task may have it as well.
    """

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms of the discriminator's turn, each a tensor of one value."""
        ...

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms of the generator's turn, each a tensor of one value."""
        ...
