"""Parts of networks: convolutions, classes, label maps, initial weights, norms, resampling."""

from __future__ import annotations

from ganzoo.nn.classes import class_indices, project_classes
from ganzoo.nn.conv import Conv2d, ConvTranspose2d, ways
from ganzoo.nn.init import init_normal, weights_follow, weights_follow_now
from ganzoo.nn.maps import fill_no_data, one_hot
from ganzoo.nn.norm import Norm, norm_2d, uses_bias
from ganzoo.nn.resample import Double, Halve

__all__ = [
    "Conv2d",
    "ConvTranspose2d",
    "Double",
    "Halve",
    "Norm",
    "class_indices",
    "fill_no_data",
    "init_normal",
    "norm_2d",
    "one_hot",
    "project_classes",
    "uses_bias",
    "ways",
    "weights_follow",
    "weights_follow_now",
]
