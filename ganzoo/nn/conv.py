"""Convolutions that are computed as one matrix product on a CPU where their feature maps are small.

For feature maps of a few pixels, most of a convolution's time is spent on its weights: in each
forward pass and for both gradients, oneDNN repacks millions of weights to multiply them by a few
pixels. If the pixels are unfolded into rows (im2col), the same result is one matrix product with
the weights in their own memory layout. For larger feature maps, unfolding takes longer than
repacking, so torch's own convolution is used.

The choice is a rule about shapes, number format and device, and not a measurement, so that a
resumed run makes the same choices as before. docs/performance.md contains the measurements behind
the rule.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

Way = Literal["native", "matrices"]
"""The way in which a layer computes. `native` is torch's convolution. `matrices` arranges the
pixels in the rows of a matrix and computes one matrix product."""

_WORTH = {torch.bfloat16: 4, torch.float32: 16, torch.float64: 16}
"""For each number format, the number of channels for each pixel of the smaller map from which on
the matrix product is faster."""


def choose_way(x: Tensor, channels: int, pixels: int) -> Way:
    """Choose how a layer computes.

    With C channels and P pixels, there are C / P times as many weights as numbers in the unfolded
    rows.

    Args:
        x: the layer's input, for its device and number format.
        channels: the number of channels of the smaller feature map, which is the output of a
            convolution and the input of a transposed convolution.
        pixels: N x H x W of that feature map.
    """
    if x.device.type != "cpu" or not pixels:
        return "native"
    worth = _WORTH.get(_multiplied_in(x))
    return "native" if worth is None or channels < worth * pixels else "matrices"


def _multiplied_in(x: Tensor) -> torch.dtype:
    """Return the number format of a convolution of `x` on a CPU: autocast's, if that is enabled."""
    if x.dtype != torch.float64 and torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return x.dtype


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`, computed as a matrix product where that is faster.

    The results are equal up to rounding. `way` is how the last call was computed.
    """

    way: Way = "native"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Conv2d's own name
        """Return the convolution of N x C x H x W, as `torch.nn.Conv2d` does."""
        count, size = input.shape[0], self._output_size(input)
        pixels = count * size[0] * size[1]
        self.way = choose_way(input, self.out_channels, pixels)
        if self.way == "native":
            return super().forward(input)
        sides = (int(self.padding[0]), int(self.padding[1]))
        columns = F.unfold(
            input.to(_multiplied_in(input)), self.kernel_size, self.dilation, sides, self.stride
        )
        rows = columns.transpose(1, 2).reshape(pixels, -1)
        y = F.linear(rows, self.weight.flatten(1), self.bias)
        return y.view(count, *size, self.out_channels).permute(0, 3, 1, 2).contiguous()

    def _output_size(self, x: Tensor) -> tuple[int, int]:
        """Return height and width of the output; (0, 0) where torch's convolution must be used."""
        if x.ndim != 4 or self.groups != 1 or self.padding_mode != "zeros":
            return 0, 0
        if x.shape[1] != self.in_channels:  # torch raises an error with a good message
            return 0, 0
        if isinstance(self.padding, str):
            return 0, 0
        height, width = (
            (x.shape[2 + axis] + 2 * self.padding[axis] - self.dilation[axis] * (side - 1) - 1)
            // self.stride[axis]
            + 1
            for axis, side in enumerate(self.kernel_size)
        )
        return max(height, 0), max(width, 0)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d`, computed as a matrix product where that is faster.

    The results are equal up to rounding. `way` is how the last call was computed.
    """

    way: Way = "native"

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002
        """Return the transposed convolution of N x C x H x W as `torch.nn.ConvTranspose2d` does."""
        plain = input.ndim != 4 or self.groups != 1 or output_size is not None
        plain = plain or input.shape[1] != self.in_channels  # torch raises an error in this case
        count, channels, height, width = (0, 0, 0, 0) if plain else input.shape
        self.way = choose_way(input, channels, count * height * width)
        if self.way == "native":
            return super().forward(input, output_size)
        sides = (int(self.padding[0]), int(self.padding[1]))
        made = tuple(
            (input.shape[2 + axis] - 1) * self.stride[axis]
            - 2 * sides[axis]
            + self.dilation[axis] * (side - 1)
            + self.output_padding[axis]
            + 1
            for axis, side in enumerate(self.kernel_size)
        )
        rows = input.to(_multiplied_in(input)).flatten(2).transpose(1, 2).reshape(-1, channels)
        columns = torch.mm(rows, self.weight.flatten(1)).view(count, height * width, -1)
        y = F.fold(
            columns.transpose(1, 2), made, self.kernel_size, self.dilation, sides, self.stride
        )
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]


def ways(network: nn.Module) -> dict[str, Way]:
    """Return how the last call of each of these layers was computed, by the layers' names."""
    return {
        name: module.way
        for name, module in network.named_modules()
        if isinstance(module, Conv2d | ConvTranspose2d)
    }
