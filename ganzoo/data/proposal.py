"""What a data component says of a user's own folder, for `ganzoo init`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, order=True)
class Scale:
    """How large a training is.

    Args:
        size: side of the square images that networks see, in pixels.
        width: channels of the networks' first layer.
    """

    size: int
    width: int

    @property
    def work(self) -> int:
        """What a step costs, next to other scales: pixels times the square of the width."""
        return (self.size * self.width) ** 2

    def __str__(self) -> str:
        return f"{self.size} x {self.size}, width {self.width}"


@dataclass(frozen=True)
class Sizing:
    """How a proposed recipe is made smaller or larger, so that it fits the user's machine and time.

    Args:
        scales: those to choose among, best first.
        tables: the recipe's tables, besides `data`, at any scale; laid over what is extended.
        paper: the scale of the published setting.
        paper_tables: its tables, for the same recipe. `train.epochs` is among them.
        paper_name: what to call it: a name and where it was published.
    """

    scales: Sequence[Scale]
    tables: Callable[[Scale], Mapping[str, Any]]
    paper: Scale
    paper_tables: Mapping[str, Any]
    paper_name: str


@dataclass(frozen=True)
class Proposal:
    """A recipe for a folder: what to extend, and the options of its data table.

    Args:
        extends: the shipped recipe that suits such data.
        options: of the component's data table, `root` included.
        because: what was seen in the folder, in one sentence.
        turned: the options that differ when the pair is read the other way round; empty where
            that means nothing.
        sizing: how `ganzoo init` may change the size of it; None: the recipe is left as it is.
    """

    extends: str
    options: Mapping[str, Any]
    because: str
    turned: Mapping[str, Any] = field(default_factory=dict)
    sizing: Sizing | None = None


class Proposes(Protocol):
    """A data component's target that knows its folders when it sees them.

    Optional: `ganzoo init` asks every data component whose target has `propose`. A target may also
    have `propose_anyway`, of the same signature: what it makes of a folder that `propose` may not
    recognise, for `ganzoo init --use`; None where nothing can be made of it.
    """

    @classmethod
    def propose(cls, folder: Path) -> Proposal | None:
        """A recipe for this folder; None if it isn't the component's kind."""
        ...
