"""Metrics: scores of generated samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Score:
    """A metric's value: the mean (or one value of a whole set), and the values it is made of."""

    mean: float
    per_image: tuple[float, ...] = ()


class Metric(Protocol):
    """Judges generated images or points against the data.

    Attributes:
        needs: names of the fields it reads from a batch. One that reads `target` is left out where
            that isn't aligned with the source.
        protocol: one sentence that says how the figure is made, printed beside it.

    Optional attributes: `samples: int`, how many it wants of a network that draws its inputs (as
    many as the split has, unless it says); `headline(scores) -> str`, a sentence for the end of a
    run; `better`, of the class: which way each value is better, `{"l1": "lower"}`: `lower`,
    `higher`, or what it should be near, `near 1`.
    """

    needs: frozenset[str]
    protocol: str

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Take a batch in; images are on the 8-bit grid of [-1, 1], on the CPU.

        Args:
            batch: a sample's fields; `source` and `target` are what the network got and should
                have made, whatever the data call them. Of a network that draws its inputs
                (`Task.draw`): what it drew, beside samples of the data that have nothing to do
                with what was generated.
            generated: N x C x H x W, or N x D points.
        """
        ...

    def compute(self) -> Mapping[str, Score]:
        """Values of everything taken in."""
        ...
