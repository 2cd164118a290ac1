"""A U-Net (arXiv 1505.04597) whose encoder is one of timm's image models."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import Conv2d, norm_2d, uses_bias
from ganzoo_timm_unet.encoder import Encoder
from ganzoo_timm_unet.options import TimmUNetOptions

FINE = 4  # reductions below this get no dropout


class TimmUNet(nn.Module):
    """Encoder, decoder of doublings, and a skip wherever the encoder has a map of the same size.

    Each block of the decoder enlarges by the nearest pixel and convolves twice. Transposed
    convolutions of stride 2 would cause checkerboard patterns
    (distill.pub/2016/deconv-checkerboard). The last block, at full resolution, also gets the input
    image, since the finest maps of many encoders have a quarter of its size.

    Args:
        options: see `TimmUNetOptions`.
        io: from images (C, H, W) to images of equal height and width.

    Raises:
        ValueError: when an input or output isn't an image, their sizes differ, or there are
            classes.
        GanzooError: the same errors as `Encoder`.
    """

    def __init__(self, options: TimmUNetOptions, io: NetIO) -> None:
        super().__init__()
        refuse_classes(io)
        shape, made = io.images_in(), io.images_out()
        if shape[1:] != made[1:]:
            message = f"makes images of its input's size, and {shape} and {made} (C, H, W) differ"
            raise ValueError(message)
        self.encoder = Encoder(options, shape)
        skips = {1.0: 0} | dict(zip(self.encoder.reductions, self.encoder.channels, strict=True))
        skips[1.0] += shape[0]  # the image
        self.steps = doublings(self.encoder.reductions)
        channels, self.decoder = self.encoder.channels[-1], nn.ModuleList()
        for step in self.steps:
            out = options.width * min(2 ** int(math.log2(step)), 8)
            block = _block(channels + skips.get(step, 0), out, options)
            if step >= FINE:
                block.append(nn.Dropout(options.dropout))
            self.decoder.append(block)
            channels = out
        # No norm follows this layer, so it has a bias. With its initial weights, tanh starts in its
        # nearly linear range.
        self.head = _conv(channels, made[0], "linear", bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N x C x H x W in [-1, 1] to images of the same size in [-1, 1].

        Args:
            x: input images of any size, unless the encoder has a fixed size.
        """
        height, width = x.shape[-2:]
        image = self.encoder.pad(x)
        features = self.encoder(image)
        maps: dict[float, Tensor] = {}
        maps |= zip(self.encoder.reductions, features, strict=True)
        x = features[-1]
        for step, block in zip(self.steps, self.decoder, strict=True):
            parts = [x]
            if step in maps:
                parts.append(maps[step])
            if step == 1:
                parts.append(image)
            size = [round(pixels / step) for pixels in image.shape[-2:]]
            x = block(torch.cat([_resized(part, size) for part in parts], 1))
        return torch.tanh(self.head(x))[..., :height, :width]


def _resized(x: Tensor, size: list[int]) -> Tensor:
    """Resize by nearest pixels, since encoders without padding return slightly smaller maps."""
    return x if list(x.shape[-2:]) == size else F.interpolate(x, size)


def doublings(reductions: tuple[int, ...]) -> tuple[float, ...]:
    """Return the reductions of the decoder's blocks, from coarse to fine.

    They are all of the encoder's reductions, 1, and as many between them as needed so that no block
    enlarges more than twofold: (4, 8, 32) gives 16, 8, 4, 2, 1. An encoder with reduction 1 alone
    gets one block there.
    """
    steps: list[float] = []
    current: float = max(reductions)
    while current > 1:
        finer = [r for r in reductions if r < current]
        current = max([current / 2, *finer, 1])
        steps.append(current)
    return tuple(steps) or (1,)


def _block(channels: int, out: int, options: TimmUNetOptions) -> nn.Sequential:
    layers = nn.Sequential()
    for inputs in (channels, out):
        layers.append(_conv(inputs, out, "relu", bias=uses_bias(options.norm)))
        layers.append(norm_2d(options.norm, out))
        layers.append(nn.ReLU(inplace=True))
    return layers


def _conv(channels: int, out: int, follows: Literal["relu", "linear"], *, bias: bool) -> Conv2d:
    """Return a 3x3 convolution with He's weights (arXiv 1502.01852).

    These weights keep the scale of the activations without norms.
    """
    conv = Conv2d(channels, out, 3, padding=1, bias=bias)
    nn.init.kaiming_normal_(conv.weight, nonlinearity=follows)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
