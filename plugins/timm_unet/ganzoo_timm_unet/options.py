"""Options of the networks on timm's encoders. Imports neither torch nor timm."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ganzoo.api import NetOptions


class EncoderOptions(NetOptions):
    """Which of timm's models is the encoder, and which initial weights it has.

    `size_multiple` stays 1: the networks pad images whose size the encoder can't divide, and crop
    the result.
    """

    encoder: str = "resnet18"
    """Name of a timm model with `features_only`, such as `convnext_atto`; after a dot the tag of
    its weights (`resnet18.tv_in1k`). `timm.list_models()` has them all."""
    levels: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """Number of the encoder's feature maps that are used, beginning with the finest. Deeper layers
    are left out (EfficientNets and MobileNets keep them, unused). `all`: the maps that timm gives
    by default."""
    pretrained: bool = False
    """Begin with the weights that timm's authors publish, from the Hugging Face hub or its cache.
    A network that is read from a checkpoint needs neither."""
    weights: str | None = None
    """Begin with a local file of the whole model's weights under timm's names: safetensors, or a
    state dict by `torch.save`. Absolute, or relative to the working directory."""

    @field_validator("encoder")
    @classmethod
    def _is_a_name(cls, encoder: str) -> str:
        # timm would download `hf-hub:...` and read files for `local-dir:...`.
        if not re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?", encoder):
            message = "must be a name of timm's, such as resnet18 or resnet18.tv_in1k"
            raise ValueError(message)
        return encoder

    @model_validator(mode="after")
    def _one_origin(self) -> EncoderOptions:
        if self.pretrained and self.weights is not None:
            message = (
                "pretrained and weights both state where the encoder's weights come from: "
                "set only one"
            )
            raise ValueError(message)
        return self

    def learnt(self) -> bool:
        """Return whether the encoder begins with trained weights."""
        return self.pretrained or self.weights is not None


class TimmUNetOptions(EncoderOptions):
    """The decoder behind the encoder."""

    width: int = Field(default=32, ge=1)
    """Channels of the decoder at full resolution; they double with each halving, up to 8 times."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation in the decoder; the encoder keeps its own. Only batch norm makes the
    convolutions' biases superfluous."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of values set to 0 after the decoder's blocks up to a quarter of full resolution: the
    only noise that the generator has."""


class TimmPatchOptions(EncoderOptions):
    """The heads on the encoder's feature maps."""

    frozen: bool = False
    """Keep the encoder's weights and statistics as they are and train the heads alone; needs
    `pretrained` or `weights`."""
    width: int = Field(default=64, ge=1)
    """Channels between a head's two convolutions."""
    norm: Literal["spectral", "batch", "instance", "none"] = "spectral"
    """Normalisation of the heads: `spectral` of their weights (arXiv 1802.05957), the others of
    their maps. The encoder keeps its own."""

    @model_validator(mode="after")
    def _frozen_knows_something(self) -> TimmPatchOptions:
        if self.frozen and not self.learnt():
            message = (
                "frozen needs pretrained or weights: random features contain no knowledge of images"
            )
            raise ValueError(message)
        return self
