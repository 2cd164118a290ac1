"""Training as tasks, losses and callbacks see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

Outcome = Literal["finished", "stopped", "interrupted", "diverged", "failed"]
"""How a run ended."""


@dataclass(frozen=True)
class Clock:
    """How far the training is.

    Args:
        step: the number of optimisation steps that are done.
        images: the number of images that all processes together have seen.
        progress: `images` divided by the number that the recipe plans, which no flag changes.
        epoch: the number of complete passes over the data.
    """

    step: int
    images: int
    progress: float
    epoch: int = 0


class Net(Protocol):
    """A network as a task gets it: on the device, wrapped for several processes, with autocast."""

    @property
    def module(self) -> nn.Module:
        """The network without its wrapper."""
        ...

    def __call__(self, *x: Any, precise: bool = False) -> Any:
        """Call the network in training; `precise` switches autocast off inside."""
        ...

    def frozen(self) -> AbstractContextManager[Callable[..., Any]]:
        """Return a context with the network as a function whose weights get no gradients.

        Gradients pass through it to its inputs.
        """
        ...


class Optimize(Protocol):
    """One optimisation step of one player: a task changes weights in no other way.

    A player that rests (`rest_above`) keeps its weights; a task gives it its turns all the same.
    """

    clock: Clock

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        """Minimise the sum of `terms` over the player's weights, right after its forward pass."""
        ...


class RunView(Protocol):
    """What a callback may read of a run.

    Attributes:
        path: the run directory.
        recipe: the validated recipe (`ganzoo.recipe.Recipe`).
        clock: how far training is.
        nets: the networks by role, without wrappers. Call them inside `ganzoo.data.isolated()`, or
            the rest of the training will differ.
    """

    @property
    def path(self) -> Path: ...
    @property
    def recipe(self) -> Any: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def nets(self) -> Mapping[str, nn.Module]: ...
