"""The view of a run for observers and callbacks, and the result of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo.data.fingerprint import identity_of
from ganzoo.engine import run_directory
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import ExitCode, GanzooError
from ganzoo.interfaces import Clock, Outcome
from ganzoo.observers import Voice
from ganzoo.recipe.model import Recipe


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Args:
        path: the run directory.
        outcome: how the training ended.
        exit_code: the exit code of the command.
        document: the output of `ganzoo run --json`.
        error: the error of a run that had begun: it diverged or failed, or its final evaluation
            failed.
    """

    path: Path
    outcome: Outcome
    exit_code: ExitCode
    document: Mapping[str, Any]
    error: GanzooError | None = None


class Run:
    """The view of a run for observers and callbacks.

    It has the attributes of `ganzoo.interfaces.RunView`, and more.
    """

    def __init__(self, path: Path, recipe: Recipe, trainer: Trainer, voice: Voice) -> None:
        self.path = path
        self.recipe = recipe
        self.trainer = trainer
        self.voice = voice
        self.status = run_directory.Status(path)
        self.data = identity_of(trainer.data)
        """What the data are, for the status."""
        self.outcome: Outcome | None = None
        self.last_step = 0
        """Step at which this process will stop, if nothing happens."""

    @property
    def clock(self) -> Clock:
        """Return the progress of the training."""
        return self.trainer.clock

    @property
    def nets(self) -> Mapping[str, Any]:
        """Return the raw networks by role."""
        return self.trainer.nets
