"""Networks on timm's image encoders. Imports no torch."""

from __future__ import annotations

from typing import Any

from ganzoo.api import Target, component

_TINY = {"encoder": "test_resnet", "levels": 3, "width": 4}


def _options() -> Any:
    """Import options, and pydantic with them, when somebody asks for a component's."""
    from ganzoo_timm_unet import options

    return options


@component(
    "generator", lambda: _options().TimmUNetOptions, paper="1505.04597", presets={"tiny": _TINY}
)
def unet() -> Target:
    """U-Net whose encoder is any of timm's image models; images of any size."""
    from ganzoo_timm_unet.unet import TimmUNet

    return TimmUNet


@component(
    "discriminator",
    lambda: _options().TimmPatchOptions,
    paper="2111.01007",
    presets={"tiny": _TINY},
)
def timm_patch() -> Target:
    """Judges patches on each level of a timm encoder's features, frozen or trained."""
    from ganzoo_timm_unet.patch import TimmPatch

    return TimmPatch
