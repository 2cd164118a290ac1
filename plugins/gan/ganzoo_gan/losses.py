"""Three adversarial losses, each for both players, as their papers state them.

A discriminator's logits are maps of any shape, at one scale or several: each scale is averaged
over its cells, then the scales are averaged, so that a loss keeps its size whatever the
discriminator. None of the losses has options: their weight is the affair of what names them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import e, log
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.api import Options
from ganzoo.interfaces import DiscriminatorOutput, KnownValue, LossInputs


class AdversarialLoss(ABC):
    """What the three share: D's terms `real` and `fake`, G's term `gan`."""

    real_in_generator_turn = False
    needs_discriminator = True
    known_values: ClassVar[tuple[KnownValue, ...]]

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def real(self, logits: Tensor) -> Tensor:
        """D's loss of each logit of a real image."""

    @abstractmethod
    def fake(self, logits: Tensor) -> Tensor:
        """D's loss of each logit of a generated image."""

    @abstractmethod
    def fooled(self, logits: Tensor) -> Tensor:
        """G's loss of each logit of a generated image."""

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Terms of the discriminator's turn.

        Raises:
            RuntimeError: when the recipe has no discriminator.
        """
        return {
            "real": _mean([self.real(logits) for logits in _logits(inputs.real_output)]),
            "fake": _mean([self.fake(logits) for logits in _logits(inputs.fake_output)]),
        }

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Term of the generator's turn.

        Raises:
            RuntimeError: when the recipe has no discriminator.
        """
        return {"gan": _mean([self.fooled(logits) for logits in _logits(inputs.fake_output)])}


class Vanilla(AdversarialLoss):
    """Cross-entropy (arXiv 1406.2661, eq. 1), the generator in its non-saturating form (section 3).

    D minimises -log s(real) - log(1 - s(fake)), G minimises -log s(fake), s the logistic function.
    -log s(x) = softplus(-x) and -log(1 - s(x)) = softplus(x), which no logit makes overflow.
    """

    known_values = (
        # s(0) = 1/2: each term is -log(1/2).
        KnownValue({"real": log(2), "fake": log(2)}, {"gan": log(2)}),
        # s(x) = 1 / (1 + e^-x): D is right at both, by e; G is wrong.
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

    D minimises (real - 1)^2 + fake^2, G minimises (fake - 1)^2.
    """

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
    """Hinge (arXiv 1705.02894, section 3.2; 1802.05957, eqs. 16 and 17).

    D minimises max(0, 1 - real) + max(0, 1 + fake), G minimises -fake.
    """

    known_values = (
        # 1 - 0.25 and 1 - 0.5: both within the margin
        KnownValue({"real": 0.75, "fake": 0.5}, {"gan": 0.5}, real_logit=0.25, fake_logit=-0.5),
        # both beyond it: nothing left for D
        KnownValue({"real": 0, "fake": 0}, {"gan": 3}, real_logit=2, fake_logit=-3),
    )

    def real(self, logits: Tensor) -> Tensor:
        return F.relu(1 - logits)

    def fake(self, logits: Tensor) -> Tensor:
        return F.relu(1 + logits)

    def fooled(self, logits: Tensor) -> Tensor:
        return -logits


def _mean(scales: list[Tensor]) -> Tensor:
    """Mean of the scales' means: each scale counts the same, however many cells it has."""
    return torch.stack([scale.mean() for scale in scales]).mean()


def _logits(output: DiscriminatorOutput | None) -> tuple[Tensor, ...]:
    if output is None:
        message = "an adversarial loss needs a discriminator, and the recipe has none"
        raise RuntimeError(message)
    return output.logits
