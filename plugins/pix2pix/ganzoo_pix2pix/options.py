"""Options of pix2pix's components. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ganzoo.api import Chosen, Mode, NetOptions, Options, Ref, Scalar, TaskOptions

ReceptiveField = Literal[1, 16, 34, 70, 142, 286]

# Receptive field of one output cell, in pixels -> number of 4x4 convolutions of stride 2 at the
# beginning. With n of them the receptive field is field(n) = 2 * field(n - 1) + 2, where
# field(0) = 7.
STRIDED_LAYERS: dict[int, int] = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


_BOTTLENECK = 8
"""The largest side of a U-Net's smallest map, in pixels. With a larger map, the receptive field of
the U-Net covers too little of an image."""


class EncoderDecoderOptions(NetOptions):
    """An encoder of `depth` halvings and a decoder of as many doublings."""

    depth: int = Field(default=8, ge=2, le=12)
    """Halvings of height and width; both must be multiples of 2^depth (8: 256, 512, ...)."""
    width: int = Field(default=64, ge=1)
    """Channels after the first layer; they double with each layer up to 8 times this."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation of all layers but the first, the bottleneck and the last. Only batch norm makes
    the convolutions' biases superfluous; otherwise all have one."""
    norm_eps: float = Field(default=1e-5, gt=0)
    """Number added to the variance; the default is PyTorch's. Keras has 1e-3."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of channels' values set to 0: the only noise that the generator has (section 3.1)."""
    dropout_layers: Literal["auto"] | tuple[Annotated[int, Field(ge=1)], ...] = "auto"
    """Layers of the decoder with dropout, counted from the bottleneck (1) outwards; the last layer,
    number `depth`, has none. `auto`: 2 to depth - 4, which is the PyTorch reference: [2, 3, 4] at
    depth 8. The paper's Torch7 code has [1, 2, 3]."""
    bottleneck_norm: bool = False
    """Batch norm at the bottleneck too. On a 1x1 map and batch 1 it leaves nothing but its shift,
    which is the paper's erratum (section 6.3); TensorFlow's tutorial has it."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial weights (section 6.2)."""

    @model_validator(mode="after")
    def _layers_fit_together(self) -> EncoderDecoderOptions:
        if beyond := [layer for layer in self.dropouts() if layer >= self.depth]:
            message = f"dropout_layers: {beyond[0]} isn't between 1 and {self.depth - 1}"
            raise ValueError(message)
        if self.bottleneck_norm and self.norm != "batch":
            message = (
                "bottleneck_norm needs norm = 'batch': on a 1x1 map any other norm leaves nothing"
            )
            raise ValueError(message)
        return self

    def dropouts(self) -> tuple[int, ...]:
        """Return the numbers of the decoder's layers with dropout, from 1 at the bottleneck."""
        if self.dropout_layers == "auto":
            return tuple(range(2, self.depth - 3))
        return self.dropout_layers

    def size_multiple(self) -> int:
        """Return 2^depth, since every layer of the encoder must halve exactly."""
        return 1 << self.depth

    def fitting(self, height: int, width: int) -> dict[str, int]:
        """Return the greatest depth at which both sizes halve exactly, down to a few pixels.

        The result is empty where no such depth fits the other options.
        """
        halvings = min((size & -size).bit_length() - 1 for size in (height, width))
        layers = () if self.dropout_layers == "auto" else self.dropout_layers
        small = max(height, width) >> halvings <= _BOTTLENECK
        return {"depth": halvings} if small and halvings > max((1, *layers)) else {}


class UNetOptions(EncoderDecoderOptions):
    """An encoder-decoder with skips between mirrored layers."""

    skip_relu: bool = True
    """The decoder takes the encoder's maps through a ReLU. False: with the encoder's leaky ReLU
    only, as in TensorFlow's tutorial."""


class PatchGANOptions(NetOptions):
    """A discriminator that judges each patch on its own."""

    # The recipe's key is `receptive_field`. The field has another name, because `receptive_field`
    # is a method of every network's options.
    patch: ReceptiveField = Field(default=70, alias="receptive_field")
    """Side, in pixels, of the patch that one output cell sees; 1 judges single pixels."""
    width: int = Field(default=64, ge=1)
    """Channels after the first layer; they double with each layer up to 8 times this."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation of the middle layers; only batch norm makes their biases superfluous."""
    norm_eps: float = Field(default=1e-5, gt=0)
    """Number added to the variance; the default is PyTorch's. Keras has 1e-3."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial weights (section 6.2)."""

    def receptive_field(self) -> int:
        """Return the side, in input pixels, of the square that one output cell depends on."""
        return self.patch

    def strided_layers(self) -> int:
        """Return how many layers halve height and width; 0 for single pixels."""
        return STRIDED_LAYERS.get(self.patch, 0)


Weight = Annotated[Scalar, Field(ge=0)]


def is_off(weight: Scalar) -> bool:
    """Return whether a weight is 0 from the beginning of training to its end."""
    return weight.start == 0 == weight.end


class CGANL1Options(Options):
    """Weights of the paper's objective, G* = arg min max cGAN + lambda L1 (eq. 4)."""

    gan: Annotated[Chosen, Ref("loss")] = Field(default="gan/vanilla")  # type: ignore[assignment]
    """The adversarial loss: the id of a loss component, or a table with its options."""
    gan_weight: Weight = Scalar(1.0)
    """Weight of the adversarial term in the generator's turn. With 0 it is neither computed nor
    logged, and the recipe may do without a discriminator."""
    l1: Weight = Scalar(100.0)
    """Weight of the mean absolute error of the generated image (section 4.2: lambda = 100). With 0
    it is neither computed nor logged."""
    discriminator_weight: float = Field(default=0.5, gt=0)
    """Weight of each of the discriminator's terms: 0.5 slows it relative to the generator (section
    3.3). Under Adam it has nearly no effect; TensorFlow's tutorial has 1."""

    @model_validator(mode="after")
    def _something_to_minimise(self) -> CGANL1Options:
        if is_off(self.gan_weight) and is_off(self.l1):
            message = "gan_weight and l1 are both 0: the generator has nothing to minimise"
            raise ValueError(message)
        return self


class PairedOptions(TaskOptions):
    """The order of the updates, and what the discriminator gets."""

    # The U-Net sees one image in a batch, and its only noise is dropout (arXiv 1611.07004, 3.3).
    default_mode: ClassVar[Mode] = "paper"

    conditional: bool = True
    """The discriminator sees the source beside the image it judges (cGAN); false: the image alone
    (the paper's rows GAN and L1+GAN)."""
    update: Literal["alternate", "simultaneous"] = "alternate"
    """`alternate`: the discriminator is optimised first, then the generator against the changed
    discriminator. `simultaneous`: both are optimised against the networks from before the step
    (TensorFlow)."""
