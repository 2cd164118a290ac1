"""pix2pix: image-to-image translation from pairs (arXiv 1611.07004). Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl

_PAPER = "1611.07004"
# These presets are the differences of other implementations from the PyTorch reference. The
# original Torch7 code has dropout in the first three layers of the decoder. TensorFlow's tutorial
# has it there too. It also normalises the bottleneck, takes Keras' eps, and applies no ReLU to the
# skips.
_TORCH7 = {"dropout_layers": [1, 2, 3]}
_TENSORFLOW = {"dropout_layers": [1, 2, 3], "bottleneck_norm": True, "norm_eps": 1e-3}

_TINY = {"depth": 3, "width": 4, "dropout_layers": [2]}


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return pix2pix's networks, loss and task."""
    return (
        Component(
            kind="generator",
            name="unet",
            target="ganzoo_pix2pix.unet:UNet",
            options="ganzoo_pix2pix.options:UNetOptions",
            summary="U-Net: an encoder-decoder whose mirrored layers are joined by skips.",
            paper=_PAPER,
            presets={
                "torch7": _TORCH7,
                "tensorflow": {**_TENSORFLOW, "skip_relu": False},
                "tiny": _TINY,
            },
        ),
        Component(
            kind="generator",
            name="encoder_decoder",
            target="ganzoo_pix2pix.encoder_decoder:EncoderDecoder",
            options="ganzoo_pix2pix.options:EncoderDecoderOptions",
            summary="The U-Net without its skips: the paper's ablation.",
            paper=_PAPER,
            presets={"torch7": _TORCH7, "tensorflow": _TENSORFLOW, "tiny": _TINY},
        ),
        Component(
            kind="discriminator",
            name="patchgan",
            target="ganzoo_pix2pix.patchgan:PatchGAN",
            options="ganzoo_pix2pix.options:PatchGANOptions",
            summary="Judges each patch of 1, 16, 34, 70, 142 or 286 pixels separately.",
            paper=_PAPER,
            presets={
                "tensorflow": {"norm_eps": 1e-3},
                "tiny": {"receptive_field": 16, "width": 4},
            },
        ),
        Component(
            kind="loss",
            name="cgan_l1",
            target="ganzoo_pix2pix.loss:CGANL1",
            options="ganzoo_pix2pix.options:CGANL1Options",
            summary="Any adversarial loss plus a weighted mean absolute error.",
            paper=_PAPER,
            presets={"tensorflow": {"discriminator_weight": 1.0}},
        ),
        Component(
            kind="task",
            name="paired",
            target="ganzoo_pix2pix.task:Paired",
            options="ganzoo_pix2pix.options:PairedOptions",
            summary="Source to target from aligned pairs; the discriminator may see the source.",
            paper=_PAPER,
            presets={"tensorflow": {"update": "simultaneous"}},
        ),
    )
