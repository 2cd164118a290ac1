"""Options of the perceptrons. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from pydantic import Field

from ganzoo.api import NetOptions


class MLPOptions(NetOptions):
    """A perceptron of `depth` hidden layers."""

    width: int = Field(default=128, ge=1)
    """Units of each hidden layer."""
    depth: int = Field(default=3, ge=1, le=32)
    """Hidden layers."""
    negative_slope: float = Field(default=0.2, ge=0, lt=1)
    """Slope of the leaky ReLU for negative values."""


class MLPDiscriminatorOptions(MLPOptions):
    """The same options, and spectral norm to limit the slope."""

    spectral_norm: bool = False
    """Divide each layer's matrix by its largest singular value, estimated by one power iteration a
    call (arXiv 1802.05957): the logit then changes by no more than the input."""
