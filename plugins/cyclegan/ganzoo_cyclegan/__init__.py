"""CycleGAN: image-to-image translation without pairs (arXiv 1703.10593). Imports no torch."""

from __future__ import annotations

from typing import Any

from ganzoo.api import Target, component

_PAPER = "1703.10593"
_TINY_SHAPES = {"train": 8, "val": 4, "test": 4}


def _options() -> Any:
    """Import options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_cyclegan import options

    return options


@component(
    "generator",
    lambda: _options().ResNetOptions,
    paper=_PAPER,
    presets={"tiny": {"width": 4, "blocks": 1}},
)
def resnet() -> Target:
    """Two downsampling layers, residual blocks and two upsampling layers (Johnson et al.)."""
    from ganzoo_cyclegan.resnet import ResNet

    return ResNet


@component(
    "task", lambda: _options().UnpairedOptions, paper=_PAPER, presets={"tiny": {"pool_size": 4}}
)
def unpaired() -> Target:
    """Two generators trained without pairs: generator_ab (source to target), generator_ba (target
    to source).
    """
    from ganzoo_cyclegan.task import Unpaired

    return Unpaired


@component(
    "data",
    lambda: _options().HiddenPairsOptions,
    presets={"tiny": {"pairs": {"use": "cyclegan/shapes", **_TINY_SHAPES}}},
)
def hidden_pairs() -> Target:
    """Any pairs, separated for training and kept for scoring."""
    from ganzoo_cyclegan.hidden_pairs import HiddenPairs

    return HiddenPairs


@component("data", lambda: _options().ShapesOptions, presets={"tiny": _TINY_SHAPES})
def shapes() -> Target:
    """Drawn pairs: striped shapes, and the same shapes coloured by their stripes."""
    from ganzoo_cyclegan.shapes import Shapes

    return Shapes
