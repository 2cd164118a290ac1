"""R3GAN: a relativistic GAN with zero-centred penalties (arXiv 2501.05441). Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import Target, component

_PAPER = "2501.05441"
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cifar10": {  # 32 x 32
        "widths": [768] * 4,
        "blocks": [2] * 4,
        "cardinalities": [96] * 4,
    },
    "tiny": {
        "widths": [16, 16, 8],
        "blocks": [1, 1, 1],
        "cardinalities": [4, 4, 2],
        "class_embedding": 8,
    },
}


def _options() -> Any:
    """Import options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_r3gan import options

    return options


@component(
    "generator", lambda: _options().GeneratorOptions, name="resnet", paper=_PAPER, presets=_PRESETS
)
def resnet_generator() -> Target:
    """Noise (and class) to image: grouped residual blocks, no normalisation."""
    from ganzoo_r3gan.resnet import Generator

    return Generator


@component(
    "discriminator", lambda: _options().ResNetOptions, name="resnet", paper=_PAPER, presets=_PRESETS
)
def resnet_discriminator() -> Target:
    """The generator's mirror image: one logit an image, classes by inner product."""
    from ganzoo_r3gan.resnet import Discriminator

    return Discriminator
