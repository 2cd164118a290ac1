"""Options of penalties. Imports no torch, so that recipes are checked in no time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ganzoo.api import Options, Scalar

Weight = Annotated[Scalar, Field(ge=0)]


class LazyOptions(Options):
    """When a penalty is evaluated."""

    interval: int = Field(default=1, ge=1)
    """Steps from one evaluation to the next. Between them the penalty has no term; where it has
    one, it counts as many times (arXiv 1912.04958, section 3.1: 16)."""


class GPOptions(LazyOptions):
    """The gradient penalty of WGAN-GP."""

    weight: Weight = Scalar.model_validate(10.0)
    """The paper's lambda (arXiv 1704.00028, section 4)."""
    target: float = Field(default=1.0, ge=0)
    """Length of the gradient that costs nothing: 1, the slope of an optimal critic; 0 is the
    zero-centred penalty."""


class R1Options(LazyOptions):
    """The penalty at real samples."""

    gamma: Weight = Scalar.model_validate(10.0)
    """Twice the weight of the mean squared length of the gradient (arXiv 1801.04406, eq. 9)."""


class R2Options(LazyOptions):
    """The penalty at generated samples."""

    gamma: Weight = Scalar.model_validate(10.0)
    """Twice the weight of the mean squared length of the gradient (arXiv 1801.04406, eq. 10)."""
