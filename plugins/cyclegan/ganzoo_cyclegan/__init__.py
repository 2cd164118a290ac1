"""CycleGAN: image-to-image translation without pairs (arXiv 1703.10593). Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl

_PAPER = "1703.10593"
_OPTIONS = "ganzoo_cyclegan.options:"
_TINY_SHAPES = {"train": 8, "val": 4, "test": 4}


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return CycleGAN's generator, its task, and data to train it on and to measure it with."""
    return (
        Component(
            kind="generator",
            name="resnet",
            target="ganzoo_cyclegan.resnet:ResNet",
            options=_OPTIONS + "ResNetOptions",
            summary="Two downsampling layers, residual blocks and two upsampling layers (Johnson "
            "et al.).",
            paper=_PAPER,
            presets={"tiny": {"width": 4, "blocks": 1}},
        ),
        Component(
            kind="task",
            name="unpaired",
            target="ganzoo_cyclegan.task:Unpaired",
            options=_OPTIONS + "UnpairedOptions",
            summary="Two generators trained without pairs: generator_ab (source to target), "
            "generator_ba"
            " (target to source).",
            paper=_PAPER,
            presets={"tiny": {"pool_size": 4}},
        ),
        Component(
            kind="data",
            name="hidden_pairs",
            target="ganzoo_cyclegan.hidden_pairs:HiddenPairs",
            options=_OPTIONS + "HiddenPairsOptions",
            summary="Any pairs, separated for training and kept for scoring.",
            presets={"tiny": {"pairs": {"use": "cyclegan/shapes", **_TINY_SHAPES}}},
        ),
        Component(
            kind="data",
            name="shapes",
            target="ganzoo_cyclegan.shapes:Shapes",
            options=_OPTIONS + "ShapesOptions",
            summary="Drawn pairs: striped shapes, and the same shapes coloured by their stripes.",
            presets={"tiny": _TINY_SHAPES},
        ),
    )
