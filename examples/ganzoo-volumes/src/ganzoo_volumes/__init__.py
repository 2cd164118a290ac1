"""ganzoo-volumes, a plugin of ganzoo: pairs of volumes in physical units, such as MR and CT.

This module only names things: ganzoo imports it to list them. So what each of them is, and torch
with it, is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from ganzoo.api import Target, component, hookimpl

GANZOO_API_VERSION = 2


def _options() -> Any:
    """Import the options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_volumes import options

    return options


@component("format", name="volume")
def volume_format() -> Target:
    """Volumes with any number of channels, in a unit such as HU."""
    from ganzoo_volumes.volume import Volume

    return Volume


@component("format", name="mask")
def mask_format() -> Target:
    """The places of a volume where there are data."""
    from ganzoo_volumes.volume import Mask

    return Mask


@component("data", lambda: _options().FoldersOptions)
def folders() -> Target:
    """Pairs of volumes in two folders, with masks from a third one."""
    from ganzoo_volumes.data import Folders

    return Folders


@component(
    "data",
    lambda: _options().PhantomsOptions,
    name="phantoms",
    presets={"tiny": {"size": 16, "train": 4, "val": 2, "test": 2}},
)
def phantoms_data() -> Target:
    """Drawn bodies as MR and CT show them; needs no files."""
    from ganzoo_volumes.data import Phantoms

    return Phantoms


@component("generator", lambda: _options().UNetOptions, presets={"tiny": {"width": 4, "levels": 1}})
def unet() -> Target:
    """U-Net of 3-D convolutions, from volume to volume of any size."""
    from ganzoo_volumes.networks import UNet

    return UNet


@component(
    "discriminator", lambda: _options().PatchOptions, presets={"tiny": {"width": 4, "layers": 1}}
)
def patch() -> Target:
    """Strided 3-D convolutions; each cell of the output judges one cube."""
    from ganzoo_volumes.networks import Patch

    return Patch


@component("task", lambda: _options().PairedOptions)
def paired() -> Target:
    """Source to target from pairs of volumes, leaving out places without data."""
    from ganzoo_volumes.task import Paired

    return Paired


@component("metric")
def mae() -> Target:
    """Mean absolute error within the mask, in the unit of the data."""
    from ganzoo_volumes.metric import Mae

    return Mae


@hookimpl
def ganzoo_recipes() -> Iterable[Traversable]:
    """Return the recipes of this package: `recipes/phantoms.toml` is `volumes/phantoms`."""
    return [one for one in (files(__name__) / "recipes").iterdir() if one.name.endswith(".toml")]
