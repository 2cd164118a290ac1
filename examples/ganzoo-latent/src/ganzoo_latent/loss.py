"""Any adversarial loss, plus the error of pixels and of a random network's features."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

import torch
from ganzoo.interfaces import KnownValue, Loss, LossInputs
from torch import Tensor, nn
from torch.nn import functional

from ganzoo_latent.options import PerceptualOptions


class Perceptual(nn.Module):
    """The autoencoder also minimises the error of its pixels, and that of their features.

    The features are those of a convolutional network with random weights that never change. They
    are no substitute for those of a network that learned to recognise objects, but they need no
    download, and they compare edges and textures of several sizes where `l1` compares pixels. Each
    channel of an image is looked at alone, because a loss isn't told how many there are.

    The weights are buffers: checkpoints contain them, and the engine moves them.
    """

    needs_discriminator = False
    known_values: ClassVar = (
        # Hinge: max(0, 1 - 0.25) and max(0, 1 + 0.5), and 0.02 * -0.5 for the autoencoder. All
        # pixels differ by 1: 1 * 1. How far two images are apart for the random network can't be
        # worked out by hand, so `perceptual` is left out.
        KnownValue(
            discriminator={"real": 0.75, "fake": 1.5},
            generator={"gan": -0.01, "l1": 1.0},
            real_logit=0.25,
            fake_logit=0.5,
            real=0.5,
            fake=-0.5,
        ),
    )

    def __init__(self, options: PerceptualOptions) -> None:
        super().__init__()
        self.options = options
        self.gan: Loss = options.gan.build()
        self.real_in_generator_turn = bool(getattr(self.gan, "real_in_generator_turn", False))
        self.decides = getattr(self.gan, "decides", None)
        random = torch.Generator().manual_seed(options.seed)
        channels = 1
        for layer in range(options.layers):
            width = options.width * 2**layer
            weight = torch.randn(width, channels, 3, 3, generator=random)
            self.register_buffer(f"weight_{layer}", weight * sqrt(2 / (9 * channels)))
            channels = width

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Terms of the adversarial loss."""
        return self.gan.discriminator(inputs)

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Terms of the adversarial loss, `l1` and `perceptual`."""
        options, clock = self.options, inputs.clock
        terms = {
            "l1": options.l1.at(clock) * functional.l1_loss(inputs.fake, inputs.real),
            "perceptual": options.perceptual.at(clock) * self.distance(inputs.fake, inputs.real),
        }
        if inputs.fake_output is None:
            return terms
        weight = options.gan_weight.at(clock)
        gan = {name: weight * term for name, term in self.gan.generator(inputs).items()}
        return {**gan, **terms}

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the mean absolute error of the features, averaged over the layers.

        Raises:
            ValueError: these aren't batches of images.
        """
        errors = [
            functional.l1_loss(one, other)
            for one, other in zip(self.features(a), self.features(b), strict=True)
        ]
        return torch.stack(errors).mean()

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the activations of each layer: N * C maps, each of channels x height x width."""
        if images.ndim != 4:
            raise ValueError(f"compares images, N x C x H x W, not {tuple(images.shape)}")
        x = images.flatten(0, 1).unsqueeze(1)
        found = []
        for layer in range(self.options.layers):
            weight = self.get_buffer(f"weight_{layer}").to(x.dtype)
            x = functional.leaky_relu(functional.conv2d(x, weight, stride=2, padding=1), 0.2)
            found.append(x)
        return found
