"""Normalisation layers by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["batch", "instance", "none"]
"""The name of a normalisation in recipes; see `norm_2d`."""


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that also accepts a batch with one value per channel (N = H = W = 1).

    PyTorch raises an error in this case, and TensorFlow doesn't. A single value minus its own mean
    is 0, so that the result is only the shift. This happens only in networks with a norm on a 1 x 1
    feature map.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.BatchNorm2d's own name
        batch, _, height, width = input.shape
        if not self.training or batch * height * width > 1:
            return super().forward(input)
        with torch.no_grad():  # the stored statistics move towards mean = value, variance = 0
            momentum = self.momentum if self.momentum is not None else 0.0
            if self.running_mean is not None and self.running_var is not None:
                self.running_mean.lerp_(input.detach().flatten().to(self.running_mean), momentum)
                self.running_var.mul_(1 - momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        shape = (1, -1, 1, 1)
        return (input - input) * self.weight.view(shape) + self.bias.view(shape)


def norm_2d(norm: Norm, channels: int, eps: float = 1e-5) -> nn.Module:
    """Return the normalisation layer for feature maps N x channels x H x W.

    `batch` has a learnt scale and shift, and stored statistics (arXiv 1502.03167). `instance` has
    neither (arXiv 1607.08022). `none` is the identity.
    """
    if norm == "batch":
        return BatchNorm2d(channels, eps=eps)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, eps=eps)
    return nn.Identity()


def uses_bias(norm: Norm) -> bool:
    """Return whether convolutions before the norm need a bias; batch norm has its own shift."""
    return norm != "batch"
