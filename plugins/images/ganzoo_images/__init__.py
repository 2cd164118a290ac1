"""Read image files as data: pairs, single images, CMP Facades; resize them as the paper does.

`ganzoo list` imports this module, so it imports neither torch nor numpy nor Pillow.
"""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl

_OPTIONS = "ganzoo_images.options:"


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the components that recipes may name under `images/`."""
    return (
        Component(
            kind="data",
            name="side_by_side",
            target="ganzoo_images.side_by_side:SideBySide",
            options=_OPTIONS + "SideBySideOptions",
            summary="Pairs: each file holds both images, left and right.",
        ),
        Component(
            kind="data",
            name="two_folders",
            target="ganzoo_images.two_folders:TwoFolders",
            options=_OPTIONS + "TwoFoldersOptions",
            summary="Pairs: two folders whose files have the same names.",
        ),
        Component(
            kind="data",
            name="folder",
            target="ganzoo_images.folder:ImageFolder",
            options=_OPTIONS + "ImageFolderOptions",
            summary="Images without a partner; their subfolders may be classes.",
        ),
        Component(
            kind="data",
            name="unpaired",
            target="ganzoo_images.unpaired:Unpaired",
            options=_OPTIONS + "UnpairedOptions",
            summary="No pairs: two folders of different images, with any number of files.",
        ),
        Component(
            kind="data",
            name="facades",
            target="ganzoo_images.facades:Facades",
            options=_OPTIONS + "FacadesOptions",
            summary="CMP Facades in the format of pix2pix; read from a folder, or downloaded "
            "(about 29 MB).",
            paper="1611.07004",
            presets={"tiny": {"download": False}},
        ),
        Component(kind="data", name="procedural_facades", renamed_to="facades/procedural"),
        Component(
            kind="augment",
            name="resize",
            target="ganzoo_images.resize:Resize",
            options=_OPTIONS + "ResizeOptions",
            summary="Resizes images as Pillow does; the paper's filter is bicubic.",
            presets={"tiny": {"size": 32}},
        ),
        Component(
            kind="metric",
            name="colour_error",
            target="ganzoo_images.colour_error:ColourError",
            summary="Distance of the colours from the target's, in CIE Lab.",
        ),
        Component(kind="metric", name="label_recovery", renamed_to="facades/label_recovery"),
    )
