"""The components of the core, declared through the same hook as those of plugins."""

from __future__ import annotations

from ganzoo.api import Target, component


@component("metric")
def l1() -> Target:
    """Mean absolute difference of 8-bit images, in units of half their range."""
    from ganzoo.metrics.image import L1

    return L1


@component("metric")
def psnr() -> Target:
    """Peak signal-to-noise ratio in dB."""
    from ganzoo.metrics.image import PSNR

    return PSNR


@component("metric", paper="https://doi.org/10.1109/TIP.2003.819861")
def ssim() -> Target:
    """Structural similarity, 7x7 uniform window."""
    from ganzoo.metrics.image import SSIM

    return SSIM


@component("metric")
def gradient_energy() -> Target:
    """Sharpness: mean |dx| + mean |dy|, relative to the real images'."""
    from ganzoo.metrics.image import GradientEnergy

    return GradientEnergy


@component("metric")
def own_other() -> Target:
    """L1 to the own target divided by L1 to other images' targets: whether the input matters."""
    from ganzoo.metrics.image import OwnOther

    return OwnOther
