"""Figures that compare images, for metrics of one's own; `image` also has the core's components."""

from __future__ import annotations

from ganzoo.metrics.image import gradient_energy, l1, psnr, ssim

__all__ = ["gradient_energy", "l1", "psnr", "ssim"]
