"""The components of the core, declared through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return metrics for any image-to-image task."""
    return (
        Component(
            kind="metric",
            name="l1",
            target="ganzoo.metrics.image:L1",
            summary="mean absolute difference of 8-bit images, in units of half their range",
        ),
        Component(
            kind="metric",
            name="psnr",
            target="ganzoo.metrics.image:PSNR",
            summary="peak signal-to-noise ratio in dB",
        ),
        Component(
            kind="metric",
            name="ssim",
            target="ganzoo.metrics.image:SSIM",
            summary="structural similarity, 7x7 uniform window",
            paper="https://doi.org/10.1109/TIP.2003.819861",
        ),
        Component(
            kind="metric",
            name="gradient_energy",
            target="ganzoo.metrics.image:GradientEnergy",
            summary="sharpness: mean |dx| + mean |dy|, relative to the real images'",
        ),
        Component(
            kind="metric",
            name="own_other",
            target="ganzoo.metrics.image:OwnOther",
            summary="L1 to the own target divided by L1 to other images' targets: whether the "
            "input matters",
        ),
    )
