"""A generator that paints at full resolution."""

from __future__ import annotations

from ganzoo.interfaces import NetIO
from torch import Tensor, nn

from ganzoo_toy.options import PainterOptions


class Block(nn.Module):
    """Two 3x3 convolutions and a way around them; N x C x H x W in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of `x` to it."""
        y: Tensor = self.second(self.first(x).relu())
        return x + y


class Painter(nn.Sequential):
    """N x C x H x W in [-1, 1] to N x C' x H x W in [-1, 1].

    Raises:
        ValueError: for inputs or outputs that are no images, and for classes.
    """

    def __init__(self, options: PainterOptions, io: NetIO) -> None:
        if io.classes:
            message = "knows no classes"
            raise ValueError(message)
        channels, _, _ = io.images_in()
        painted, _, _ = io.images_out()
        super().__init__(
            nn.Conv2d(channels, options.width, 3, padding=1),
            *(Block(options.width) for _ in range(options.blocks)),
            nn.Conv2d(options.width, painted, 3, padding=1),
            nn.Tanh(),
        )
