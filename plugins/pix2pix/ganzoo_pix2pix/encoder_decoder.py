"""The encoder-decoder without skips: pix2pix's ablation (arXiv 1611.07004, section 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import init_normal
from ganzoo_pix2pix.options import EncoderDecoderOptions
from ganzoo_pix2pix.unet import LEAK, make_decoder, make_encoder


class EncoderDecoder(nn.Module):
    """The U-Net's layers without skips, so that all information passes through the bottleneck.

    Args:
        options: see `EncoderDecoderOptions`.
        io: from images (C, H, W) to images; H and W are multiples of 2^depth.

    Raises:
        ValueError: when an input or output isn't an image, or there are classes.

    With the defaults and 3 channels on both sides it has 39,075,459 parameters.
    """

    def __init__(self, options: EncoderDecoderOptions, io: NetIO) -> None:
        super().__init__()
        refuse_classes(io)
        self.encoder = make_encoder(options, io.images_in()[0])
        self.decoder = make_decoder(options, io.images_out()[0], skips=False)
        init_normal(self, options.init_std)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N x C x H x W in [-1, 1] to images of the same size in [-1, 1].

        Args:
            x: input images.
        """
        x = self.encoder[0](x)
        for down in self.encoder[1:]:
            x = down(F.leaky_relu(x, LEAK, inplace=True))
        for up in self.decoder:
            x = up(F.relu(x, inplace=True))
        return torch.tanh(x)
