"""R3GAN's generator and discriminator (arXiv 2501.05441, section 4: configuration E).

Both are stacks of residual blocks without normalisation, and mirror each other. Fix-up's initial
weights (arXiv 1901.09321) replace the normalisation. README.md lists the differences from the
paper, and the sources of what is stated about it.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.interfaces import NetIO
from ganzoo.nn import Double, Halve, class_indices
from ganzoo_r3gan.options import START, GeneratorOptions, ResNetOptions

LEAK = 0.2  # slope of the leaky ReLU for negative values
LAYERS = 3  # convolutions in a residual branch: fix-up's m
RECTIFIED = math.sqrt(2 / (1 + LEAK**2))  # keeps the mean square through a leaky ReLU (1502.01852)


def draw_weights(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """Draw weights from N(0, gain^2 / fan_in), from torch's global random generator."""
    weight = layer.weight
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight[0].numel()))


def pointwise(inputs: int, outputs: int, gain: float = 1.0) -> nn.Conv2d:
    """Return a 1 x 1 convolution without bias."""
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    draw_weights(layer, gain)
    return layer


class Block(nn.Module):
    """x + branch(x): 1 x 1, grouped 3 x 3 and 1 x 1 convolutions with leaky ReLUs between them.

    Initial weights follow fix-up (arXiv 1901.09321, section 3). The last convolution starts at 0,
    so that a block starts as the identity. The other two are scaled by depth^(-1 / (2m - 2)),
    m = 3. Then one training step changes the network's output by the same amount at every depth.

    Args:
        width: channels of x.
        inner: channels within the branch.
        groups: groups of the 3 x 3 convolution.
        depth: number of blocks in the whole network.
    """

    def __init__(self, width: int, inner: int, groups: int, depth: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(width, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=groups)
        self.narrow = nn.Conv2d(inner, width, 1, bias=False)
        for layer in (self.widen, self.mix):
            draw_weights(layer, RECTIFIED * depth ** (-1 / (2 * LAYERS - 2)))
            assert layer.bias is not None  # nn.Conv2d's type allows None
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x width x H x W to the same shape."""
        inner = F.leaky_relu(self.widen(x), LEAK, inplace=True)
        inner = F.leaky_relu(self.mix(inner), LEAK, inplace=True)
        branch: Tensor = self.narrow(inner)
        return x + branch


def stage(options: ResNetOptions, number: int) -> nn.Sequential:
    """Return the blocks of one stage, counted from 0 at 4 x 4."""
    width, groups = options.widths[number], options.cardinalities[number]
    inner, depth = width * options.expansion, sum(options.blocks)
    blocks = (Block(width, inner, groups, depth) for _ in range(options.blocks[number]))
    return nn.Sequential(*blocks)


def transition(resample: nn.Module, inputs: int, outputs: int) -> nn.Sequential:
    """Return the resampling, with a 1 x 1 convolution on the smaller map where widths differ.

    Both are linear, and the convolution acts on channels alone, so their order doesn't change the
    result. On the smaller map the convolution costs less.
    """
    if inputs == outputs:
        return nn.Sequential(resample)
    change = pointwise(inputs, outputs)
    doubles = isinstance(resample, Double)
    return nn.Sequential(change, resample) if doubles else nn.Sequential(resample, change)


def image_channels(options: ResNetOptions, shape: tuple[int, int, int], what: str) -> int:
    """Return the channels of an image's shape (C, H, W).

    Raises:
        ValueError: when it has another size than that of the options.
    """
    channels, height, width = shape
    side = options.side()
    if (height, width) != (side, side):
        message = (
            f"{what} {side} x {side} pixels with {len(options.widths)} stages, but these images "
            f"are {width} x {height} (W x H): images are square, 4 * 2^(stages - 1) pixels "
            "wide; give widths, blocks and cardinalities an entry for each stage"
        )
        raise ValueError(message)
    return channels


def embed_classes(classes: int, size: int, gain: float = 1.0) -> nn.Embedding:
    """Return a table of class vectors, drawn like a linear layer's weights on one-hot vectors."""
    table = nn.Embedding(classes, size)
    nn.init.normal_(table.weight, 0.0, gain / math.sqrt(classes))
    return table


class Generator(nn.Module):
    """Generator: a learned 4 x 4 map, weighted by the noise, then stages of doubling size.

    Args:
        options: see `GeneratorOptions`.
        io: from noise (Z,) to (C, S, S) with S = 4 * 2^(stages - 1); a class may follow the noise.

    Raises:
        ValueError: when the input isn't a vector, or the output isn't an image of that size.

    With the defaults, 64 numbers of noise and 3 channels it has 20,732,160 parameters, and with 10
    classes 20,781,952.
    """

    def __init__(self, options: GeneratorOptions, io: NetIO) -> None:
        super().__init__()
        self.output = options.output
        features = io.vector_in()
        channels = image_channels(options, io.images_out(), "makes")
        widths, self.classes = options.widths, io.classes
        if io.classes:
            size = options.class_embedding or features
            self.embedding = embed_classes(io.classes, size)
            features += size
        self.modulate = nn.Linear(features, widths[0], bias=False)
        draw_weights(self.modulate, 1.0)
        self.start = nn.Parameter(torch.randn(widths[0], START, START))
        self.stages = nn.ModuleList(stage(options, number) for number in range(len(widths)))
        self.transitions = nn.ModuleList(
            transition(Double(), inputs, outputs) for inputs, outputs in itertools.pairwise(widths)
        )
        self.to_image = pointwise(widths[-1], channels)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map noise N x Z, with class indices N, to images N x C x S x S.

        With `output = "linear"` (the paper's) the images aren't bounded in training mode, and are
        clamped to [-1, 1] in evaluation mode.
        """
        if self.classes:
            x = torch.cat((x, self.embedding(class_indices(y, self.classes))), 1)
        x = self.modulate(x)[:, :, None, None] * self.start
        x = self.stages[0](x)
        for double, blocks in zip(self.transitions, self.stages[1:], strict=True):
            x = blocks(double(x))
        images: Tensor = self.to_image(x)
        if self.output == "tanh":
            return images.tanh()
        return images if self.training else images.clamp(-1, 1)


class Discriminator(nn.Module):
    """Discriminator: stages of halving size, then a 4 x 4 filter for each channel, to one logit.

    With classes, the logit is the inner product of the image's features and the class embedding.

    Args:
        options: see `ResNetOptions`.
        io: from (C, S, S) with S = 4 * 2^(stages - 1); a class may follow the image.

    Raises:
        ValueError: when the input isn't an image of that size.

    With the defaults and 3 channels it has 20,683,776 parameters, and with 10 classes 21,280,512.
    """

    def __init__(self, options: ResNetOptions, io: NetIO) -> None:
        super().__init__()
        channels = image_channels(options, io.images_in(), "takes")
        widths, self.classes = options.widths, io.classes
        self.from_image = pointwise(channels, widths[-1])
        self.stages = nn.ModuleList(
            stage(options, number) for number in reversed(range(len(widths)))
        )
        self.transitions = nn.ModuleList(
            transition(Halve(), inputs, outputs)
            for inputs, outputs in itertools.pairwise(reversed(widths))
        )
        self.end = nn.Parameter(torch.randn(widths[0], START, START) / START)  # fan-in 4 * 4
        size = 1
        if io.classes:
            size = options.class_embedding or widths[0]
            # The inner product is a sum of `size` terms.
            self.embedding = embed_classes(io.classes, size, 1 / math.sqrt(size))
        self.head = nn.Linear(widths[0], size, bias=False)
        draw_weights(self.head, 1.0)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Map images N x C x S x S, with class indices N, to logits N x 1."""
        x = self.stages[0](self.from_image(x))
        for halve, blocks in zip(self.transitions, self.stages[1:], strict=True):
            x = blocks(halve(x))
        seen: Tensor = self.head((x * self.end).sum((2, 3)))
        if not self.classes:
            return seen
        meant: Tensor = self.embedding(class_indices(y, self.classes))
        return (seen * meant).sum(1, keepdim=True)
