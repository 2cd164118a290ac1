"""Options of the 2-D mixtures and their metric. Imports no torch."""

from __future__ import annotations

import math

from pydantic import Field, field_validator

from ganzoo.api import Options

Point = tuple[float, ...]


class MixtureOptions(Options):
    """How many points each split has; they are drawn once, from (seed, split) alone."""

    train: int = Field(default=102_400, ge=1)
    """Training points; 102,400 are 200 steps of 512."""
    val: int = Field(default=2_500, ge=1)
    """Points for samples while training."""
    test: int = Field(default=2_500, ge=1)
    """Points for the evaluation."""
    seed: int = Field(default=0, ge=0)
    """Another seed draws other points of the same mixture."""


class RingOptions(MixtureOptions):
    """Equal Gaussians at equal distances on a circle around (0, 0), the first at angle 0."""

    modes: int = Field(default=8, ge=1)
    """Gaussians; mode k lies at the angle 2 pi k / modes."""
    radius: float = Field(default=2.0, gt=0)
    """Radius of the circle."""
    std: float = Field(default=0.02, gt=0)
    """Standard deviation of each Gaussian, in both directions."""

    def centres(self) -> tuple[Point, ...]:
        """Return the means of the Gaussians."""
        angles = [2 * math.pi * k / self.modes for k in range(self.modes)]
        return tuple((self.radius * math.cos(a), self.radius * math.sin(a)) for a in angles)


class GridOptions(MixtureOptions):
    """Equal Gaussians on a square grid around (0, 0)."""

    side: int = Field(default=5, ge=1)
    """Gaussians in each row and each column."""
    spacing: float = Field(default=2.0, gt=0)
    """Distance between neighbours."""
    std: float = Field(default=0.05, gt=0)
    """Standard deviation of each Gaussian, in both directions."""

    def centres(self) -> tuple[Point, ...]:
        """Return the means column by column: (-4, -4), (-4, -2) ... (4, 4) by default."""
        steps = [(k - (self.side - 1) / 2) * self.spacing for k in range(self.side)]
        return tuple((x, y) for x in steps for y in steps)


class ModesOptions(Options):
    """A mixture of equal round Gaussians, and which distance from a mean is near."""

    centres: tuple[Point, ...] = Field(min_length=1)
    """Means of the Gaussians, each a list of D numbers: `[[0, 0], [2, 0]]`."""
    std: float = Field(gt=0)
    """Their standard deviation in each direction."""
    within: float = Field(default=3.0, gt=0)
    """A sample has high quality if it is within this number of standard deviations of a mean
    (Euclidean)."""
    samples: int = Field(default=2_500, ge=1)
    """Samples to draw."""

    @field_validator("centres")
    @classmethod
    def _of_one_dimension(cls, centres: tuple[Point, ...]) -> tuple[Point, ...]:
        lengths = {len(centre) for centre in centres}
        if len(lengths) > 1 or 0 in lengths:
            message = "all centres need as many numbers as points have, one or more"
            raise ValueError(message)
        return centres
