"""Networks on timm's image encoders. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl

_TINY = {"encoder": "test_resnet", "levels": 3, "width": 4}


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the plugin's networks."""
    return (
        Component(
            kind="generator",
            name="unet",
            target="ganzoo_timm_unet.unet:TimmUNet",
            options="ganzoo_timm_unet.options:TimmUNetOptions",
            summary="U-Net whose encoder is any of timm's image models; images of any size.",
            paper="1505.04597",
            presets={"tiny": _TINY},
        ),
        Component(
            kind="discriminator",
            name="timm_patch",
            target="ganzoo_timm_unet.patch:TimmPatch",
            options="ganzoo_timm_unet.options:TimmPatchOptions",
            summary="Judges patches on each level of a timm encoder's features, frozen or trained.",
            paper="2111.01007",
            presets={"tiny": _TINY},
        ),
    )
