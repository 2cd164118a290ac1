"""Show a run in the terminal as a live progress bar, or as plain lines where there is none."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from ganzoo.api import hookimpl
from ganzoo.interfaces import Outcome
from ganzoo.observers.base import Observer
from ganzoo.observers.user_log import Voice
from ganzoo.run_files import CHECKPOINTS

if TYPE_CHECKING:
    from ganzoo.engine.run_view import Run

_SETTLED = 3
"""The number of first steps that aren't used to measure the speed, because they fill caches and
allocators."""


class ConsoleObserver(Observer):
    """Print what is trained, how fast the training is, and its result."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.bar: Progress | None = None
        self.live: Live | None = None
        self.task = TaskID(0)
        self.first_step = 0
        self.timed_from = 0
        self.began = 0.0
        self.losses = ""
        self.saved: dict[str, Path] = {}

    @hookimpl
    def ganzoo_run_started(self, run: Run) -> None:
        """Print the networks, data, plan, machine and disk space of a run."""
        trainer, recipe, clock = run.trainer, run.recipe, run.clock
        say = self.voice.say
        say(f"{recipe.name} -> {run.path}")
        for role, count in trainer.summary()["parameters"].items():
            say(f"  {role}: {trainer.plan.chosen[role].id}, {count:,} parameters")
        say(f"  data: {trainer.data.chosen.id}, {len(trainer.data):,} training images")
        say(
            f"  plan: {recipe.train.epochs} epochs = {trainer.planned_steps:,} steps of "
            f"{trainer.images_per_step} images; this run goes from step {clock.step:,} to "
            f"{run.last_step:,}"
        )
        for player in sorted(trainer.late.not_begun(clock)):
            when = trainer.late.in_words(player)
            say(f"  the player {player} begins after {when}; until then its terms are absent")
        for player in sorted(trainer.stepper.rest.resting):
            say(f"  the player {player} rests, as it did when the checkpoint was saved")
        made = trainer.session.resolved
        say(
            f"  machine: {made.device}, {made.precision}; processes: {made.ranks}, "
            f"threads: {made.threads}, loader workers: {made.workers}"
        )
        size = trainer.checkpoint_bytes() / 1e6
        kept = recipe.checkpoints.keep + 1 + bool(recipe.checkpoints.best)
        say(f"  disk: up to {size * (kept + 1):,.0f} MB ({kept} checkpoints of {size:,.0f} MB)")
        self.first_step = self.timed_from = clock.step
        self.began = time.monotonic()
        if self.voice.console.is_terminal:
            self.bar = Progress(
                BarColumn(bar_width=24),
                TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
                TextColumn("{task.fields[speed]}"),
            )
            self.task = self.bar.add_task("", total=run.last_step, completed=clock.step, speed="")
            self.live = Live(
                console=self.voice.console, get_renderable=self._picture, refresh_per_second=4
            )
            self.live.start()

    @hookimpl
    def ganzoo_step_done(self, run: Run, step: int) -> None:
        """Update the progress bar; after a few steps, print how long the training will take."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step, speed=self._speed(run, step))
        done = step - self.first_step
        if done == _SETTLED and step < run.last_step:
            self.began, self.timed_from = time.monotonic(), step
        elif done == 2 * _SETTLED:
            each = self._seconds_a_step(step)
            left = self._duration(each * (run.last_step - step))
            whole = self._duration(each * run.trainer.planned_steps)
            self.voice.say(
                f"  time: about {each:.2f} s a step; {left} to step {run.last_step:,}, {whole} for "
                "the whole plan"
            )

    @hookimpl
    def ganzoo_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Show the losses below the progress bar or print them as a line."""
        weights = run.trainer.term_weights(logs)
        self.losses = "  ".join(
            _shown(name, value, weights.get(name)) for name, value in logs.items()
        )
        for player, share in run.trainer.stepper.accuracy.items():
            rests = ", rests" if player in run.trainer.stepper.rest.resting else ""
            self.losses += f"  {player} right {share:.0%}{rests}"
        if self.bar is None:
            self.voice.say(
                f"step {step:,}/{run.last_step:,}  {self._speed(run, step)}  {self.losses}"
            )

    def partial_logs(self, run: Run, step: int, logs: Mapping[str, float]) -> None:
        """Show the last losses of a run that stopped between two log steps."""
        self.ganzoo_logs(run, step, logs)

    @hookimpl
    def ganzoo_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Print the metrics of a validation."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self.voice.say(f"step {step:,}: validation  {shown}")

    @hookimpl
    def ganzoo_saved(self, path: Path, what: str) -> None:
        """Store the path, which is printed at the end."""
        self.saved[what] = path

    @hookimpl
    def ganzoo_run_done(self, run: Run, outcome: Outcome) -> None:
        """Print the outcome and where the run's files are."""
        if self.live is not None:
            self.live.stop()
        clock = run.clock
        self.voice.say(f"{outcome} at step {clock.step:,} ({clock.images:,} images)")
        if "sample" in self.saved:
            self.voice.say(f"  samples: {self.saved['sample']}")
        folder = run.path / CHECKPOINTS / f"step_{clock.step}"
        if folder.exists():
            for role in run.trainer.plan.used:
                stem = f"{role}.ema" if role in run.trainer.ema else role
                self.voice.say(f"  weights: {folder / stem}.safetensors")
        self.voice.say(f"  run: {run.path}")
        if outcome in ("stopped", "interrupted") and not run.trainer.done:
            self.voice.say(f"  to continue: ganzoo run --resume {shlex.quote(str(run.path))}")

    def _picture(self) -> Group:
        """Return the progress bar with the last losses below it, in as many lines as needed."""
        assert self.bar is not None  # the live display exists only with a bar
        return Group(self.bar, Text(self.losses, style="dim", no_wrap=False, overflow="fold"))

    def _seconds_a_step(self, step: int) -> float:
        return (time.monotonic() - self.began) / max(1, step - self.timed_from)

    def _speed(self, run: Run, step: int) -> str:
        each = self._seconds_a_step(step)
        pace = f"{1 / each:.2f} it/s" if each > 0 else ""
        return f"{pace}  eta {self._duration(each * (run.last_step - step))}"

    @staticmethod
    def _duration(seconds: float) -> str:
        return str(timedelta(seconds=round(seconds)))


def _shown(name: str, value: float, weight: float | None) -> str:
    """Return a term's unweighted value and its weight as text: `generator/l1 0.198 (x 100)`."""
    if weight is None:
        return f"{name} {value:.4g}"
    return f"{name} {value / weight:.4g} (x {weight:.4g})"
