"""The default observers of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganzoo.observers.console import ConsoleObserver
from ganzoo.observers.metrics_log import MetricsLog
from ganzoo.observers.sample_grids import SampleGrids

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run


def default_observers(run: Run) -> list[object]:
    """Return the observers for console, metrics.jsonl, samples and, if wanted, TensorBoard."""
    observers: list[object] = [MetricsLog(), SampleGrids()]
    if not run.voice.quiet:
        observers.append(ConsoleObserver(run.voice))
    if run.recipe.watch.tensorboard:
        from ganzoo.observers.tensorboard import TensorBoard  # this imports tensorboard

        observers.append(TensorBoard(run.path))
    return observers
