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
    """Judges generated samples against the data.

    Attributes:
        needs: names of the fields it reads from a batch. One that reads `target` is left out where
            that isn't aligned with the source.
        protocol: one sentence that says how the figure is made, printed beside it.

    Optional attributes: `samples: int`, how many it wants of a network that draws its inputs (as
    many as the split has, unless it says); `headline(scores) -> str`, a sentence for the end of a
    run; `better`, of the class: which way each value is better, `{"l1": "lower"}`: `lower`,
    `higher`, or what it should be near, `near 1`; `prepare(fields, made)`, called once before the
    first `update` with the `Field` of each part of a batch by name (`source` and `target` too,
    where a network has them) and of what is generated. From these a metric knows units, ranges and
    masks, and may set `protocol`. If it raises a `DataError`, the metric is left out, and the
    message says why. A metric without `prepare` is left out where what is generated has a mask.
    """

    needs: frozenset[str]
    protocol: str

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Take a batch in, on the CPU.

        Its values are those that files hold: images of 8 bits are on the 8-bit grid of [-1, 1]. A
        value x of a field with a range is low + (x + 1) / 2 * (high - low) in its unit.

        Args:
            batch: a sample's fields, masks among them; `source` and `target` are what the network
                got and should have made, whatever the data call them. Of a network that draws its
                inputs (`Task.draw`): what it drew, beside samples of the data that have nothing to
                do with what was generated.
            generated: N x C x H x W images, N x D points, or what the field's format says.
        """
        ...

    def compute(self) -> Mapping[str, Score]:
        """Values of everything taken in."""
        ...
