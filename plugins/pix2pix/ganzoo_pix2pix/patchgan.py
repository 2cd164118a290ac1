"""The PatchGAN discriminator of pix2pix (arXiv 1611.07004, sections 3.2.2 and 6.1.2)."""

from __future__ import annotations

from torch import Tensor, nn

from ganzoo.errors import RecipeError
from ganzoo.interfaces import NetIO, refuse_classes
from ganzoo.nn import Conv2d, init_normal, norm_2d, uses_bias
from ganzoo_pix2pix.options import PatchGANOptions

LEAK = 0.2  # slope of the leaky ReLU for negative values (section 6.1)


class PatchGAN(nn.Module):
    """Discriminator: each output cell has one patch of the input as its receptive field.

    Receptive fields of 16 pixels and more are made of 4x4 convolutions with padding 1: n of stride
    2, one of stride 1, and one of stride 1 to the logits, n = 1 to 5. A receptive field of 1 is
    made of 1x1 convolutions.

    Args:
        options: see `PatchGANOptions`.
        io: shape (C, H, W) of the input, including the source's channels where the task adds them.

    Raises:
        ValueError: when the input isn't an image, or there are classes.
        RecipeError: when the images are too small for an output map of at least 1 x 1.

    With the defaults and 6 channels it has 2,768,705 parameters, as the reference.
    """

    def __init__(self, options: PatchGANOptions, io: NetIO) -> None:
        super().__init__()
        refuse_classes(io)
        channels, height, width = io.images_in()
        if options.receptive_field() == 1:
            kernel, padding, strides = 1, 0, [1, 1]
        else:
            strided = options.strided_layers()
            kernel, padding, strides = 4, 1, [2] * strided + [1]
            smallest = 3 * 2**strided  # side of the output map: S / 2^n - 2
            if min(height, width) < smallest:
                raise RecipeError(
                    f"receptive_field = {options.receptive_field()} needs images of at least "
                    f"{smallest} x {smallest} pixels, but these are {width} x {height} (W x H)",
                    hint="use a smaller receptive_field, or larger images",
                )
        bias, layers = uses_bias(options.norm), nn.Sequential()
        for index, stride in enumerate(strides):
            out = options.width * min(2**index, 8)
            first = index == 0
            # The first layer's input is the image itself. No norm follows it, so it has a bias.
            layers.append(Conv2d(channels, out, kernel, stride, padding, bias=first or bias))
            if not first:
                layers.append(norm_2d(options.norm, out, options.norm_eps))
            layers.append(nn.LeakyReLU(LEAK, inplace=True))
            channels = out
        # The reference's pixel discriminator has no bias here if it has batch norm.
        layers.append(Conv2d(channels, 1, kernel, 1, padding, bias=kernel > 1 or bias))
        self.model = layers
        init_normal(self, options.init_std)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to logits N x 1 x h x w.

        h = H / 2^n - 2, rounded down, and likewise w; a receptive field of 1 gives h = H and w = W.

        Args:
            x: images, after the source's channels where the task adds them.
        """
        logits: Tensor = self.model(x)
        return logits
