"""Options of the toy's components. Imports no torch."""

from __future__ import annotations

from ganzoo.api import NetOptions, Options, Scalar
from pydantic import Field


class PainterOptions(NetOptions):
    """A generator that keeps height and width, whatever they are."""

    width: int = Field(default=8, ge=1)
    """Channels between the first and the last convolution."""
    blocks: int = Field(default=2, ge=0)
    """Residual blocks of two convolutions each."""

    def receptive_field(self) -> int:
        """Two 3x3 convolutions in each block, one before and one after them."""
        return 1 + 2 * (2 * self.blocks + 2)


class CharbonnierOptions(Options):
    """A weight and the width of the bend."""

    weight: Scalar = Scalar(100.0)
    """Factor of the distance."""
    epsilon: float = Field(default=1e-3, gt=0)
    """Distance from which on the loss is linear rather than quadratic."""
