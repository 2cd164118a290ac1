"""SNGAN's residual networks for small images (arXiv 1802.05957, table 4: CIFAR-10).

The class-conditional networks are those of arXiv 1802.05637. Initial weights are those of the
authors' code (github.com/pfnet-research/sngan_projection): Glorot uniform, with gain sqrt 2 in the
3x3 convolutions of residual branches, and biases of 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import NetIO
from ganzoo.nn import class_indices, project_classes
from ganzoo_gan.blocks import BOTTOM, limit_spectrum, square
from ganzoo_gan.network_options import SNGANDiscriminatorOptions, SNGANGeneratorOptions

PLAIN_BLOCKS = 2  # at the discriminator's end, which don't halve


def _glorot(layer: nn.Conv2d | nn.Linear | nn.Embedding, gain: float = 1.0) -> None:
    nn.init.xavier_uniform_(layer.weight, gain)
    bias = getattr(layer, "bias", None)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)


def _conv(channels: int, out: int, side: int = 3, gain: float = 1.0) -> nn.Conv2d:
    layer = nn.Conv2d(channels, out, side, padding=side // 2)
    _glorot(layer, gain)
    return layer


class ClassBatchNorm(nn.Module):
    """Batch norm with a scale (initially 1) and a shift (initially 0) for each class.

    It is that of arXiv 1610.07629, section 2.2, with classes instead of styles. The statistics are
    those of all classes together.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalise maps N x C x H x W with class indices y, N."""
        scale, shift = self.scale(y)[:, :, None, None], self.shift(y)[:, :, None, None]
        normal: Tensor = self.norm(x) * scale + shift
        return normal


def _norm(channels: int, classes: int) -> nn.Module:
    return ClassBatchNorm(channels, classes) if classes else nn.BatchNorm2d(channels)


class _UpBlock(nn.Module):
    """Norm, ReLU, doubling, 3x3, norm, ReLU, 3x3; the shortcut is a doubling and a 1x1."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.norm1 = _norm(width, classes)
        self.conv1 = _conv(width, width, gain=math.sqrt(2))
        self.norm2 = _norm(width, classes)
        self.conv2 = _conv(width, width, gain=math.sqrt(2))
        self.shortcut = _conv(width, width, side=1)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        given = (y,) if self.classes else ()
        h = F.interpolate(F.relu(self.norm1(x, *given)), scale_factor=2.0)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), *given)))
        # A 1x1 convolution and a doubling commute, and this order needs a quarter of the
        # operations.
        doubled: Tensor = h + F.interpolate(self.shortcut(x), scale_factor=2.0)
        return doubled


class SNGANGenerator(nn.Module):
    """Generator: a linear layer to 4x4, a residual block for each doubling, norm, ReLU, 3x3, tanh.

    With classes, the blocks' batch norms have a scale and a shift for each class (arXiv
    1802.05637).

    Args:
        options: see `SNGANGeneratorOptions`.
        io: from (z,) to (C, S, S). S = 32 is the paper's; 8, 16, 64, ... have as many blocks as
            they need.

    Raises:
        ValueError: when the input isn't a vector, or the output isn't such an image; the message
            then names the nearest legal sizes.

    With the defaults, z = 128 and 3 x 32 x 32 it has 4,276,739 parameters.
    """

    def __init__(self, options: SNGANGeneratorOptions, io: NetIO) -> None:
        super().__init__()
        channels, doublings = square(io.images_out(), "makes")
        self.classes, self.width = io.classes, options.width
        self.start = nn.Linear(io.vector_in(), options.width * BOTTOM**2)
        _glorot(self.start)
        self.blocks = nn.ModuleList(_UpBlock(options.width, io.classes) for _ in range(doublings))
        self.norm = nn.BatchNorm2d(options.width)
        self.last = _conv(options.width, channels)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map noise N x z to images N x C x S x S in [-1, 1].

        Args:
            z: noise.
            y: class indices, N, if the generator was built for classes.

        Raises:
            ValueError: when class indices are missing.
        """
        label = class_indices(y, self.classes) if self.classes else None
        x = self.start(z).unflatten(1, (self.width, BOTTOM, BOTTOM))
        for block in self.blocks:
            x = block(x, label)
        x = self.last(F.relu(self.norm(x)))
        return torch.tanh(x)


class _FirstBlock(nn.Module):
    """A halving block without a ReLU at its beginning, because its input is the image itself."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, gain=math.sqrt(2))
        self.conv2 = _conv(width, width, gain=math.sqrt(2))
        self.shortcut = _conv(channels, width, side=1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv2(F.relu(self.conv1(x), inplace=True))
        beside: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        return F.avg_pool2d(h, 2) + beside


class _Block(nn.Module):
    """ReLU, 3x3, ReLU, 3x3; a block that halves also has a pooling, and a 1x1 in its shortcut."""

    def __init__(self, width: int, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.conv1 = _conv(width, width, gain=math.sqrt(2))
        self.conv2 = _conv(width, width, gain=math.sqrt(2))
        if halves:
            self.shortcut = _conv(width, width, side=1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv2(F.relu(self.conv1(F.relu(x)), inplace=True))
        if not self.halves:
            return h + x
        # The mean of four cells and a 1x1 convolution commute, and this order is cheaper.
        beside: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        return F.avg_pool2d(h, 2) + beside


class SNGANDiscriminator(nn.Module):
    """Discriminator: residual blocks that halve down to 8x8, two that don't, ReLU, pooling, linear.

    With classes, the inner product of an embedding of the class with the pooled map is added to the
    logit (projection, arXiv 1802.05637, equation 3).

    Args:
        options: see `SNGANDiscriminatorOptions`.
        io: from (C, S, S). S = 32 is the paper's; 64, 128, ... have more halvings; 8 and 16 have
            one.

    Raises:
        ValueError: when the input isn't such an image; the message names the nearest legal sizes.

    With the defaults and 3 x 32 x 32 it has 1,053,824 parameters.
    """

    def __init__(self, options: SNGANDiscriminatorOptions, io: NetIO) -> None:
        super().__init__()
        channels, doublings = square(io.images_in(), "takes")
        self.classes, width = io.classes, options.width
        self.mean = options.pooling == "mean"
        halvings = max(1, doublings - 1)  # down to a map of 8x8, as from the paper's 32 pixels
        blocks: list[nn.Module] = [_FirstBlock(channels, width)]
        blocks += [_Block(width, halves=True) for _ in range(halvings - 1)]
        blocks += [_Block(width, halves=False) for _ in range(PLAIN_BLOCKS)]
        self.blocks = nn.Sequential(*blocks)
        self.judge = nn.Linear(width, 1, bias=False)
        _glorot(self.judge)
        if io.classes:
            self.embedding = nn.Embedding(io.classes, width)
            _glorot(self.embedding)
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
        maps = F.relu(self.blocks(x))
        pooled = maps.mean((2, 3)) if self.mean else maps.sum((2, 3))
        logits: Tensor = self.judge(pooled)
        if not self.classes:
            return logits
        return project_classes(logits, pooled, self.embedding, y)
