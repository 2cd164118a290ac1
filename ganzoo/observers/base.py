"""The base of built-in observers."""

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
