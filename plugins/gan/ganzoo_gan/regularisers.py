"""Penalties on the discriminator's slope, to be named beside an adversarial loss.

Whose gradient is taken: the discriminator's score of a sample, which is the mean over a scale's
cells, then over the scales, as in the losses. The gradient is that with respect to the sample
alone, through whatever the task and the recipe put between the two (a source beside it, DiffAugment
with draws of its own), and is computed without autocast. Each penalty is a mean over samples, which
it looks at one by one; a discriminator with batch norm makes a sample's score depend on the others
of its batch, so that the sum over the batch is what is differentiated.

Under `interval` a penalty is evaluated every so many steps and multiplied by their number (lazy
regularisation, arXiv 1912.04958, section 3.1): its mean over the steps stays what it was. Logs show
the term as it was minimised, with that factor, at the steps that had it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ganzoo.errors import RecipeError
from ganzoo.interfaces import DiscriminatorOutput, KnownValue, LossInputs
from ganzoo_gan.loss_options import GPOptions, LazyOptions, R1Options, R2Options


class Penalty(ABC):
    """What the penalties share: D's term `penalty`, at every n-th step."""

    real_in_generator_turn = False
    needs_discriminator = True
    options: LazyOptions

    @property
    @abstractmethod
    def known_values(self) -> tuple[KnownValue, ...]:
        """The term at step 0 of a discriminator that is linear."""

    @abstractmethod
    def penalty(self, inputs: LossInputs) -> Tensor:
        """The weighted penalty, as if it were evaluated in every step."""

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """The penalty where the step is one of its own, else nothing.

        Raises:
            RuntimeError: when the recipe has no discriminator, or its gradient has none itself.
        """
        interval = self.options.interval
        if inputs.clock.step % interval:
            return {}
        return {"penalty": interval * self.penalty(inputs)}

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:  # noqa: ARG002  # D's affair
        """Nothing: the generator isn't concerned."""
        return {}


class GradientPenalty(Penalty):
    """WGAN-GP's penalty (arXiv 1704.00028, eq. 3): weight * mean (|slope| - target)^2.

    The slope is taken at one point of the line between each real and a generated sample, drawn
    uniformly with one number a sample from torch's global generator.
    """

    def __init__(self, options: GPOptions) -> None:
        self.options: GPOptions = options

    @property
    def known_values(self) -> tuple[KnownValue, ...]:
        """At a slope of 8 and one of 0, by the mean of 192 values; any point will do."""

        def of(slope: float) -> dict[str, float]:
            length = slope / 192**0.5
            weight = self.options.interval * self.options.weight.start
            return {"penalty": weight * (length - self.options.target) ** 2}

        return (
            # (3 - 1) / (0.5 - 0.25) = 8
            KnownValue(of(8), {}, real_logit=3, fake_logit=1, real=0.5, fake=0.25),
            KnownValue(of(0), {}, real_logit=2, fake_logit=2, real=0.5, fake=0.25),
        )

    def penalty(self, inputs: LossInputs) -> Tensor:
        """See the class.

        Raises:
            RecipeError: when there is no fake for each real sample.
        """
        real, fake = inputs.real.detach(), inputs.fake.detach()
        if real.shape != fake.shape:
            shapes = [" x ".join(map(str, x.shape)) for x in (real, fake)]
            raise RecipeError(
                "gan/gp needs a generated sample for each real one, of the same size, and the task "
                f"shows {shapes[0]} real and {shapes[1]} generated",
                where="loss",
                hint="Take a penalty that looks at either alone: gan/r1 or gan/r2.",
            )
        # In fp32 whatever the samples are, so that precision doesn't change what is drawn.
        share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device).to(real.dtype)
        length: Tensor = torch.linalg.vector_norm(
            slope(inputs, torch.lerp(fake, real, share)), dim=1
        )
        weight = self.options.weight.at(inputs.clock)
        return weight * (length - self.options.target).square().mean()


class ZeroCentred(Penalty):
    """gamma / 2 * mean |slope|^2 at given samples (arXiv 1801.04406, section 4.1)."""

    def __init__(self, options: R1Options | R2Options) -> None:
        self.options: R1Options | R2Options = options

    @property
    def known_values(self) -> tuple[KnownValue, ...]:
        """At a slope of 8 by the mean of 192 values, and one of 0."""
        # (3 - 1) / (0.5 - 0.25) = 8, so |slope|^2 = 192 * (8 / 192)^2 = 1/3, halved.
        value = self.options.interval * self.options.gamma.start / 6
        return (
            KnownValue({"penalty": value}, {}, real_logit=3, fake_logit=1, real=0.5, fake=0.25),
            KnownValue({"penalty": 0}, {}, real_logit=2, fake_logit=2, real=0.5, fake=0.25),
        )

    @abstractmethod
    def points(self, inputs: LossInputs) -> Tensor:
        """Where the slope is taken."""

    def penalty(self, inputs: LossInputs) -> Tensor:
        """See the class."""
        squares = slope(inputs, self.points(inputs)).square().sum(1)
        return self.options.gamma.at(inputs.clock) / 2 * squares.mean()


class R1(ZeroCentred):
    """At real samples (eq. 9)."""

    def points(self, inputs: LossInputs) -> Tensor:
        return inputs.real


class R2(ZeroCentred):
    """At generated samples (eq. 10)."""

    def points(self, inputs: LossInputs) -> Tensor:
        return inputs.fake


def slope(inputs: LossInputs, points: Tensor) -> Tensor:
    """Gradient of the discriminator's score at each point, differentiable once more.

    Args:
        inputs: of the loss; only `discriminate` is used.
        points: N x C x H x W or N x D.

    Returns:
        N x (C * H * W), or N x D.
    """
    points = points.detach().requires_grad_()
    total = score(inputs.discriminate(points, precise=True)).sum()
    gradient: Tensor
    (gradient,) = torch.autograd.grad(total, points, create_graph=True)
    return gradient.flatten(1)


def score(output: DiscriminatorOutput) -> Tensor:
    """What a discriminator says of each sample, N: mean over a scale's cells, then over scales."""
    scales = [logits.reshape(len(logits), -1).mean(1) for logits in output.logits]
    return torch.stack(scales).mean(0)
