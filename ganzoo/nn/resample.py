"""Halve and double the size of feature maps with the binomial filter [1, 2, 1].

The filter smooths the larger map. To halve it, pairs of its values are averaged; to double the
smaller map, each value is repeated before the filter. Both operations together are one filter,
[1, 2, 1] * [1, 1] = [1, 3, 3, 1] (a convolution), which doesn't shift the map. If every other
value of the smoothed map were used instead, the map would be shifted by half a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention


class _Resample(nn.Module):
    """The base class with the filter, 1 x 1 x 4 x 4, a buffer that isn't saved with the network."""

    kernel: Tensor

    def __init__(self, total: float) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0])
        kernel = torch.outer(line, line) * (total / 64)
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def depthwise(self, x: Tensor) -> Tensor:
        """Return the filter, repeated for each channel of `x`, in its dtype: C x 1 x 4 x 4."""
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)


class Halve(_Resample):
    """Halve the size of maps: N x C x H x W becomes N x C x ceil(H/2) x ceil(W/2).

    The map is smoothed with [1, 2, 1] / 4, then pairs of values are averaged. Along one axis this
    is y[i] = (x[2i - 1] + 3 x[2i] + 3 x[2i + 1] + x[2i + 2]) / 8. Beyond a border the last value is
    repeated, so that a constant map doesn't change. Away from borders the mean of a map doesn't
    change either.
    """

    def __init__(self) -> None:
        super().__init__(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the size; a side of 1 isn't changed."""
        height, width = x.shape[2:]
        x = F.pad(x, (1, 1 + width % 2, 1, 1 + height % 2), mode="replicate")
        return F.conv2d(x, self.depthwise(x), stride=2, groups=x.shape[1])


class Double(_Resample):
    """Double the size of maps: N x C x H x W becomes N x C x 2H x 2W.

    Each value is repeated, and the result is smoothed with [1, 2, 1] / 4. Along one axis this is
    y[2i] = (x[i - 1] + 3 x[i]) / 4 and y[2i + 1] = (3 x[i] + x[i + 1]) / 4, which is bilinear
    interpolation. Along each axis it is twice the transpose of `Halve`, except at the borders,
    beyond which the last value is repeated.
    """

    def __init__(self) -> None:
        super().__init__(4.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of twice the size."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        # The transposed convolution has 2 (H + 2) + 2 values along an axis. The outer 3 at each end
        # are removed, because they belong to the padding.
        return F.conv_transpose2d(x, self.depthwise(x), stride=2, padding=3, groups=x.shape[1])
