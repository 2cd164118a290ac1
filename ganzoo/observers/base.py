"""The base class of the built-in observers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run


class Observer:
    """An observer, which has the hooks of a run and two methods that other callbacks lack."""

    def partial_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Handle the means of a log window that is still open when the training stops."""

    def sample(self, run: Run) -> list[Path]:
        """Write a sample of the present networks, and return the files."""
        del run
        return []
