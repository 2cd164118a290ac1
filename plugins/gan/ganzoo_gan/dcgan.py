"""DCGAN's generator and discriminator (arXiv 1511.06434), for any size from 8 pixels up."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import NetIO
from ganzoo.nn import (
    Conv2d,
    ConvTranspose2d,
    class_indices,
    init_normal,
    norm_2d,
    project_classes,
    uses_bias,
)
from ganzoo_gan.blocks import BOTTOM, limit_spectrum, square
from ganzoo_gan.network_options import DCGANDiscriminatorOptions, DCGANGeneratorOptions

LEAK = 0.2  # slope of the leaky ReLU for negative values (section 4)


def _channels(width: int, doublings: int) -> list[int]:
    """Return the channels of the maps from the image to 4x4: width times 1, 2, 4, 8, 8, ..."""
    return [width * min(2**layer, 8) for layer in range(doublings)]


class DCGANGenerator(nn.Module):
    """Generator of transposed convolutions: noise to 4x4, then one doubling in each layer.

    ReLU follows each layer but the last, and tanh follows the last. With classes, the class index
    is appended to the noise as a one-hot vector (arXiv 1411.1784).

    Args:
        options: see `DCGANGeneratorOptions`.
        io: from (z,) to (C, S, S), S = 8, 16, 32, 64, ...

    Raises:
        ValueError: when the input isn't a vector, or the output isn't such an image; the message
            then names the nearest legal sizes.

    With the defaults, z = 100 and 3 x 64 x 64 it has 3,576,704 parameters.
    """

    def __init__(self, options: DCGANGeneratorOptions, io: NetIO) -> None:
        super().__init__()
        image_channels, doublings = square(io.images_out(), "makes")
        self.classes = io.classes
        bias = uses_bias(options.norm)
        *outputs, bottom = [image_channels, *_channels(options.width, doublings)]
        layers = nn.Sequential(
            ConvTranspose2d(io.vector_in() + io.classes, bottom, BOTTOM, bias=bias)
        )
        for out in reversed(outputs):
            layers.append(norm_2d(options.norm, bottom))
            layers.append(nn.ReLU(inplace=True))
            layers.append(ConvTranspose2d(bottom, out, 4, stride=2, padding=1, bias=bias))
            bottom = out
        self.model = layers
        init_normal(self, options.init_std)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map noise N x z to images N x C x S x S in [-1, 1].

        Args:
            z: noise.
            y: class indices, N, if the generator was built for classes.

        Raises:
            ValueError: when class indices are missing.
        """
        if self.classes:
            hot = F.one_hot(class_indices(y, self.classes), self.classes)
            z = torch.cat([z, hot.to(z.dtype)], 1)
        return torch.tanh(self.model(z[:, :, None, None]))


class DCGANDiscriminator(nn.Module):
    """Discriminator of strided convolutions down to 4x4 with leaky ReLU, and one over the 4x4 map.

    With classes, the inner product of an embedding of the class with the mean of the 4x4 map is
    added to the logit (projection, arXiv 1802.05637, equation 3).

    Args:
        options: see `DCGANDiscriminatorOptions`.
        io: from (C, S, S), S = 8, 16, 32, 64, ...

    Raises:
        ValueError: when the input isn't such an image; the message names the nearest legal sizes.

    With the defaults and 3 x 64 x 64 it has 2,765,568 parameters.
    """

    def __init__(self, options: DCGANDiscriminatorOptions, io: NetIO) -> None:
        super().__init__()
        channels, doublings = square(io.images_in(), "takes")
        self.classes = io.classes
        outputs = _channels(options.width, doublings)
        # At 8 pixels there is no layer between the first and the last. Nothing is normalised then,
        # so the layers need biases.
        norm = options.norm if doublings > 1 else "none"
        bias, layers = uses_bias(norm), nn.Sequential()
        for index, out in enumerate(outputs):
            layers.append(Conv2d(channels, out, 4, stride=2, padding=1, bias=bias))
            if index > 0:
                layers.append(norm_2d(norm, out))
            layers.append(nn.LeakyReLU(LEAK, inplace=True))
            channels = out
        self.features = layers
        self.judge = Conv2d(channels, 1, BOTTOM, bias=bias)
        if io.classes:
            self.embedding = nn.Embedding(io.classes, channels)
            nn.init.normal_(self.embedding.weight, 0.0, options.init_std)
        init_normal(self, options.init_std)
        if options.spectral_norm:
            limit_spectrum(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map images N x C x S x S to logits N x 1.

        Args:
            x: images.
            y: class indices, N, if the discriminator was built for classes.

        Raises:
            ValueError: when class indices are missing.
        """
        maps: Tensor = self.features(x)
        logits: Tensor = self.judge(maps).flatten(1)
        if not self.classes:
            return logits
        # This is a mean, and not the sum of 1802.05637. Without spectral norm the sum over 16 cells
        # would be larger than the image's own logit from the first step on.
        return project_classes(logits, maps.mean((2, 3)), self.embedding, y)
