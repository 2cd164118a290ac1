"""The observers that a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganzoo.observers.console import ConsoleObserver
from ganzoo.observers.metrics_log import MetricsLog
from ganzoo.observers.sample_grids import SampleGrids

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run


def default_observers(run: Run) -> list[object]:
    """Console, metrics.jsonl and samples; TensorBoard if the recipe says so."""
    observers: list[object] = [MetricsLog(), SampleGrids()]
    if not run.voice.quiet:
        observers.append(ConsoleObserver(run.voice))
    if run.recipe.watch.tensorboard:
        from ganzoo.observers.tensorboard import TensorBoard  # imports all of tensorboard

        observers.append(TensorBoard(run.path))
    return observers
