"""A reconstruction loss (Charbonnier, Blanc-Feraud, Aubert, Barlaud 1994)."""

from __future__ import annotations

from ganzoo.interfaces import KnownValue, LossInputs
from torch import Tensor

from ganzoo_toy.options import CharbonnierOptions


class Charbonnier:
    """Weighted mean of sqrt((real - fake)^2 + epsilon^2); the discriminator has no part in it."""

    real_in_generator_turn = False
    needs_discriminator = False
    known_values = (
        # 100 * sqrt(0 + 0.001^2), and 100 * sqrt(1 + 0.001^2)
        KnownValue(discriminator={}, generator={"distance": 0.1}),
        KnownValue(discriminator={}, generator={"distance": 100.00005}, real=0.0, fake=1.0),
    )

    def __init__(self, options: CharbonnierOptions) -> None:
        self.options = options

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """No term."""
        return {}

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """The term `distance`."""
        square = (inputs.real - inputs.fake).square() + self.options.epsilon**2
        return {"distance": self.options.weight.at(inputs.clock) * square.sqrt().mean()}
