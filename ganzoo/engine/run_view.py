"""A run as observers and callbacks see it, and what it came to."""

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
    """What a run came to; `document` is what `ganzoo run --json` prints.

    `error` is what ended a run that had begun (`diverged`, `failed`).
    """

    path: Path
    outcome: Outcome
    exit_code: ExitCode
    document: Mapping[str, Any]
    error: GanzooError | None = None


class Run:
    """A run as observers and callbacks see it (`ganzoo.interfaces.RunView`, and more)."""

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
        """How far training is."""
        return self.trainer.clock

    @property
    def nets(self) -> Mapping[str, Any]:
        """The raw networks by role."""
        return self.trainer.nets
