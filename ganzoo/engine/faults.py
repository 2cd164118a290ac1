"""What errors of the system mean for a training: its disk, its loader workers, its memory."""

from __future__ import annotations

from pathlib import Path

from ganzoo.data.loader import lost_worker
from ganzoo.engine import rundir
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import EnvironmentFault
from ganzoo.memory import out_of_memory


def fault_of(error: Exception, path: Path, trainer: Trainer) -> EnvironmentFault | None:
    """What the user can do about an error of a training; None if it is a bug somewhere.

    Args:
        error: what a step, a hook or a file gave rise to.
        path: the run directory.
        trainer: the training that it happened to.
    """
    found = None
    if isinstance(error, OSError):
        found = rundir.fault_of(path, error)
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
