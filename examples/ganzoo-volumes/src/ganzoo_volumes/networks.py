"""The networks: a U-Net and a patch discriminator of volumes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import init_normal
from ganzoo_volumes.options import PatchOptions, UNetOptions


def volume_channels(io: NetIO) -> int:
    """Return the channels of the only input.

    Raises:
        ValueError: the input isn't a volume, or there are classes.
    """
    refuse_classes(io)
    shape = io.input.shape
    if len(io.inputs) != 1 or len(shape) != 4:
        found = ", ".join(str(field.shape) for field in io.inputs.values())
        raise ValueError(f"takes one volume (C, D, H, W), not {found}")
    return shape[0]


class UNet(nn.Module):
    """Levels of half the size, joined by skips; the result lies in [-1, 1].

    Sizes that can't be halved often enough are padded inside and cropped again.

    Args:
        options: width and number of levels.
        io: from volumes (C, D, H, W) to volumes of that size.

    Raises:
        ValueError: input and output aren't volumes of one size, or there are classes.
    """

    def __init__(self, options: UNetOptions, io: NetIO) -> None:
        super().__init__()
        channels = volume_channels(io)
        wanted = io.output.shape
        if wanted[1:] != io.input.shape[1:]:
            raise ValueError(f"makes volumes of the size that it takes, not {wanted}")
        widths = [options.width << level for level in range(options.levels + 1)]
        self.multiple = 2**options.levels
        self.first = block(channels, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv3d(thin, wide, 2, stride=2), block(wide, wide))
            for thin, wide in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(wide, thin, 2, stride=2) for thin, wide in pairwise(widths)
        )
        self.join = nn.ModuleList(block(2 * width, width) for width in widths[:-1])
        self.last = nn.Conv3d(widths[0], wanted[0], 1)
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x D x H x W to a volume of the same size in [-1, 1]."""
        depth, height, width = x.shape[2:]
        rest = [-size % self.multiple for size in (width, height, depth)]
        if any(rest):
            x = functional.pad(x, [0, rest[0], 0, rest[1], 0, rest[2]], mode="replicate")
        levels = [self.first(x)]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        hidden = levels.pop()
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            hidden = join(torch.cat([up(hidden), levels.pop()], 1))
        return torch.tanh(self.last(hidden))[:, :, :depth, :height, :width]


def block(channels: int, made: int) -> nn.Sequential:
    """Return a convolution of 3 x 3 x 3 with normalisation.

    The statistics are of all channels of one volume, so they exist for a single voxel too and
    don't depend on the batch.
    """
    return nn.Sequential(
        nn.Conv3d(channels, made, 3, padding=1),
        nn.GroupNorm(1, made),
        nn.LeakyReLU(0.2),
    )


class Patch(nn.Module):
    """4 x 4 x 4 convolutions: `layers` of stride 2, then one of stride 1 to the logits.

    Args:
        options: width and number of layers.
        io: the volume that is judged, with the source's channels if the task shows them.

    Raises:
        ValueError: the input isn't a volume or is too small for one patch, or there are classes.
    """

    def __init__(self, options: PatchOptions, io: NetIO) -> None:
        super().__init__()
        channels = volume_channels(io)
        smallest = 2 ** (options.layers + 1)  # the last layer takes one voxel of the map's side
        if min(io.input.shape[1:]) < smallest:
            raise ValueError(
                f"layers = {options.layers} needs volumes of at least {smallest} voxels along each "
                f"axis, and these are {' x '.join(map(str, io.input.shape[1:]))}"
            )
        width = options.width
        self.layers = nn.Sequential()
        for _ in range(options.layers):
            self.layers.append(nn.Conv3d(channels, width, 4, stride=2, padding=1))
            self.layers.append(nn.LeakyReLU(0.2))
            channels, width = width, 2 * width
        self.layers.append(nn.Conv3d(channels, 1, 4, padding=1))
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x D x H x W to logits N x 1 x d x h x w, never through a sigmoid."""
        logits: Tensor = self.layers(x)
        return logits
