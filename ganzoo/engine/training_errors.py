"""Explain the errors of a training: of its disk, loader workers and memory, and plugins' exits."""

from __future__ import annotations

from pathlib import Path

from ganzoo.data.loader import lost_worker
from ganzoo.engine import run_directory
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import EnvironmentFault, GanzooError
from ganzoo.plugin_system.blame import left_by
from ganzoo.process.memory import out_of_memory


def fault_of(error: Exception | SystemExit, path: Path, trainer: Trainer) -> GanzooError | None:
    """Return an error that tells the user what to do; None if the original error is a bug.

    Args:
        error: the error of a step, a hook or a file.
        path: the run directory.
        trainer: the training in which the error happened.
    """
    if isinstance(error, GanzooError):
        return error
    if isinstance(error, SystemExit):
        return left_by(error)
    found = None
    if isinstance(error, OSError):
        found = run_directory.fault_of(path, error)
    elif isinstance(error, RuntimeError):
        found = lost_worker(error)
    return found or _too_large(error, trainer)


def _too_large(error: Exception, trainer: Trainer) -> EnvironmentFault | None:
    size = trainer.recipe.train.batch_size
    fields = trainer.data.fields.items()
    shapes = ", ".join(f"{name} {' x '.join(map(str, f.shape))}" for name, f in fields)
    return out_of_memory(
        error,
        f"a training step of {size} samples ({shapes})",
        hint=f"Lower train.batch_size, which is {size} (train.accumulate = N makes a step of N "
        "batches), the size of the data, or the networks (width, depth); or set "
        "train.precision = bf16.",
    )
