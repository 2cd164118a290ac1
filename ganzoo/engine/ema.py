"""The exponential moving average (EMA) of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ganzoo.api import Scalar
from ganzoo.interfaces import Clock


class Ema:
    """Average a network's parameters; its buffers are copied without averaging.

    The contribution of an old value halves every `half_life` images, so that the average doesn't
    depend on the batch size.

    Args:
        net: the raw network; the average starts as a copy of it.
        half_life: the half-life in images; it may change during training.
    """

    def __init__(self, net: nn.Module, half_life: Scalar) -> None:
        self.half_life = half_life
        self.module = copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, images: int, clock: Clock) -> None:
        """Add the weights after a step that began at `clock` and used `images` images."""
        decay = 0.5 ** (images / self.half_life.at(clock))
        averaged: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(net.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)  # torch.optim.swa_utils uses it too
        for mine, theirs in zip(self.module.buffers(), net.buffers(), strict=True):
            mine.copy_(theirs)
