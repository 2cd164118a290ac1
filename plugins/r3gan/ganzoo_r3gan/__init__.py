"""R3GAN: a relativistic GAN with zero-centred penalties (arXiv 2501.05441). Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ganzoo.api import Component, hookimpl

_PAPER = "2501.05441"
_OPTIONS = "ganzoo_r3gan.options:"
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


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return R3GAN's two networks; other plugins have the losses, the task and the data."""
    return (
        Component(
            kind="generator",
            name="resnet",
            target="ganzoo_r3gan.resnet:Generator",
            options=_OPTIONS + "GeneratorOptions",
            summary="Noise (and class) to image: grouped residual blocks, no normalisation.",
            paper=_PAPER,
            presets=_PRESETS,
        ),
        Component(
            kind="discriminator",
            name="resnet",
            target="ganzoo_r3gan.resnet:Discriminator",
            options=_OPTIONS + "ResNetOptions",
            summary="The generator's mirror image: one logit an image, classes by inner product.",
            paper=_PAPER,
            presets=_PRESETS,
        ),
    )
