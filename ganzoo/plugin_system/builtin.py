"""The components of the core, declared through the same hook as those of plugins."""

from __future__ import annotations

from typing import Any

from ganzoo.api import Target, component


def _options() -> Any:
    from ganzoo.plugin_system import builtin_options  # imports pydantic

    return builtin_options


@component("format")
def image() -> Target:
    """Images of 8 or 16 bits or float32, with any number of channels."""
    from ganzoo.formats.image import ImageFormat

    return ImageFormat


@component("format")
def labels() -> Target:
    """Maps of class indices, with a palette."""
    from ganzoo.formats.labels import LabelsFormat

    return LabelsFormat


@component("format")
def points() -> Target:
    """Points and noise: vectors of float32."""
    from ganzoo.formats.points import PointsFormat

    return PointsFormat


@component("format", name="class")
def class_index() -> Target:
    """One class index for each sample."""
    from ganzoo.formats.classes import ClassFormat

    return ClassFormat


@component("metric")
def l1() -> Target:
    """Mean absolute error: in the unit of a field's range, or on the scale from -1 to 1."""
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


@component("optimizer", lambda: _options().AdamOptions, paper="1412.6980")
def adam() -> Target:
    """Adam; the default of every recipe."""
    from ganzoo.optimizers.torch_optimizers import adam

    return adam


@component("optimizer", lambda: _options().AdamWOptions, paper="1711.05101")
def adamw() -> Target:
    """Adam with decoupled weight decay."""
    from ganzoo.optimizers.torch_optimizers import adamw

    return adamw


@component("optimizer", lambda: _options().SGDOptions)
def sgd() -> Target:
    """Stochastic gradient descent with momentum."""
    from ganzoo.optimizers.torch_optimizers import sgd

    return sgd


@component("optimizer", lambda: _options().RMSpropOptions)
def rmsprop() -> Target:
    """RMSprop with momentum."""
    from ganzoo.optimizers.torch_optimizers import rmsprop

    return rmsprop


@component("schedule", lambda: _options().WarmUp)
def constant() -> Target:
    """The same learning rate in the whole training; the default."""
    from ganzoo.optimizers.schedules import constant

    return constant


@component("schedule", lambda: _options().DecreaseOptions)
def linear() -> Target:
    """The rate decreases linearly towards 0."""
    from ganzoo.optimizers.schedules import linear

    return linear


@component("schedule", lambda: _options().DecreaseOptions)
def cosine() -> Target:
    """The rate decreases towards 0 along a cosine."""
    from ganzoo.optimizers.schedules import cosine

    return cosine


@component("schedule", lambda: _options().StepsOptions, presets={"tiny": {"at": [0.5]}})
def steps() -> Target:
    """The rate is multiplied by a factor at given points."""
    from ganzoo.optimizers.schedules import steps

    return steps
