"""Penalties on the discriminator's slope, which are named beside an adversarial loss.

The gradient is that of the discriminator's score of a sample. The score is the mean over a scale's
cells, then over the scales, as in the losses. The gradient is taken with respect to the sample
alone, through everything that the task and the recipe put between sample and discriminator (a
source beside it, DiffAugment with its own draws). It is computed without autocast. Each penalty is
a mean over samples. With batch norm a sample's score also depends on the other samples of its
batch, and the sum of the scores over the batch is differentiated.

With `interval` a penalty is evaluated every `interval` steps and multiplied by `interval` (lazy
regularisation, arXiv 1912.04958, section 3.1), so that its mean over the steps doesn't change. The
log shows the term as it was minimised, with that factor, in the steps in which it was evaluated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ganzoo.errors import RecipeError
from ganzoo.interfaces import DiscriminatorOutput, KnownValue, LossInputs
from ganzoo_gan.loss_options import GPOptions, LazyOptions, R1Options, R2Options


class Penalty(ABC):
    """Base of the penalties: D's term `penalty`, in every `interval`-th step."""

    real_in_generator_turn = False
    needs_discriminator = True
    options: LazyOptions

    @property
    @abstractmethod
    def known_values(self) -> tuple[KnownValue, ...]:
        """Return the term at step 0 for a discriminator that is linear."""

    @abstractmethod
    def penalty(self, inputs: LossInputs) -> Tensor:
        """Return the weighted penalty, as if it were evaluated in every step."""

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the penalty in the steps in which it is evaluated, else nothing.

        Raises:
            RuntimeError: when the recipe has no discriminator, or the discriminator isn't
                differentiable twice.
        """
        interval = self.options.interval
        if inputs.clock.step % interval:
            return {}
        return {"penalty": interval * self.penalty(inputs)}

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:  # noqa: ARG002  # a penalty is only for the discriminator
        """Return nothing, because the penalty isn't part of the generator's turn."""
        return {}


class GradientPenalty(Penalty):
    """WGAN-GP's penalty (arXiv 1704.00028, eq. 3): weight * mean (|slope| - target)^2.

    The slope is taken at one point of the line between each real and a generated sample. The point
    is drawn uniformly, with one number a sample, from torch's global generator.
    """

    def __init__(self, options: GPOptions) -> None:
        self.options: GPOptions = options

    @property
    def known_values(self) -> tuple[KnownValue, ...]:
        """Return the penalty for discriminators that are linear in the mean of 192 numbers.

        Their slopes by that mean are 8 and 0. The slope is the same at every point, so the random
        point doesn't matter.
        """

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
        """Return the weighted penalty; see the class.

        Raises:
            RecipeError: when there isn't a generated sample for each real one.
        """
        real, fake = inputs.real.detach(), inputs.fake.detach()
        if real.shape != fake.shape:
            shapes = [" x ".join(map(str, x.shape)) for x in (real, fake)]
            raise RecipeError(
                f"gan/gp needs a generated sample for each real one, of the same size, but the "
                f"task shows {shapes[0]} real and {shapes[1]} generated",
                where="loss",
                hint="Use a penalty that needs only one of them: gan/r1 or gan/r2.",
            )
        # Drawn in fp32 in every precision, so that the precision doesn't change the random numbers.
        share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device).to(real.dtype)
        length: Tensor = torch.linalg.vector_norm(
            slope(inputs, torch.lerp(fake, real, share)), dim=1
        )
        weight = self.options.weight.at(inputs.clock)
        return weight * (length - self.options.target).square().mean()


class ZeroCentred(Penalty):
    """Base of R1 and R2: gamma / 2 * mean |slope|^2 at given samples (arXiv 1801.04406, 4.1)."""

    def __init__(self, options: R1Options | R2Options) -> None:
        self.options: R1Options | R2Options = options

    @property
    def known_values(self) -> tuple[KnownValue, ...]:
        """Return the penalty for discriminators with slopes 8 and 0 by the mean of 192 numbers."""
        # (3 - 1) / (0.5 - 0.25) = 8, so |slope|^2 = 192 * (8 / 192)^2 = 1/3, halved.
        value = self.options.interval * self.options.gamma.start / 6
        return (
            KnownValue({"penalty": value}, {}, real_logit=3, fake_logit=1, real=0.5, fake=0.25),
            KnownValue({"penalty": 0}, {}, real_logit=2, fake_logit=2, real=0.5, fake=0.25),
        )

    @abstractmethod
    def points(self, inputs: LossInputs) -> Tensor:
        """Return the samples at which the slope is taken."""

    def penalty(self, inputs: LossInputs) -> Tensor:
        """Return the weighted penalty; see the class."""
        squares = slope(inputs, self.points(inputs)).square().sum(1)
        return self.options.gamma.at(inputs.clock) / 2 * squares.mean()


class R1(ZeroCentred):
    """R1: the penalty at real samples (eq. 9)."""

    def points(self, inputs: LossInputs) -> Tensor:
        return inputs.real


class R2(ZeroCentred):
    """R2: the penalty at generated samples (eq. 10)."""

    def points(self, inputs: LossInputs) -> Tensor:
        return inputs.fake


def slope(inputs: LossInputs, points: Tensor) -> Tensor:
    """Return the gradient of the discriminator's score at each point, as a differentiable tensor.

    Args:
        inputs: the inputs of the loss; only `discriminate` is used.
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
    """Return a discriminator's score of each sample, N: the mean over cells, then over scales."""
    scales = [logits.reshape(len(logits), -1).mean(1) for logits in output.logits]
    return torch.stack(scales).mean(0)
