"""The base of built-in observers, and which of them a run has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run


class Observer:
    """Run hooks, and two calls that only the engine's own observers get."""

    def partial_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Training stops inside a log window, whose means so far are `logs`."""

    def sample(self, run: Run) -> list[Path]:
        """Write a sample now; returns the files."""
        del run
        return []


def default_observers(run: Run) -> list[object]:
    """Console, metrics.jsonl and samples; TensorBoard if the recipe says so."""
    from ganzoo.observers.console import ConsoleObserver
    from ganzoo.observers.metrics_log import MetricsLog
    from ganzoo.observers.sample_grids import SampleGrids

    observers: list[object] = [MetricsLog(), SampleGrids()]
    if not run.voice.quiet:
        observers.append(ConsoleObserver(run.voice))
    if run.recipe.watch.tensorboard:
        from ganzoo.observers.tensorboard import TensorBoard

        observers.append(TensorBoard(run.path))
    return observers
