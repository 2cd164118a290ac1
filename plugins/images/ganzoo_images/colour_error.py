"""Measure how far the colours of generated images are from those of their targets, in CIE Lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from skimage.color import rgb2lab
from torch import Tensor

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Score


class ColourError:
    """Metric: the mean distance of generated pixels from the target's pixels in CIE Lab (CIE76).

    A value of 0 means that the images are equal. A difference of about 2.3 is just noticeable (Mahy
    et al. 1994, Color Research and Application 19, 105), and black and white are 100 apart. Lab
    values are computed from sRGB under the illuminant D65. The metric compares images pixel by
    pixel. Shifted edges and textures therefore count as errors, and a blurred image is favoured.
    Read it together with `gradient_energy`.
    """

    needs = frozenset({"target"})
    better: ClassVar[Mapping[str, str]] = {"colour_error": "lower"}
    protocol = (
        "mean over pixels of the Euclidean distance in CIE Lab (CIE76, sRGB under D65; "
        "scikit-image rgb2lab) of the generated image from its target, both rounded to 8 bits; "
        "mean over images"
    )

    def __init__(self, options: Options) -> None:
        self.options = options
        self._distances: list[float] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add the images of a batch.

        Args:
            batch: has `target`, N x 3 x H x W in [-1, 1].
            generated: N x 3 x H x W in [-1, 1].

        Raises:
            DataError: when the images aren't RGB, or differ in shape.
        """
        target = batch["target"]
        if target.ndim != 4 or target.shape[1] != 3 or generated.shape != target.shape:
            raise DataError(
                f"colour error needs RGB images, got targets {tuple(target.shape)} and generated "
                f"ones {tuple(generated.shape)}",
                hint="Leave images/colour_error out of [[metric]] for this data.",
            )
        for ours, theirs in zip(generated, target, strict=True):
            apart = np.linalg.norm(_lab(ours) - _lab(theirs), axis=2)
            self._distances.append(float(apart.mean()))

    def compute(self) -> dict[str, Score]:
        """Return `colour_error` over all images that were added."""
        each = tuple(self._distances)
        return {"colour_error": Score(sum(each) / len(each), each)}


def _lab(image: Tensor) -> np.ndarray:
    """Return the CIE Lab values, H x W x 3, of an image 3 x H x W in [-1, 1], rounded to 8 bits."""
    levels = ((image.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    lab: np.ndarray = rgb2lab(levels.permute(1, 2, 0).numpy() / 255)
    return lab
