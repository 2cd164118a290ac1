"""The metric: the mean absolute error in the unit of the data, within the mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.errors import DataError
from ganzoo.interfaces import Field, Score


class Mae:
    """Mean absolute error of the voxels where the mask isn't 0, in the target's unit.

    `floor_mae` is the error of a volume that is filled with the median of the target within the
    mask: no constant volume has a smaller one.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"target"})
    better: ClassVar[Mapping[str, str]] = {"mae": "lower"}

    def __init__(self, options: object = None) -> None:
        del options  # it has none
        self.errors: list[float] = []
        self.floors: list[float] = []
        self.half = 1.0
        self.mask = ""
        self.protocol = "mean absolute error of the voxels, in units of [-1, 1]"

    def prepare(self, fields: Mapping[str, Field], made: Field) -> None:
        """Learn the width of the range, the unit and the mask.

        Raises:
            DataError: the data state no range, so that no unit is known.
        """
        if made.range is None:
            raise DataError("the target has no range, so there is no unit to compute in")
        del fields  # of the target, `made` says all
        low, high = made.range
        self.half, self.mask = (high - low) / 2, made.mask
        within = "where there are data" if made.mask else "of the whole volume"
        unit = made.unit or "the unit of the data"
        self.protocol = (
            f"mean absolute error of the voxels {within}, in {unit}; "
            "the floor is that of the target's own median everywhere"
        )

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Take in N x C x D x H x W, and N x D x H x W of the mask."""
        for row, (made, target) in enumerate(zip(generated, batch["target"], strict=True)):
            inside = torch.ones_like(target, dtype=torch.bool)
            if self.mask:
                inside = (batch[self.mask][row] != 0).expand_as(target)
            real = target[inside].double()
            error = (made[inside].double() - real).abs().mean()
            self.errors.append(float(error) * self.half)
            self.floors.append(float((real - real.median()).abs().mean()) * self.half)

    def compute(self) -> Mapping[str, Score]:
        """The mean over volumes and each volume's value; nothing when nothing was taken in."""
        if not self.errors:
            return {}
        of = {"mae": self.errors, "floor_mae": self.floors}
        return {name: Score(sum(all_) / len(all_), tuple(all_)) for name, all_ in of.items()}

    def headline(self, scores: Mapping[str, Score]) -> str:
        """Say both figures in a sentence."""
        made, floor = scores["mae"].mean, scores["floor_mae"].mean
        return f"The error is {made:.0f} beside {floor:.0f} of a constant volume."
