"""Bricks for networks: initial weights, where they come from, and normalisation layers."""

from __future__ import annotations

from ganzoo.nn.init import init_normal
from ganzoo.nn.initial import weights_follow, weights_follow_now
from ganzoo.nn.norm import Norm, norm_2d, uses_bias

__all__ = ["Norm", "init_normal", "norm_2d", "uses_bias", "weights_follow", "weights_follow_now"]
