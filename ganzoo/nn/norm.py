"""Normalisation layers by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["batch", "instance", "none"]
"""Name of a normalisation, as recipes have it; see `norm_2d`."""


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that also takes a batch with one value per channel (N = H = W = 1).

    There PyTorch raises while TensorFlow goes on; a single value minus its own mean is 0, so that
    the result is the shift alone. Only a network that asks for a norm on a 1x1 map meets this.
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
    """Return the layer for maps N x channels x H x W.

    `batch`: learnt scale and shift, stored statistics (arXiv 1502.03167). `instance`: neither
    (arXiv 1607.08022). `none`: the identity.
    """
    if norm == "batch":
        return BatchNorm2d(channels, eps=eps)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, eps=eps)
    return nn.Identity()


def uses_bias(norm: Norm) -> bool:
    """Tell whether convolutions before the norm need a bias: batch norm has a shift of its own."""
    return norm != "batch"
