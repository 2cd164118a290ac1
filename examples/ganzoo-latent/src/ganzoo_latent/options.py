"""Options of ganzoo-latent's components: what a recipe may set. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from ganzoo.api import Chosen, NetOptions, Options, Ref, Scalar, TaskOptions
from pydantic import Field

FACTOR = 4  # pixels of an image for one cell of its code, in height and in width

Weight = Annotated[Scalar, Field(ge=0)]


class EncoderOptions(NetOptions):
    """How large the encoder is."""

    width: int = Field(default=12, ge=4, multiple_of=4)
    """Channels at full size; twice as many at half and four times as many at a quarter of it."""
    blocks: int = Field(default=1, ge=0)
    """Residual blocks at a quarter of the size."""

    def size_multiple(self) -> int:
        """Height and width are halved twice."""
        return FACTOR


class DecoderOptions(NetOptions):
    """How large the decoder is; it takes codes of any height and width."""

    width: int = Field(default=12, ge=4, multiple_of=4)
    """Channels at full size; twice as many at half and four times as many at a quarter of it."""
    blocks: int = Field(default=1, ge=0)
    """Residual blocks at a quarter of the size."""


class PerceptualOptions(Options):
    """Weights of what the autoencoder minimises, and the network that compares images."""

    gan: Annotated[Chosen, Ref("loss")] = Field(default="gan/hinge")  # type: ignore[assignment]
    """The adversarial loss: the id of a loss component, or a table with its options."""
    gan_weight: Weight = Scalar(0.02)
    """Weight of the adversarial term in the autoencoder's turn."""
    l1: Weight = Scalar(1.0)
    """Weight of the mean absolute error of the pixels."""
    perceptual: Weight = Scalar(1.0)
    """Weight of the mean absolute error of the features."""
    width: int = Field(default=8, ge=1)
    """Channels of the first layer of the random network; they double with each layer."""
    layers: int = Field(default=3, ge=1, le=6)
    """Layers of the random network; each halves the size."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random network's weights."""


class AutoencoderOptions(TaskOptions):
    """What a code is, and how near the codes are kept to a standard normal distribution."""

    channels: int = Field(default=4, ge=1)
    """Numbers in each cell of a code; a cell stands for 4 x 4 pixels."""
    kl: Weight = Scalar(1e-3)
    """Weight of the Kullback-Leibler divergence, which is a mean over the numbers of a code."""


class ShapesOptions(Options):
    """What is drawn, and how much of it."""

    size: int = Field(default=32, ge=8, multiple_of=FACTOR)
    """Height and width of an image, in pixels."""
    train: int = Field(default=1600, ge=1)
    """Count of training images."""
    val: int = Field(default=64, ge=1)
    """Count of validation images."""
    test: int = Field(default=64, ge=1)
    """Count of test images."""
