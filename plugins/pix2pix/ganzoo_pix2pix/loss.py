"""pix2pix's objective: an adversarial loss plus lambda times L1 (arXiv 1611.07004, section 3.1)."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import Clock, KnownValue, Loss, LossInputs
from ganzoo_pix2pix.options import CGANL1Options, is_off


class CGANL1(nn.Module):
    """Loss: the weighted sum of any adversarial loss and the mean absolute error.

    The task decides whether the adversarial part is conditional: it gives the discriminator the
    source beside the image, or not. The adversarial loss itself isn't changed. The paper's factor
    1/2 on the discriminator's loss (section 3.3) is `discriminator_weight` here. The class is an
    `nn.Module`, so that an adversarial loss with parameters or buffers is moved to the device.
    """

    def __init__(self, options: CGANL1Options) -> None:
        super().__init__()
        self.options = options
        self.gan: Loss = options.gan.build()
        self.needs_discriminator = not is_off(options.gan_weight)
        self.real_in_generator_turn = self.needs_discriminator and bool(
            getattr(self.gan, "real_in_generator_turn", False)
        )
        self.decides = getattr(self.gan, "decides", None)

    @property
    def known_values(self) -> tuple[KnownValue, ...]:
        """Return the adversarial loss's known values, weighted, and the value of `l1`.

        Where a known value has equal images, they are replaced by images of -0.25 and 0.5, so that
        `l1` is 0.75 times its weight. Equal images mean that no penalty depends on them.
        """
        start = Clock(0, 0, 0.0)
        known = []
        for value in getattr(self.gan, "known_values", ()):
            real, fake = value.real, value.fake
            if real == fake:
                real, fake = -0.25, 0.5
            weight = self.options.discriminator_weight
            theirs = {name: weight * term for name, term in value.discriminator.items()}
            mine: dict[str, float] = {}
            if self.needs_discriminator:
                weight = self.options.gan_weight.at(start)
                mine |= {name: weight * term for name, term in value.generator.items()}
            if not is_off(self.options.l1):
                mine["l1"] = self.options.l1.at(start) * abs(real - fake)
            known.append(replace(value, discriminator=theirs, generator=mine, real=real, fake=fake))
        return tuple(known)

    def term_weights(self, clock: Clock) -> dict[str, float]:
        """Return the weight of `l1`, so that logs can also show the error without its weight."""
        return {"l1": self.options.l1.at(clock)}

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the adversarial terms times `discriminator_weight`: 0.5 * (real + fake)."""
        weight = self.options.discriminator_weight
        return {name: weight * term for name, term in self.gan.discriminator(inputs).items()}

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the adversarial terms times `gan_weight`, and mean |real - fake| times its weight.

        The latter is named `l1`. A part whose weight is always 0 is left out, and so is the
        adversarial part where there is no discriminator.
        """
        terms: dict[str, Tensor] = {}
        if self.needs_discriminator and inputs.fake_output is not None:
            weight = self.options.gan_weight.at(inputs.clock)
            terms |= {name: weight * term for name, term in self.gan.generator(inputs).items()}
        if not is_off(self.options.l1):
            weight = self.options.l1.at(inputs.clock)
            terms["l1"] = weight * F.l1_loss(inputs.fake, inputs.real)
        return terms
