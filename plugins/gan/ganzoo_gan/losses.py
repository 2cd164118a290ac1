"""Five adversarial losses, each for discriminator (D) and generator (G), as in their papers.

A discriminator's logits are maps of any shape, at one scale or several. Each scale is averaged over
its cells, and then the scales are averaged. So a loss has the same magnitude for every
discriminator. None of the losses has options: the component that names a loss sets its weight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import e, exp, log
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.api import Options
from ganzoo.errors import RecipeError
from ganzoo.interfaces import DiscriminatorOutput, KnownValue, LossInputs


class AdversarialLoss(ABC):
    """Base of the losses of single samples: D's terms `real` and `fake`, G's term `gan`."""

    real_in_generator_turn = False
    needs_discriminator = True
    known_values: ClassVar[tuple[KnownValue, ...]]
    decides: ClassVar[float | None] = None
    at_chance: ClassVar[Mapping[str, float]] = {}

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def real(self, logits: Tensor) -> Tensor:
        """Return D's loss for each logit of a real sample."""

    @abstractmethod
    def fake(self, logits: Tensor) -> Tensor:
        """Return D's loss for each logit of a generated sample."""

    @abstractmethod
    def fooled(self, logits: Tensor) -> Tensor:
        """Return G's loss for each logit of a generated sample."""

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms of the discriminator's turn.

        Raises:
            RuntimeError: when the recipe has no discriminator.
        """
        return {
            "real": _mean([self.real(logits) for logits in _logits(inputs.real_output)]),
            "fake": _mean([self.fake(logits) for logits in _logits(inputs.fake_output)]),
        }

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the term of the generator's turn; none where there is no discriminator."""
        if inputs.fake_output is None:
            return {}
        return {"gan": _mean([self.fooled(logits) for logits in _logits(inputs.fake_output)])}


class Vanilla(AdversarialLoss):
    """Cross-entropy (arXiv 1406.2661, eq. 1) with the non-saturating generator loss (section 3).

    D minimises -log s(real) - log(1 - s(fake)), and G minimises -log s(fake), where s is the
    logistic function. The code uses -log s(x) = softplus(-x) and -log(1 - s(x)) = softplus(x),
    which don't overflow for any logit.
    """

    decides = 0.0  # s(0) = 1/2
    at_chance: ClassVar[Mapping[str, float]] = {"real": log(2), "fake": log(2), "gan": log(2)}
    known_values = (
        # s(0) = 1/2: each term is -log(1/2).
        KnownValue({"real": log(2), "fake": log(2)}, {"gan": log(2)}),
        # s(x) = 1 / (1 + e^-x): D is right about both samples, with odds of e to 1.
        KnownValue(
            {"real": log(1 + 1 / e), "fake": log(1 + 1 / e)},
            {"gan": log(1 + e)},
            real_logit=1,
            fake_logit=-1,
        ),
    )

    def real(self, logits: Tensor) -> Tensor:
        return F.softplus(-logits)

    def fake(self, logits: Tensor) -> Tensor:
        return F.softplus(logits)

    def fooled(self, logits: Tensor) -> Tensor:
        return F.softplus(-logits)


class LSGAN(AdversarialLoss):
    """Least squares with the targets 1 and 0 (arXiv 1611.04076, eq. 9 without its factors 1/2).

    D minimises (real - 1)^2 + fake^2, and G minimises (fake - 1)^2.
    """

    decides = 0.5  # as far from 0 as from 1
    at_chance: ClassVar[Mapping[str, float]] = {"real": 0.25, "fake": 0.25, "gan": 0.25}
    known_values = (
        # (0 - 1)^2, 0^2, (0 - 1)^2
        KnownValue({"real": 1, "fake": 0}, {"gan": 1}),
        # (3 - 1)^2, (-2)^2, (-2 - 1)^2
        KnownValue({"real": 4, "fake": 4}, {"gan": 9}, real_logit=3, fake_logit=-2),
    )

    def real(self, logits: Tensor) -> Tensor:
        return (logits - 1).square()

    def fake(self, logits: Tensor) -> Tensor:
        return logits.square()

    def fooled(self, logits: Tensor) -> Tensor:
        return (logits - 1).square()


class Hinge(AdversarialLoss):
    """Hinge loss (arXiv 1705.02894, section 3.2; 1802.05957, eqs. 16 and 17).

    D minimises max(0, 1 - real) + max(0, 1 + fake), and G minimises -fake.
    """

    decides = 0.0
    at_chance: ClassVar[Mapping[str, float]] = {"real": 1.0, "fake": 1.0, "gan": 0.0}
    known_values = (
        # 1 - 0.25 and 1 - 0.5: both logits are within the margin
        KnownValue({"real": 0.75, "fake": 0.5}, {"gan": 0.5}, real_logit=0.25, fake_logit=-0.5),
        # both logits are beyond the margin, so D's loss is 0
        KnownValue({"real": 0, "fake": 0}, {"gan": 3}, real_logit=2, fake_logit=-3),
    )

    def real(self, logits: Tensor) -> Tensor:
        return F.relu(1 - logits)

    def fake(self, logits: Tensor) -> Tensor:
        return F.relu(1 + logits)

    def fooled(self, logits: Tensor) -> Tensor:
        return -logits


class WGAN(AdversarialLoss):
    """Difference of the critic's outputs (arXiv 1701.07875, eqs. 2 and 3).

    It estimates the Wasserstein-1 distance. D minimises fake - real, and G minimises -fake. The
    estimate is only meaningful if D's slope is limited: name a penalty (`gan/gp`) beside it, or
    bound D's weights by spectral norm.
    """

    known_values = (
        # The difference is 3 - (-2) = 5.
        KnownValue({"real": -3, "fake": -2}, {"gan": 2}, real_logit=3, fake_logit=-2),
        # A constant that is added to both logits doesn't change D's loss: -1.5 + 1.5 = 0.
        KnownValue({"real": -1.5, "fake": 1.5}, {"gan": -1.5}, real_logit=1.5, fake_logit=1.5),
    )

    def real(self, logits: Tensor) -> Tensor:
        return -logits

    def fake(self, logits: Tensor) -> Tensor:
        return logits

    def fooled(self, logits: Tensor) -> Tensor:
        return -logits


class RpGAN:
    """Relativistic pairing with the logistic function (arXiv 1807.00734, section 4; 2501.05441).

    D minimises softplus(-(real - fake)), and G minimises softplus(-(fake - real)). Sample i of the
    real batch is compared with sample i of the generated one, and each cell with the same cell.
    Each turn has one term, `gan`, since real and fake samples have no separate terms.
    """

    real_in_generator_turn = True
    needs_discriminator = True
    decides = "pairs"
    at_chance: ClassVar[Mapping[str, float]] = {"gan": log(2)}
    known_values: ClassVar[tuple[KnownValue, ...]] = (
        # The difference is 1 - (-1) = 2 for D, and -2 for G.
        KnownValue(
            {"gan": log(1 + exp(-2))}, {"gan": log(1 + exp(2))}, real_logit=1, fake_logit=-1
        ),
        # Only the difference counts: 3 - 2.5 = 0.5.
        KnownValue(
            {"gan": log(1 + exp(-0.5))}, {"gan": log(1 + exp(0.5))}, real_logit=3, fake_logit=2.5
        ),
        # Equal logits of any value give softplus(0) = log 2 for both.
        KnownValue({"gan": log(2)}, {"gan": log(2)}, real_logit=-4, fake_logit=-4),
    )

    def __init__(self, options: Options) -> None:
        self.options = options

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the term of the discriminator's turn.

        Raises:
            RuntimeError: when the recipe has no discriminator.
            RecipeError: when there isn't a generated sample for each real one.
        """
        return {"gan": _mean([F.softplus(fake - real) for real, fake in _pairs(inputs)])}

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the term of the generator's turn; none where there is no discriminator.

        Raises:
            RecipeError: when there isn't a generated sample for each real one.
        """
        if inputs.fake_output is None:
            return {}
        return {"gan": _mean([F.softplus(real - fake) for real, fake in _pairs(inputs)])}


def _pairs(inputs: LossInputs) -> list[tuple[Tensor, Tensor]]:
    """Return the logits of real and generated samples, scale by scale."""
    real, fake = _logits(inputs.real_output), _logits(inputs.fake_output)
    shapes = [[tuple(logits.shape) for logits in output] for output in (real, fake)]
    if shapes[0] != shapes[1]:
        raise RecipeError(
            f"gan/rpgan compares each real sample with a generated one, but the discriminator "
            f"returns {_told(shapes[0])} for the real ones and {_told(shapes[1])} for the "
            "generated ones",
            where="loss",
            hint="The task must show as many real samples as generated ones, of one size; "
            "otherwise use a loss that judges each sample separately, such as gan/vanilla.",
        )
    return list(zip(real, fake, strict=True))


def _told(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "1" for shape in shapes)


def _mean(scales: list[Tensor]) -> Tensor:
    """Return the mean of the scales' means, so that each scale has the same weight."""
    return torch.stack([scale.mean() for scale in scales]).mean()


def _logits(output: DiscriminatorOutput | None) -> tuple[Tensor, ...]:
    if output is None:
        message = "an adversarial loss needs a discriminator, but the recipe has none"
        raise RuntimeError(message)
    return output.logits
