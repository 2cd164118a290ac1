"""Bricks for networks: initial weights and normalisation layers."""

from __future__ import annotations

from ganzoo.nn.init import init_normal
from ganzoo.nn.norm import Norm, norm_2d, uses_bias

__all__ = ["Norm", "init_normal", "norm_2d", "uses_bias"]
