"""How far the colours of generated images are from those of their targets, in CIE Lab."""

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
    """Mean distance of the generated image's pixels from the target's in CIE Lab (CIE76).

    0 is equal; 2.3 is about what the eye just tells apart (Mahy et al. 1994, Color Research and
    Application 19, 105); black and white are 100 apart. Lab is that of sRGB under D65. Shifted
    edges and textures count too, so that a blur is favoured, as by every distance pixel by pixel:
    read it beside `gradient_energy`.
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
        """Compare a batch.

        Args:
            batch: `target`, N x 3 x H x W in [-1, 1].
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
        """`colour_error` of all images taken in."""
        each = tuple(self._distances)
        return {"colour_error": Score(sum(each) / len(each), each)}


def _lab(image: Tensor) -> np.ndarray:
    """CIE Lab, H x W x 3, of an image 3 x H x W in [-1, 1] as it is saved in 8 bits."""
    levels = ((image.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    lab: np.ndarray = rgb2lab(levels.permute(1, 2, 0).numpy() / 255)
    return lab
