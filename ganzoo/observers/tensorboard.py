"""Write TensorBoard event files through Accelerate's tracker; TensorBoard is an extra."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from accelerate.tracking import TensorBoardTracker
from accelerate.utils import is_tensorboard_available
from PIL import Image

from ganzoo.api import hookimpl
from ganzoo.errors import EnvironmentFault
from ganzoo.observers.base import Observer

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run


class TensorBoard(Observer):
    """Write losses, learning rates, metrics and sample grids to `RUN/tensorboard`.

    Raises:
        EnvironmentFault: when TensorBoard isn't installed.
    """

    def __init__(self, path: Path) -> None:
        if not is_tensorboard_available():
            raise EnvironmentFault(
                "watch.tensorboard is on, but TensorBoard isn't installed",
                hint="pip install tensorboard, or set watch.tensorboard = false.",
            )
        self.tracker = TensorBoardTracker("tensorboard", logging_dir=str(path))
        self.tracker.start()
        self.shown: int | None = None

    @hookimpl
    def ganzoo_run_started(self, run: Run) -> None:
        """Print the command that shows the event files."""
        folder = shlex.quote(str(run.path / "tensorboard"))
        run.voice.say(f"  to watch: tensorboard --logdir {folder}")

    @hookimpl
    def ganzoo_saved(self, run: Run, path: Path, what: str) -> None:
        """Write a sample grid as an image."""
        step = run.trainer.steps
        if what == "sample" and step != self.shown:  # a run's last sample may come twice
            self.shown = step
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self.tracker.log_images(
                {"samples": pixels[None]}, run.trainer.steps, dataformats="NHWC"
            )

    @hookimpl
    def ganzoo_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Write the losses, unweighted losses, accuracy, resting players and learning rates."""
        stepper = run.trainer.stepper
        accuracy = {f"accuracy/{player}": share for player, share in stepper.accuracy.items()}
        rest = stepper.rest
        rests = {f"resting/{player}": int(player in rest.resting) for player in rest.bounds}
        rates = {f"lr/{player}": stepper.rate(player) for player in stepper.optimizers}
        weights = run.trainer.term_weights(logs)
        plain = {f"plain/{name}": logs[name] / weight for name, weight in weights.items()}
        self.tracker.log({**logs, **plain, **accuracy, **rests, **rates}, step=step)

    @hookimpl
    def ganzoo_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of a validation."""
        self.tracker.log({f"metrics/{name}": value for name, value in metrics.items()}, step=step)

    @hookimpl
    def ganzoo_run_done(self) -> None:
        """Flush and close the event file."""
        self.tracker.finish()
