"""pix2pix: image-to-image translation from pairs (arXiv 1611.07004). Imports no torch."""

from __future__ import annotations

from typing import Any

from ganzoo.api import Target, component

_PAPER = "1611.07004"
# These presets are the differences of other implementations from the PyTorch reference. The
# original Torch7 code has dropout in the first three layers of the decoder. TensorFlow's tutorial
# has it there too. It also normalises the bottleneck, takes Keras' eps, and applies no ReLU to the
# skips.
_TORCH7 = {"dropout_layers": [1, 2, 3]}
_TENSORFLOW = {"dropout_layers": [1, 2, 3], "bottleneck_norm": True, "norm_eps": 1e-3}

_TINY = {"depth": 3, "width": 4, "dropout_layers": [2]}


def _options() -> Any:
    """Import options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_pix2pix import options

    return options


@component(
    "generator",
    lambda: _options().UNetOptions,
    paper=_PAPER,
    presets={
        "torch7": _TORCH7,
        "tensorflow": {**_TENSORFLOW, "skip_relu": False},
        "tiny": _TINY,
    },
)
def unet() -> Target:
    """U-Net: an encoder-decoder whose mirrored layers are joined by skips."""
    from ganzoo_pix2pix.unet import UNet

    return UNet


@component(
    "generator",
    lambda: _options().EncoderDecoderOptions,
    paper=_PAPER,
    presets={"torch7": _TORCH7, "tensorflow": _TENSORFLOW, "tiny": _TINY},
)
def encoder_decoder() -> Target:
    """The U-Net without its skips: the paper's ablation."""
    from ganzoo_pix2pix.encoder_decoder import EncoderDecoder

    return EncoderDecoder


@component(
    "discriminator",
    lambda: _options().PatchGANOptions,
    paper=_PAPER,
    presets={
        "tensorflow": {"norm_eps": 1e-3},
        "tiny": {"receptive_field": 16, "width": 4},
    },
)
def patchgan() -> Target:
    """Judges each patch of 1, 16, 34, 70, 142 or 286 pixels separately."""
    from ganzoo_pix2pix.patchgan import PatchGAN

    return PatchGAN


@component(
    "loss",
    lambda: _options().CGANL1Options,
    paper=_PAPER,
    presets={"tensorflow": {"discriminator_weight": 1.0}},
)
def cgan_l1() -> Target:
    """Any adversarial loss plus a weighted mean absolute error."""
    from ganzoo_pix2pix.loss import CGANL1

    return CGANL1


@component(
    "task",
    lambda: _options().PairedOptions,
    paper=_PAPER,
    presets={"tensorflow": {"update": "simultaneous"}},
)
def paired() -> Target:
    """Source to target from aligned pairs; the discriminator may see the source."""
    from ganzoo_pix2pix.task import Paired

    return Paired
