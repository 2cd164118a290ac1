"""Options of the image networks `gan/dcgan` and `gan/sngan`. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganzoo.api import NetOptions


class DCGANGeneratorOptions(NetOptions):
    """Noise to a 4x4 map, then one doubling in each layer up to the images' size."""

    width: int = Field(default=64, ge=1)
    """Channels of the last map before the image; they double towards 4x4, up to 8 times this."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation of all layers but the last. Only batch norm makes biases superfluous; with
    another, every layer has one."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial weights (arXiv 1511.06434, section 4)."""


class DCGANDiscriminatorOptions(NetOptions):
    """One halving in each layer down to 4x4, then a convolution over the whole map."""

    width: int = Field(default=64, ge=1)
    """Channels after the first layer; they double with each layer up to 8 times this."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation of all layers but the first and the last. With batch norm, the output for an
    image depends on the other images of its batch: use `none` with a gradient penalty (gan/gp,
    gan/r1), which is computed for each image separately, and with `spectral_norm`, whose limit
    batch norm removes."""
    spectral_norm: bool = False
    """Divide each weight by its largest singular value (arXiv 1802.05957)."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial weights (arXiv 1511.06434, section 4)."""


class SNGANGeneratorOptions(NetOptions):
    """Noise to a 4x4 map, then one residual block a doubling (arXiv 1802.05957, table 4a)."""

    width: int = Field(default=256, ge=1)
    """Channels of every block."""


class SNGANDiscriminatorOptions(NetOptions):
    """Residual blocks that halve, two that don't, pooling, linear (arXiv 1802.05957, table 4b)."""

    width: int = Field(default=128, ge=1)
    """Channels of every block."""
    spectral_norm: bool = True
    """Divide each weight by its largest singular value. Without it, limit the gradient by a loss:
    gan/gp or gan/r1."""
    pooling: Literal["sum", "mean"] = "sum"
    """How the last map is reduced: to its sum (the paper), or to its mean (WGAN-GP's critic of the
    same blocks, arXiv 1704.00028)."""
