"""The recipe that a data component proposes for a user's own folder, for `ganzoo init`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, order=True)
class Scale:
    """The size of a training.

    Args:
        size: the side of the networks' square images, in pixels.
        width: the number of channels of the networks' first layer.
    """

    size: int
    width: int

    @property
    def work(self) -> int:
        """Return the relative cost of a step: pixels times the square of the width."""
        return (self.size * self.width) ** 2

    def __str__(self) -> str:
        return f"{self.size} x {self.size}, width {self.width}"


@dataclass(frozen=True)
class Sizing:
    """The scales of a proposed recipe, to adapt it to the user's machine and time.

    Args:
        scales: the possible scales, best first.
        tables: returns the recipe's tables, except `data`, for a scale. They are merged into the
            extended recipe.
        paper: the scale of the published setting.
        paper_tables: the tables of the published setting for the same recipe; they contain
            `train.epochs`.
        paper_name: the name of the published setting, and where it was published.
    """

    scales: Sequence[Scale]
    tables: Callable[[Scale], Mapping[str, Any]]
    paper: Scale
    paper_tables: Mapping[str, Any]
    paper_name: str


@dataclass(frozen=True)
class Proposal:
    """A proposed recipe for a folder: the recipe to extend, and the options of its data table.

    Args:
        extends: the shipped recipe for such data.
        options: the options of the component's data table, including `root`.
        because: the reason, which is what was found in the folder, in one sentence.
        turned: the options that differ for the opposite direction of the pairs; empty where there
            is no opposite direction.
        sizing: the scales among which `ganzoo init` may choose; None: the recipe isn't changed.
    """

    extends: str
    options: Mapping[str, Any]
    because: str
    turned: Mapping[str, Any] = field(default_factory=dict)
    sizing: Sizing | None = None


class Proposes(Protocol):
    """The target of a data component that recognises folders with its kind of data.

    This is optional: `ganzoo init` calls `propose` of every data component whose target has it. A
    target may also have `propose_anyway` with the same signature, for `ganzoo init --use`. It
    returns a recipe for a folder that `propose` may not recognise, or None where the folder can't
    be used.
    """

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """Return a recipe for this folder; None if it has another kind of data."""
        ...
