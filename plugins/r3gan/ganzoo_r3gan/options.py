"""Options of R3GAN's networks. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganzoo.api import NetOptions

START = 4  # side of the smallest maps, in pixels

Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=9)]


class ResNetOptions(NetOptions):
    """Stages of residual blocks, one for each size of maps from 4 x 4 to that of the image.

    The defaults are the paper's for CIFAR-10.
    """

    widths: Counts = (768, 768, 768, 768)
    """Channels of each stage, beginning at 4 x 4. The number of stages determines the side of the
    images, which are square: 4 * 2^(stages - 1), so 4 stages for 32 x 32."""
    blocks: Counts = (2, 2, 2, 2)
    """Residual blocks of each stage."""
    cardinalities: Counts = (96, 96, 96, 96)
    """Groups of the 3 x 3 convolutions in each stage; they divide width * expansion."""
    expansion: int = Field(default=2, ge=1, le=8)
    """A block's inner channels, as a multiple of its stage's width (inverted bottleneck)."""
    class_embedding: int | None = Field(default=None, ge=1)
    """Size of a class's embedding, if the task has classes. The default is the size of the noise in
    the generator, and the number of channels of the 4 x 4 stage in the discriminator."""

    @model_validator(mode="after")
    def _stages_fit_together(self) -> ResNetOptions:
        stages = len(self.widths)
        for name, given in (("blocks", self.blocks), ("cardinalities", self.cardinalities)):
            if len(given) != stages:
                message = (
                    f"{name} has {len(given)} entries, but widths has {stages}: give one "
                    "for each stage"
                )
                raise ValueError(message)
        for width, groups in zip(self.widths, self.cardinalities, strict=True):
            if width * self.expansion % groups:
                message = (
                    f"a cardinality of {groups} doesn't divide the {width * self.expansion} inner "
                    f"channels of a stage of width {width}"
                )
                raise ValueError(message)
        return self

    def side(self) -> int:
        """Return the height and width of the images, in pixels; the networks refuse all others.

        There is no `size_multiple`, because its error message would suggest multiples of this size,
        which aren't allowed either.
        """
        return START << (len(self.widths) - 1)


class GeneratorOptions(ResNetOptions):
    """The generator's stages, and the function that its images go through at the end."""

    output: Literal["linear", "tanh"] = "linear"
    """`linear`: the values of the last convolution (as in the paper). `tanh`: within [-1, 1], for
    images such as drawings, most of whose values lie at the ends of the range."""
