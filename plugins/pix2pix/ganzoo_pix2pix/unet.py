"""The U-Net generator of pix2pix (arXiv 1611.07004, sections 3.2.1 and 6.1.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import Conv2d, ConvTranspose2d, init_normal, norm_2d, uses_bias
from ganzoo_pix2pix.options import EncoderDecoderOptions, UNetOptions

LEAK = 0.2  # slope of the encoder's leaky ReLU for negative values (section 6.1)


def encoder_channels(options: EncoderDecoderOptions) -> list[int]:
    """Return the channels after each layer of the encoder: width times 1, 2, 4, 8, 8, ..."""
    return [options.width * min(2**layer, 8) for layer in range(options.depth)]


def make_encoder(options: EncoderDecoderOptions, channels: int) -> nn.ModuleList:
    """Return layers that halve N x C x H x W; the network's `forward` applies the activations."""
    bias, layers = uses_bias(options.norm), nn.ModuleList()
    outputs = encoder_channels(options)
    for index, out in enumerate(outputs):
        layer = nn.Sequential(Conv2d(channels, out, 4, stride=2, padding=1, bias=bias))
        # The first layer's input is the image itself, so no norm follows it. The bottleneck's map
        # is 1x1 for the smallest image, and a norm would make it zero at batch size 1.
        bottleneck = index == options.depth - 1
        if (bottleneck and options.bottleneck_norm) or (0 < index < options.depth - 1):
            layer.append(norm_2d(options.norm, out, options.norm_eps))
        layers.append(layer)
        channels = out
    return layers


def make_decoder(options: EncoderDecoderOptions, channels: int, *, skips: bool) -> nn.ModuleList:
    """Return layers that double the maps; with skips all but the first take twice the channels."""
    bias, layers = uses_bias(options.norm), nn.ModuleList()
    *outputs, previous = encoder_channels(options)
    for number, out in enumerate(reversed(outputs), start=1):
        layer = nn.Sequential(
            ConvTranspose2d(previous, out, 4, stride=2, padding=1, bias=bias),
            norm_2d(options.norm, out, options.norm_eps),
        )
        if number in options.dropouts():
            layer.append(nn.Dropout(options.dropout))
        layers.append(layer)
        previous = 2 * out if skips else out
    # No norm comes after the last layer, so it always has a bias.
    layers.append(
        nn.Sequential(ConvTranspose2d(previous, channels, 4, stride=2, padding=1, bias=True))
    )
    return layers


class UNet(nn.Module):
    """U-Net: an encoder and a decoder of mirrored layers, with a skip between each pair of them.

    Args:
        options: see `UNetOptions`.
        io: from images (C, H, W) to images; H and W are multiples of 2^depth.

    Raises:
        ValueError: when an input or output isn't an image, or there are classes.

    With the defaults and 3 channels on both sides it has 54,413,955 parameters, as the reference.
    """

    def __init__(self, options: UNetOptions, io: NetIO) -> None:
        super().__init__()
        refuse_classes(io)
        self.skip_relu = options.skip_relu
        self.encoder = make_encoder(options, io.images_in()[0])
        self.decoder = make_decoder(options, io.images_out()[0], skips=True)
        init_normal(self, options.init_std)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N x C x H x W in [-1, 1] to images of the same size in [-1, 1].

        Args:
            x: input images.
        """
        skips: list[Tensor] = []
        x = self.encoder[0](x)
        for down in self.encoder[1:]:
            # In-place is safe here: neither convolution nor norm needs its own output for its
            # gradient.
            x = F.leaky_relu(x, LEAK, inplace=True)
            skips.append(x)
            x = down(x)
        x = F.relu(x) if self.skip_relu else F.leaky_relu(x, LEAK)
        x = self.decoder[0](x)
        for up in self.decoder[1:]:
            if self.skip_relu:  # ReLU after leaky ReLU is ReLU
                x = F.relu(torch.cat([skips.pop(), x], 1), inplace=True)
            else:
                x = torch.cat([skips.pop(), F.relu(x)], 1)
            x = up(x)
        return torch.tanh(x)
