"""A plugin from outside: one generator, one loss, one recipe. Light module: it imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable

from ganzoo.api import Component, hookimpl

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the toy's generator and loss."""
    return (
        Component(
            kind="generator",
            name="painter",
            target="ganzoo_toy.painter:Painter",
            options="ganzoo_toy.options:PainterOptions",
            summary="A few residual blocks at full resolution.",
            presets={"tiny": {"width": 4, "blocks": 1}},
        ),
        Component(
            kind="loss",
            name="charbonnier",
            target="ganzoo_toy.loss:Charbonnier",
            options="ganzoo_toy.options:CharbonnierOptions",
            summary="Distance to the real image, quadratic near 0 and linear beyond.",
            paper="https://doi.org/10.1109/ICIP.1994.413553",
        ),
    )


@hookimpl
def ganzoo_recipes() -> Iterable[Traversable]:
    """Return the recipes in this package."""
    folder = files(__name__) / "recipes"
    return [file for file in folder.iterdir() if file.name.endswith(".toml")]
