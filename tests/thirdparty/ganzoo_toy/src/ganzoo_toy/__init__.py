"""A plugin from outside: one generator, one loss, one recipe. Light module: it imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from ganzoo.api import Target, component, hookimpl

GANZOO_API_VERSION = 2


def _options() -> Any:
    from ganzoo_toy import options

    return options


@component(
    "generator",
    lambda: _options().PainterOptions,
    presets={"tiny": {"width": 4, "blocks": 1}},
)
def painter() -> Target:
    """A few residual blocks at full resolution."""
    from ganzoo_toy.painter import Painter

    return Painter


@component(
    "loss",
    lambda: _options().CharbonnierOptions,
    paper="https://doi.org/10.1109/ICIP.1994.413553",
)
def charbonnier() -> Target:
    """Distance to the real image, quadratic near 0 and linear beyond."""
    from ganzoo_toy.loss import Charbonnier

    return Charbonnier


@hookimpl
def ganzoo_recipes() -> Iterable[Traversable]:
    """Return the recipes in this package."""
    folder = files(__name__) / "recipes"
    return [file for file in folder.iterdir() if file.name.endswith(".toml")]
