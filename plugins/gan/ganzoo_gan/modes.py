"""Count the modes of a known mixture of Gaussians that a generator produces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ganzoo.errors import DataError
from ganzoo.interfaces import Score
from ganzoo_gan.points_options import ModesOptions

if TYPE_CHECKING:
    from torch import Tensor


class Modes:
    """Metric: modes captured, and the share of high-quality samples (arXiv 1705.07761, section 4).

    A sample within 3 standard deviations of a mode's mean is of high quality. A mode with at least
    one such sample is captured. Of the data's own points 98.9 % are of high quality:
    1 - exp(-9 / 2).
    """

    needs: frozenset[str] = frozenset()
    better: ClassVar[Mapping[str, str]] = {"modes": "higher", "high_quality": "higher"}

    def __init__(self, options: ModesOptions) -> None:
        self.options = options
        self.samples = options.samples
        self.protocol = (
            f"of {options.samples} samples; of high quality: within {options.within:g} standard "
            f"deviations ({options.std:g}) of one of {len(options.centres)} modes; captured: a "
            "mode with such a sample"
        )
        self._taken = 0
        self._hits = [0] * len(options.centres)

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:  # noqa: ARG002
        """Add N x D points; the batch of the data isn't used.

        Raises:
            DataError: when these aren't points with as many numbers as the centres have.
        """
        import torch

        size = len(self.options.centres[0])
        if generated.ndim != 2 or generated.shape[1] != size:
            given = " x ".join(map(str, generated.shape[1:]))
            raise DataError(
                f"gan/modes judges points of {size} numbers, but these samples are {given}",
                hint="Its `centres` must be points of the space that the generator samples.",
            )
        points = generated.detach().cpu().double()
        centres = torch.tensor(self.options.centres, dtype=torch.float64)
        distances, nearest = torch.cdist(
            points, centres, compute_mode="donot_use_mm_for_euclid_dist"
        ).min(1)
        good = nearest[distances <= self.options.within * self.options.std]
        self._taken += len(points)
        for mode, count in enumerate(torch.bincount(good, minlength=len(centres)).tolist()):
            self._hits[mode] += count

    def compute(self) -> dict[str, Score]:
        """Return `modes`, how many are captured, and `high_quality`, a share of samples."""
        if not self._taken:
            return {}
        captured = sum(hits > 0 for hits in self._hits)
        return {
            "modes": Score(float(captured)),
            "high_quality": Score(sum(self._hits) / self._taken),
        }

    def headline(self, scores: Mapping[str, Score]) -> str:
        """Return a sentence: `8 of 8 modes captured, 97.3 % of 2500 samples within 3 sd of one`."""
        return (
            f"{scores['modes'].mean:.0f} of {len(self._hits)} modes captured, "
            f"{scores['high_quality'].mean:.1%} of {self._taken} samples within "
            f"{self.options.within:g} sd of one"
        ).replace("%", " %")
