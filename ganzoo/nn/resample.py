"""Halving and doubling of maps by the binomial filter [1, 2, 1].

The filter smooths the larger map; the smaller one's values are means of two there, or are repeated
twice. Both at once is one filter, [1, 2, 1] * [1, 1] = [1, 3, 3, 1], which leaves a map where it
is: taking every other value of a smoothed map would shift it by half a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention


class _Resample(nn.Module):
    """Holds the filter, 1 x 1 x 4 x 4, which moves with the network and isn't saved with it."""

    kernel: Tensor

    def __init__(self, total: float) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0])
        kernel = torch.outer(line, line) * (total / 64)
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def depthwise(self, x: Tensor) -> Tensor:
        """The filter once for each channel of `x`, in its number format: C x 1 x 4 x 4."""
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)


class Halve(_Resample):
    """N x C x H x W to N x C x ceil(H/2) x ceil(W/2): smoothed by [1, 2, 1] / 4, then means of two.

    Along one axis y[i] = (x[2i - 1] + 3 x[2i] + 3 x[2i + 1] + x[2i + 2]) / 8. Beyond a border the
    last value goes on, so that a constant map stays as it is; away from borders the mean of any map
    does.
    """

    def __init__(self) -> None:
        super().__init__(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the size; a side of 1 is left as it is."""
        height, width = x.shape[2:]
        x = F.pad(x, (1, 1 + width % 2, 1, 1 + height % 2), mode="replicate")
        return F.conv2d(x, self.depthwise(x), stride=2, groups=x.shape[1])


class Double(_Resample):
    """N x C x H x W to N x C x 2H x 2W: each value twice, smoothed by [1, 2, 1] / 4.

    Along one axis y[2i] = (x[i - 1] + 3 x[i]) / 4 and y[2i + 1] = (3 x[i] + x[i + 1]) / 4, which is
    bilinear interpolation. It is twice the transpose of `Halve` along each axis, but for the
    border, beyond which the last value goes on.
    """

    def __init__(self) -> None:
        super().__init__(4.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of twice the size."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        # Of the padded map's 2 (H + 2) + 2 places the outer 3 at each end belong to the padding.
        return F.conv_transpose2d(x, self.depthwise(x), stride=2, padding=3, groups=x.shape[1])
