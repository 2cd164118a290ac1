"""Options of the core's optimizers and schedules; without torch."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ganzoo.api import HasProgress, OptimizerOptions, Options, Scalar

Decay = Annotated[Scalar, Field(ge=0, lt=1)]


class AdamOptions(OptimizerOptions):
    """Adam (arXiv 1412.6980)."""

    betas: tuple[Decay, Decay] = (Scalar(0.5), Scalar(0.999))
    """Decay rates of the averages of the gradient and of its square."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty, which is added to the gradient."""


class AdamWOptions(AdamOptions):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay: the share of a weight, times the rate, that each step takes away."""


class _WithMomentum(OptimizerOptions):
    momentum: Decay = Scalar(0.5)
    """Share of the last step's direction that is added to the gradient."""

    def settings(self, clock: HasProgress) -> dict[str, Any]:
        # Torch has no momentum buffer where momentum is 0, and RMSprop creates one in the first
        # step or never. So a momentum that changes never becomes exactly 0.
        now = self.momentum.at(clock)
        momentum = max(now, sys.float_info.min) if self.momentum.end else now
        return {**super().settings(clock), "momentum": momentum}


class SGDOptions(_WithMomentum):
    """Stochastic gradient descent with momentum."""

    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty, which is added to the gradient."""


class RMSpropOptions(_WithMomentum):
    """RMSprop, with momentum."""

    alpha: Decay = Scalar(0.999)
    """Decay rate of the average of the gradient's square."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty, which is added to the gradient."""


class WarmUp(Options):
    """What all schedules of the core have."""

    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of the planned training in which the rate rises from 0."""


class DecreaseOptions(WarmUp):
    """A decrease of the rate towards 0 at the end of the planned training."""

    hold: float = Field(default=0.0, ge=0, lt=1)
    """Share of the planned training at the full rate, before the rate decreases."""
    every: Literal["epoch", "step"] = "step"
    """`epoch`: the rate is constant within an epoch; with `ganzoo/linear`, epoch e of E (from 1)
    has the factor 1 - max(0, e - hold*E) / (E - hold*E + 1)."""


class StepsOptions(WarmUp):
    """A rate that is multiplied by a factor at some points of the training."""

    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """The points, as shares of the planned training."""
    images: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """The points, as numbers of images seen; in place of `at`."""
    factor: float = Field(default=0.5, gt=0)
    """What the rate is multiplied by at each point."""

    @model_validator(mode="after")
    def _one_list_of_points(self) -> StepsOptions:
        if bool(self.at) == bool(self.images):
            message = "needs the points of its steps: either `at` (shares) or `images`"
            raise ValueError(message)
        return self
