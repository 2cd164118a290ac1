"""Options of the penalties and of DiffAugment. Imports no torch, so recipes are checked quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganzoo.api import Options, Scalar

Weight = Annotated[Scalar, Field(ge=0)]


class LazyOptions(Options):
    """The steps in which a penalty is evaluated."""

    interval: int = Field(default=1, ge=1)
    """Steps from one evaluation of the penalty to the next. In the steps between, it has no term;
    when it has a term, the term is multiplied by this number (arXiv 1912.04958, section 3.1:
    16)."""


class GPOptions(LazyOptions):
    """Options of the gradient penalty of WGAN-GP."""

    weight: Weight = Scalar(10.0)
    """The paper's lambda (arXiv 1704.00028, section 4)."""
    target: float = Field(default=1.0, ge=0)
    """Norm of the gradient at which the penalty is 0: 1, as for an optimal critic; 0 is the
    zero-centred penalty."""


class R1Options(LazyOptions):
    """Options of the penalty at real samples."""

    gamma: Weight = Scalar(10.0)
    """Twice the weight of the mean squared length of the gradient (arXiv 1801.04406, eq. 9)."""


class R2Options(LazyOptions):
    """Options of the penalty at generated samples."""

    gamma: Weight = Scalar(10.0)
    """Twice the weight of the mean squared length of the gradient (arXiv 1801.04406, eq. 10)."""


Change = Literal["colour", "translation", "cutout"]


class DiffAugmentOptions(Options):
    """How every image that a discriminator gets is changed."""

    policy: tuple[Change, ...] = Field(
        default=("colour", "translation", "cutout"),
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )
    """Changes, in their order. `colour`: brightness, saturation and contrast; `translation`: a
    shift by up to 1/8 of the side; `cutout`: a hole of half the side."""
    p: Annotated[Scalar, Field(ge=0, le=1)] = Scalar(1.0)
    """Probability of each change, drawn separately for each image (the paper: always)."""

    @model_validator(mode="after")
    def _each_once(self) -> DiffAugmentOptions:
        if not self.policy:
            message = "policy: name at least one change"
            raise ValueError(message)
        if len(set(self.policy)) < len(self.policy):
            message = "policy: name each change once"
            raise ValueError(message)
        return self
