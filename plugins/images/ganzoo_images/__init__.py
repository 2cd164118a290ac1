"""Read image files as data: pairs, single images, CMP Facades; resize them as the paper does.

`ganzoo list` imports this module, so it imports neither torch nor numpy nor Pillow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ganzoo.api import Component, Target, component, hookimpl


def _options() -> Any:
    """Import options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_images import options

    return options


@component("data", lambda: _options().SideBySideOptions)
def side_by_side() -> Target:
    """Pairs: each file holds both images, left and right."""
    from ganzoo_images.side_by_side import SideBySide

    return SideBySide


@component("data", lambda: _options().TwoFoldersOptions)
def two_folders() -> Target:
    """Pairs: two folders whose files have the same names."""
    from ganzoo_images.two_folders import TwoFolders

    return TwoFolders


@component("data", lambda: _options().ImageFolderOptions)
def folder() -> Target:
    """Images without a partner; their subfolders may be classes."""
    from ganzoo_images.folder import ImageFolder

    return ImageFolder


@component("data", lambda: _options().UnpairedOptions)
def unpaired() -> Target:
    """No pairs: two folders of different images, with any number of files."""
    from ganzoo_images.unpaired import Unpaired

    return Unpaired


@component(
    "data",
    lambda: _options().FacadesOptions,
    paper="1611.07004",
    presets={"tiny": {"download": False}},
)
def facades() -> Target:
    """CMP Facades in the format of pix2pix; read from a folder, or downloaded (about 29 MB)."""
    from ganzoo_images.facades import Facades

    return Facades


@component("augment", lambda: _options().ResizeOptions, presets={"tiny": {"size": 32}})
def resize() -> Target:
    """Resizes images as Pillow does; the paper's filter is bicubic."""
    from ganzoo_images.resize import Resize

    return Resize


@component("metric")
def colour_error() -> Target:
    """Distance of the colours from the target's, in CIE Lab."""
    from ganzoo_images.colour_error import ColourError

    return ColourError


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the former names of components."""
    return (
        Component(kind="data", name="procedural_facades", renamed_to="facades/procedural"),
        Component(kind="metric", name="label_recovery", renamed_to="facades/label_recovery"),
    )
