"""Metrics: scores of generated samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Score:
    """A value of a metric: the mean over images, or one value of a whole set.

    Args:
        mean: the value.
        per_image: the values of which it is the mean; empty if it isn't one.
    """

    mean: float
    per_image: tuple[float, ...] = ()


class Metric(Protocol):
    """A metric compares generated samples with the data.

    Attributes:
        needs: the names of the fields that it reads from a batch. One that reads `target` is left
            out where that isn't aligned with the source.
        protocol: one sentence that says how the figure is computed, and is printed beside it.

    Optional attributes: `samples: int`, how many it wants of a network that draws its inputs (as
    many as the split has, unless it says); `headline(scores) -> str`, a sentence for the end of a
    run; `better`, of the class: which way each value is better, `{"l1": "lower"}`: `lower`,
    `higher`, or what it should be near, `near 1`; `prepare(fields, made)`, called once before the
    first `update` with the `Field` of each part of a batch by name (`source` and `target` too,
    where a network has them) and of what is generated, whose `dtype` is always stated. From these
    a metric knows units, ranges and masks, and may set `protocol`. Samples without any data are
    left out before. If it raises a `DataError`, the metric is left out, and the
    message says why. A metric without `prepare` is left out where what is generated has a mask.
    """

    needs: frozenset[str]
    protocol: str

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Add a batch; its tensors are on the CPU.

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
        """Return the values of everything that was added.

        An empty mapping means that these samples have no value; a note then says so.
        """
        ...
