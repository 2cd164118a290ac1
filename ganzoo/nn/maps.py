"""Label maps as channels, and places without data."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Make a channel of each class: 1 where a pixel is of it, otherwise 0.

    Args:
        labels: class indices, N x H x W int64.
        classes: the number of classes, C.
        dtype: of the channels: that of the network's weights, which is float64 in fp64.

    Returns:
        N x C x H x W of this type.

    Raises:
        ValueError: when `classes` is 0, since the data don't say how many there are.
    """
    if classes < 1:
        message = "needs the number of classes, which the field of its label maps doesn't state"
        raise ValueError(message)
    count, height, width = labels.shape
    channels = torch.zeros(count, classes, height, width, dtype=dtype, device=labels.device)
    return channels.scatter_(1, labels[:, None], 1.0)


def fill_no_data(values: Tensor, mask: Tensor, value: float = -1.0) -> Tensor:
    """Replace the values at places without data, so that no loss and no network learns of them.

    With the same value in real and generated samples, their difference is 0 there.

    Args:
        values: N x C x H x W, or N x C x D x H x W, and so on; or without channels, as the mask.
        mask: N x H x W, or N x D x H x W, and so on; 0 where there are no data.
        value: what they are replaced by; -1 is what networks see there of real samples.
    """
    there = mask != 0
    while there.ndim < values.ndim:
        there = there.unsqueeze(1)
    return torch.where(there, values, value)
