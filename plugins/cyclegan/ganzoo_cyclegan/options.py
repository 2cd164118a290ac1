"""Options of CycleGAN's components. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ganzoo.api import Chosen, NetOptions, Options, Ref, Scalar


class ResNetOptions(NetOptions):
    """Two halvings, residual blocks, two doublings."""

    width: int = Field(default=64, ge=1)
    """Channels of the first and last layer; the blocks have four times as many."""
    blocks: int = Field(default=9, ge=1)
    """Residual blocks: 9 for 256 x 256 and more, 6 for 128 x 128 (section 7.1)."""
    norm: Literal["batch", "instance", "none"] = "instance"
    """Normalisation of all layers but the last. Only batch norm makes the convolutions' biases
    superfluous; otherwise all have one."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial weights (section 7.1)."""

    def size_multiple(self) -> int:
        """Return 4, since two layers must halve exactly."""
        return 4


Weight = Annotated[Scalar, Field(ge=0)]


def is_off(weight: Scalar) -> bool:
    """Return whether a weight is 0 from the beginning of training to its end."""
    return weight.start == 0 == weight.end


class UnpairedOptions(Options):
    """Weights of the paper's objective (eq. 3 and section 5.2), and the image pools."""

    cycle: Weight = Scalar(10.0)
    """Lambda: weight of the mean absolute error after both translations, in each direction. With 0
    those translations are left out."""
    identity: Weight = Scalar(0.5)
    """Weight of the identity loss, as a multiple of `cycle`: the mean absolute error of G(b) from
    b, for an image b of the kind that G makes (section 5.2: 0.5, for paintings; the paper's other
    sets have none). With 0, or without `cycle`, those calls are left out."""
    pool_size: int = Field(default=50, ge=0)
    """Number of generated images that each discriminator's pool keeps (section 4: 50); with 0, it
    sees the images that were just generated."""
    discriminator_weight: float = Field(default=0.5, gt=0)
    """Weight of each term of the discriminators' turn, penalties included: 0.5 slows them relative
    to the generators (section 7.1)."""

    def uses_cycle(self) -> bool:
        """Return whether the loss has cycle terms."""
        return not is_off(self.cycle)

    def uses_identity(self) -> bool:
        """Return whether the loss has identity terms."""
        return self.uses_cycle() and not is_off(self.identity)


class HiddenPairsOptions(Options):
    """Which pairs are separated."""

    pairs: Annotated[Chosen, Ref("data")]
    """The data with the pairs: the id of a data component, or a table with its options."""
    seed: int = Field(default=0, ge=0)
    """Seed by which the training pairs are divided: one half provides the sources, the other half
    the targets."""


class ShapesOptions(Options):
    """How many pictures are drawn, and in which size."""

    size: int = Field(default=32, ge=16, le=256)
    """Height and width of a picture, in pixels."""
    seed: int = Field(default=0, ge=0)
    """Seed of all pictures: sample `index` of a split depends only on this seed and the index."""
    train: int = Field(default=1000, ge=1)
    """Count of training pairs."""
    val: int = Field(default=100, ge=1)
    """Count of validation pairs."""
    test: int = Field(default=100, ge=1)
    """Count of test pairs."""
