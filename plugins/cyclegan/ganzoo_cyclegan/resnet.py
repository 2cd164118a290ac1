"""The generator of CycleGAN (arXiv 1703.10593, section 7.1), after Johnson et al. (1603.08155)."""

from __future__ import annotations

from torch import Tensor, nn

from ganzoo.errors import RecipeError
from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import init_normal, norm_2d, uses_bias
from ganzoo_cyclegan.options import ResNetOptions

SMALLEST = 8
"""The smallest side of an image in pixels. The maps of the blocks have a quarter of an image's
side, and their reflection padding needs two cells."""


class ResNet(nn.Module):
    """Generator: two layers of stride 2, residual blocks, two transposed layers of stride 2.

    In the paper's notation it is c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3. Images and
    the blocks' maps have reflection padding. The layers of stride 2 pad with zeros.

    Args:
        options: see `ResNetOptions`.
        io: from images (C, H, W) to images; H and W are multiples of 4 and at least 8.

    Raises:
        ValueError: when an input or output isn't an image, or there are classes.
        RecipeError: when the images are too small.

    With width 64, instance norm and 3 channels on both sides it has 11,378,179 parameters with 9
    blocks and 7,837,699 with 6.
    """

    def __init__(self, options: ResNetOptions, io: NetIO) -> None:
        super().__init__()
        refuse_classes(io)
        channels, height, width = io.images_in()
        made = io.images_out()[0]
        if min(height, width) < SMALLEST:
            raise RecipeError(
                f"takes images of at least {SMALLEST} x {SMALLEST} pixels, but these are {width} "
                f"x {height} (W x H)",
                hint="use larger images",
            )
        bias = uses_bias(options.norm)
        one, two, four = (factor * options.width for factor in (1, 2, 4))

        def down(before: int, after: int) -> nn.Module:
            return nn.Conv2d(before, after, 3, stride=2, padding=1, bias=bias)

        def up(before: int, after: int) -> nn.Module:
            return nn.ConvTranspose2d(
                before, after, 3, stride=2, padding=1, output_padding=1, bias=bias
            )

        layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, one, 7, bias=bias)]
        layers += [norm_2d(options.norm, one), nn.ReLU(inplace=True)]
        for layer, before, after in ((down, one, two), (down, two, four)):
            layers += [layer(before, after), norm_2d(options.norm, after), nn.ReLU(inplace=True)]
        layers += [_Block(four, options) for _ in range(options.blocks)]
        for layer, before, after in ((up, four, two), (up, two, one)):
            layers += [layer(before, after), norm_2d(options.norm, after), nn.ReLU(inplace=True)]
        # No norm comes after the last layer, so it always has a bias.
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(one, made, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        init_normal(self, options.init_std)

    def forward(self, x: Tensor) -> Tensor:
        """Map images N x C x H x W in [-1, 1] to images of the same size in [-1, 1].

        Args:
            x: input images.
        """
        image: Tensor = self.model(x)
        return image


class _Block(nn.Module):
    """Residual block of two 3x3 layers; no ReLU follows the sum."""

    def __init__(self, channels: int, options: ResNetOptions) -> None:
        super().__init__()
        bias = uses_bias(options.norm)
        self.model = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_2d(options.norm, channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_2d(options.norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.model(x)
        return x + change
