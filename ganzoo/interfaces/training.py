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
    """How far training is.

    Args:
        step: optimisation steps done.
        images: images seen by all processes together.
        progress: images / images that the recipe plans; no flag changes it.
        epoch: complete passes over the data.
    """

    step: int
    images: int
    progress: float
    epoch: int = 0


class Net(Protocol):
    """A network as a task gets it: moved, wrapped for several processes, under autocast."""

    @property
    def module(self) -> nn.Module:
        """The raw network."""
        ...

    def __call__(self, *x: Any, precise: bool = False) -> Any:
        """Training call; `precise` switches autocast off inside."""
        ...

    def frozen(self) -> AbstractContextManager[Callable[..., Any]]:
        """The network without its wrapper: gradients pass through it and never into its weights."""
        ...


class Optimize(Protocol):
    """backward, unscale, clip, step, zero for one player: a task's only way to an optimizer."""

    clock: Clock

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        """Minimise the sum of `terms` over the player's weights; directly follows its forward."""
        ...


class RunView(Protocol):
    """What a callback sees of a run; read only.

    Attributes:
        path: the run directory.
        recipe: the validated recipe (`ganzoo.recipe.Recipe`).
        clock: how far training is.
        nets: the raw networks by role; call them inside `ganzoo.data.isolated()`, or the training
            that follows is another.
    """

    @property
    def path(self) -> Path: ...
    @property
    def recipe(self) -> Any: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def nets(self) -> Mapping[str, nn.Module]: ...
