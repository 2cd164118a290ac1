"""Options of adaptive discriminator augmentation. Imports no torch, so recipes are checked fast."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from ganzoo.api import Options

Transformation = Literal[
    "x_flip",
    "rotate_90",
    "translate_integer",
    "scale",
    "rotate",
    "stretch",
    "translate",
    "brightness",
    "contrast",
    "luma_flip",
    "hue",
    "saturation",
]
ALL: tuple[Transformation, ...] = get_args(Transformation)
"""Every transformation, in the order in which they are applied (arXiv 2006.06676, appendix B)."""


class ADAOptions(Options):
    """How strongly images are changed, and by what."""

    policy: tuple[Transformation, ...] = Field(
        default=ALL, json_schema_extra={"minItems": 1, "uniqueItems": True}
    )
    """Transformations; they are applied in the order of the paper, whatever the order here.
    Geometry: `x_flip`, `rotate_90`, `translate_integer`, `scale`, `rotate`, `stretch`
    (anisotropic scaling), `translate`. Colour: `brightness`, `contrast`, `luma_flip`, `hue`,
    `saturation`."""
    target: float = Field(default=0.6, ge=-1, le=1)
    """Mean sign of the discriminator's logits for real images; above it the probability rises,
    below it falls (arXiv 2006.06676, section 3.1: 0.6)."""
    speed: int = Field(default=500_000, ge=1)
    """Number of real images in which the probability rises from 0 to 1 (section 3.1)."""
    interval: int = Field(default=4, ge=1)
    """Batches from one change of the probability to the next (section 3.1)."""
    p: float = Field(default=0.0, ge=0, le=1)
    """Probability of each transformation at the beginning of the training (section 3.1)."""
    p_max: float = Field(default=1.0, ge=0, le=1)
    """Largest probability. From about 0.8 on, the generator may imitate transformations (section
    2.2)."""

    @model_validator(mode="after")
    def _fit_together(self) -> ADAOptions:
        if not self.policy:
            message = "policy: name at least one transformation"
            raise ValueError(message)
        if len(set(self.policy)) < len(self.policy):
            message = "policy: name each transformation once"
            raise ValueError(message)
        if self.p > self.p_max:
            message = f"p: at most p_max, which is {self.p_max:g}"
            raise ValueError(message)
        return self
