"""Functions for new metrics: scores that compare images, and judge networks that are trained once.

`ganzoo.metrics.image` also contains the core's own metrics.
"""

from __future__ import annotations

from ganzoo.metrics.image import gradient_energy, l1, psnr, ssim
from ganzoo.metrics.judge import judge_file, kept_judge

__all__ = ["gradient_energy", "judge_file", "kept_judge", "l1", "psnr", "ssim"]
