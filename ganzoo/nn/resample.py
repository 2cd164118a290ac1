"""Halving and doubling of maps by the binomial filter [1, 2, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention


class _Resample(nn.Module):
    """Holds the filter, 1 x 1 x 3 x 3, which moves with the network and isn't saved with it."""

    kernel: Tensor

    def __init__(self, total: float) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(line, line) * (total / 16)
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def depthwise(self, x: Tensor) -> Tensor:
        """The filter once for each channel of `x`, in its number format: C x 1 x 3 x 3."""
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, 3, 3)


class Halve(_Resample):
    """N x C x H x W to N x C x ceil(H/2) x ceil(W/2): [1, 2, 1] / 4 along each axis at even places.

    Along one axis y[i] = (x[2i - 1] + 2 x[2i] + x[2i + 1]) / 4. Beyond a border the last value goes
    on, so that a constant map stays as it is; away from borders the mean of any map does.
    """

    def __init__(self) -> None:
        super().__init__(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the size; a side of 1 is left as it is."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(x, self.depthwise(x), stride=2, groups=x.shape[1])


class Double(_Resample):
    """N x C x H x W to N x C x 2H x 2W: values at even places, means of neighbours between them.

    Along one axis y[2i] = x[i] and y[2i + 1] = (x[i] + x[i + 1]) / 2, which is [1, 2, 1] / 2 over a
    map with zeros put in between. It is twice the transpose of `Halve` along each axis, but for
    the border, beyond which the last value goes on.
    """

    def __init__(self) -> None:
        super().__init__(4.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of twice the size."""
        x = F.pad(x, (0, 1, 0, 1), mode="replicate")
        doubled = F.conv_transpose2d(
            x, self.depthwise(x), stride=2, padding=1, groups=x.shape[1]
        )  # one place more than twice the size: the value that was added
        return doubled[:, :, :-1, :-1]
