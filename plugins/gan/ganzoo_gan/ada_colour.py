"""The colour transformations of arXiv 2006.06676, appendix B, lines 51 to 72 of algorithm 1.

In this order, with the constants of these lines:

- `brightness`: a normal number with standard deviation 0.2 is added;
- `contrast`: multiplication by a factor whose logarithm to base 2 is normal with standard deviation
  0.5;
- `luma_flip`: light and dark are exchanged in half of the cases, and colours stay (a reflection at
  the plane that is orthogonal to the grey axis);
- `hue`: a rotation around the grey axis by any angle;
- `saturation`: the distance to the grey axis is multiplied by a factor whose logarithm to base 2 is
  normal with standard deviation 1.

In coordinates along the grey axis (the mean of the channels, called luma) and orthogonal to it
(colour), each of them is a multiplication, a rotation or an addition. As in the paper, values
aren't clipped to [-1, 1].

If the number of channels is a multiple of three, each group of three channels is treated as one RGB
image, and all groups of an image are changed in the same way. Otherwise each channel is a grey
image: it has no colour, so that `hue` and `saturation` don't change it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

RGB = 3
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0


@dataclass(frozen=True)
class Colours:
    """The parameters of each image, N each.

    Args:
        brightness: what is added to luma, before it is multiplied.
        luma: what luma is multiplied by.
        colour: what colour is multiplied by.
        hue: the angle by which colour is rotated, in radians.
    """

    brightness: Tensor
    luma: Tensor
    colour: Tensor
    hue: Tensor


def draw_colours(policy: Collection[str], count: int, p: Tensor) -> tuple[Colours, Tensor]:
    """Draw the transformations of each image.

    Args:
        policy: names of transformations; others than those of this module are ignored.
        count: number of images.
        p: the probability of each transformation, a single number on the images' device.

    Returns:
        The parameters in fp32, and which images they change, N.
    """
    one = torch.ones(count, device=p.device)
    zero = torch.zeros_like(one)

    def drawn(name: str, value: Tensor, neutral: Tensor) -> Tensor:
        return torch.where(torch.rand_like(one) < p, value, neutral) if name in policy else neutral

    brightness = drawn("brightness", BRIGHTNESS * torch.randn_like(one), zero)
    contrast = drawn("contrast", torch.exp2(CONTRAST * torch.randn_like(one)), one)
    flip = drawn("luma_flip", 1.0 - 2 * torch.randint(2, (count,), device=p.device), one)
    hue = drawn("hue", math.pi * (2 * torch.rand_like(one) - 1), zero)
    saturation = drawn("saturation", torch.exp2(SATURATION * torch.randn_like(one)), one)
    colours = Colours(brightness, contrast * flip, contrast * saturation, hue)
    changed = (brightness != 0) | (colours.luma != 1) | (colours.colour != 1) | (hue != 0)
    return colours, changed


def recolour(images: Tensor, colours: Colours) -> Tensor:
    """Change the colours of images, N x C x H x W."""
    count, channels = images.shape[:2]
    group = RGB if channels % RGB == 0 else 1
    # N x images in one x their channels x H x W
    x = images.reshape(count, -1, group, *images.shape[2:])
    brightness, luma, colour, hue = (
        value.to(images.dtype).reshape(-1, 1, 1, 1, 1)
        for value in (colours.brightness, colours.luma, colours.colour, colours.hue)
    )
    grey = x.mean(2, keepdim=True)
    chroma = x - grey
    # The cross product with the unit vector of the grey axis, (1, 1, 1) / sqrt(3).
    turned = (chroma.roll(1, 2) - chroma.roll(-1, 2)) / math.sqrt(3)
    chroma = colour * (hue.cos() * chroma + hue.sin() * turned)
    return (luma * (grey + brightness) + chroma).reshape(images.shape)
