"""Write `metrics.jsonl`, with one line for each log step and each validation.

A run that was interrupted and resumed has the same lines as an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.api import hookimpl
from ganzoo.files import naming, replacing, to_json
from ganzoo.observers.base import Observer

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run

FILE = "metrics.jsonl"
DAMAGED = "metrics.damaged"
"""The name of the file to which lines that can't be read are moved unchanged."""


@dataclass
class Lines:
    """The lines of a `metrics.jsonl`.

    Args:
        good: each valid line, unchanged and parsed.
        damaged: the other lines by their number, counted from 1.
    """

    good: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    damaged: dict[int, bytes] = field(default_factory=dict)


def read_lines(run: Path) -> Lines:
    """Read the `metrics.jsonl` of a run directory; an absent file has no lines."""
    lines = Lines()
    file = run / FILE
    content = file.read_bytes() if file.exists() else b""
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        entry = _entry(line)
        if entry is None:
            lines.damaged[number] = line
        else:
            lines.good.append((line, entry))
    return lines


def _entry(line: bytes) -> dict[str, Any] | None:
    """Parse a line; return None if it isn't one that this observer writes."""
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or type(entry.get("step")) is not int:
        return None
    numbers = (entry.get(name, {}) for name in ("losses", "weights", "metrics"))
    return entry if all(isinstance(table, dict) for table in numbers) else None


class MetricsLog(Observer):
    """Append losses (means since the last line), learning rates and metrics to the file."""

    def __init__(self) -> None:
        self.count = 0
        """Lines that a resume from here keeps."""

    @hookimpl
    def ganzoo_run_started(self, run: Run) -> None:
        """Remove the lines of steps after the checkpoint, which will be written again.

        Damaged lines are moved to another file. The user is warned of these and of lost lines.
        """
        if run.clock.step == 0 and not (run.path / FILE).exists():
            return
        lines = read_lines(run.path)
        kept = [
            line + b"\n"
            for line, entry in lines.good
            if entry["step"] <= run.clock.step and not entry.get("partial")
        ]
        if lines.damaged:
            self._put_aside(run, lines.damaged)
        # The status is written first, so that a process that is killed here doesn't leave a status
        # that counts the removed lines.
        self._note_count(run, self._warn_of_lost(run, lines, len(kept)))
        with replacing(run.path / FILE) as temporary:
            temporary.write_bytes(b"".join(kept))

    @staticmethod
    def _put_aside(run: Run, damaged: Mapping[int, bytes]) -> None:
        path = run.path / DAMAGED
        with naming(path), path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in damaged.values()))
        numbers = ", ".join(map(str, list(damaged)[:10])) + (", ..." if len(damaged) > 10 else "")
        run.voice.warn(
            f"{run.path / FILE}: damaged in line {numbers}, which was moved to {DAMAGED}; the "
            "other lines are kept"
        )

    @staticmethod
    def _warn_of_lost(run: Run, lines: Lines, kept: int) -> int:
        """Warn when there are fewer lines than at the last checkpoint, and return `kept`."""
        status = run.status.document
        step = int(str(status.get("checkpoint", "")).removeprefix("step_") or 0)
        had = int(status.get("metrics_lines", 0))
        there = sum(e["step"] <= step and not e.get("partial") for _, e in lines.good)
        if there < had:
            run.voice.warn(
                f"{run.path / FILE}: it had {had} lines up to step {step}, and {had - there} of "
                f"them are missing; the {kept} remaining lines are kept"
            )
        return kept

    def _note_count(self, run: Run, count: int) -> None:
        self.count = count
        run.status.update(metrics_lines=count)

    @hookimpl
    def ganzoo_saved(self, run: Run, what: str) -> None:
        """Store the number of lines that a resume from this checkpoint must find."""
        if what == "checkpoint":
            self._note_count(run, self.count)

    @hookimpl
    def ganzoo_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Append the losses of a log step."""
        self._losses(run, step, logs)

    def partial_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Append the open log window at the end, marked so that a resume removes it again."""
        self._losses(run, step, logs, partial=True)

    @hookimpl
    def ganzoo_metrics(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        """Append the metrics of a validation."""
        self._append(run, {"step": step, "images": run.clock.images, "metrics": dict(metrics)})

    def _losses(self, run: Run, step: int, logs: Mapping[str, float], **more: Any) -> None:
        clock, stepper = run.clock, run.trainer.stepper
        weights = run.trainer.term_weights(logs)
        self._append(
            run,
            {
                "step": step,
                "images": clock.images,
                "epoch": clock.epoch,
                "losses": dict(logs),
                **({"accuracy": dict(stepper.accuracy)} if stepper.accuracy else {}),
                **({"resting": sorted(stepper.rest.resting)} if stepper.rest.bounds else {}),
                **({"weights": weights} if weights else {}),
                "lr": {player: stepper.rate(player) for player in stepper.optimizers},
                **more,
            },
        )

    def _append(self, run: Run, entry: dict[str, Any]) -> None:
        path = run.path / FILE
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(to_json(entry) + "\n")
        self.count += not entry.get("partial")
