"""All hooks that a plugin may implement: discovery hooks, and hooks of a run.

Discovery hooks are implemented in the plugin's light module, which imports no torch. Hooks of a run
are implemented by components of kind `callback`. The engine registers the object that their target
returns with a plugin manager of this run alone. So an installed plugin that no recipe names changes
no run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from ganzoo.api import Component

if TYPE_CHECKING:
    from ganzoo.interfaces import Outcome, RunView

hookspec = pluggy.HookspecMarker("ganzoo")


class DiscoverySpecs:
    """The hooks of a plugin's module, which are called without an import of torch."""

    @hookspec
    def ganzoo_components(self) -> Iterable[Component]:
        """Components without a decorated function: those that a loop makes, and former names."""
        return ()

    @hookspec
    def ganzoo_recipes(self) -> Iterable[Traversable]:
        """Recipe files (TOML) that the plugin ships."""
        return ()


class RunSpecs:
    """The hooks of a run, called in the main process only.

    None of them may draw from the random generators of the training.
    """

    @hookspec
    def ganzoo_run_started(self, run: RunView) -> None:
        """The run directory stands, networks are built, no step is done (or a resume begins)."""

    @hookspec
    def ganzoo_step_done(self, run: RunView, step: int) -> None:
        """An optimisation step is done. Called every step: must not wait for the device."""

    @hookspec
    def ganzoo_logs(self, run: RunView, step: int, logs: Mapping[str, float]) -> None:
        """A log step: means, since the last one, of each `player/term`."""

    @hookspec
    def ganzoo_epoch_done(self, run: RunView, epoch: int) -> None:
        """`epoch` passes over the data are complete."""

    @hookspec
    def ganzoo_metrics(self, run: RunView, step: int, metrics: Mapping[str, float]) -> None:
        """A validation in the middle of training gave these values."""

    @hookspec
    def ganzoo_saved(self, run: RunView, path: Path, what: str) -> None:
        """A file or folder is complete on disk; `what` is `checkpoint` or `sample`."""

    @hookspec
    def ganzoo_run_done(self, run: RunView, outcome: Outcome) -> None:
        """The run ends: `finished`, `stopped`, `interrupted`, `diverged` or `failed`."""
