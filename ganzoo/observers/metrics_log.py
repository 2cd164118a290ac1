"""`metrics.jsonl`: one line a log step; the same lines whether or not the run was interrupted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganzoo.api import hookimpl
from ganzoo.files import naming, write_text
from ganzoo.observers.base import Observer

if TYPE_CHECKING:
    from ganzoo.engine.view import Run

FILE = "metrics.jsonl"


class MetricsLog(Observer):
    """Appends losses (means since the last line), learning rates and metrics."""

    @hookimpl
    def ganzoo_run_started(self, run: Run) -> None:
        """Drop the lines that the checkpoint doesn't know of; they will be written again."""
        file = run.path / FILE
        if not file.exists():
            return
        kept = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a killed process
            if entry["step"] <= run.clock.step and not entry.get("partial"):
                kept.append(line + "\n")
        write_text(file, "".join(kept))

    @hookimpl
    def ganzoo_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """A log step."""
        self._losses(run, step, logs)

    def partial_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """The open window at the end: marked, and dropped again by a resume."""
        self._losses(run, step, logs, partial=True)

    @hookimpl
    def ganzoo_metrics(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        """A validation."""
        self._append(run, {"step": step, "images": run.clock.images, "metrics": dict(metrics)})

    def _losses(self, run: Run, step: int, logs: Mapping[str, float], **more: Any) -> None:
        clock, stepper = run.clock, run.trainer.stepper
        self._append(
            run,
            {
                "step": step,
                "images": clock.images,
                "epoch": clock.epoch,
                "losses": dict(logs),
                "lr": {player: stepper.rate(player) for player in stepper.optimizers},
                **more,
            },
        )

    def _append(self, run: Run, entry: dict[str, Any]) -> None:
        path = run.path / FILE
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
