"""The training loop, which makes steps, calls hooks, and handles every way in which a run ends."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pluggy

from ganzoo.data.pipeline import PreparedData
from ganzoo.engine import checkpoint, run_directory, run_record
from ganzoo.engine.intervals import Limits, Ticker
from ganzoo.engine.run_view import Result, Run
from ganzoo.engine.snapshot import capture
from ganzoo.engine.training_errors import fault_of
from ganzoo.engine.validation import Looks
from ganzoo.errors import (
    DivergedError,
    EnvironmentFault,
    ExitCode,
    GanzooError,
    PluginError,
    error_text,
)
from ganzoo.interfaces import Outcome
from ganzoo.observers import Observer
from ganzoo.observers.defaults import default_observers
from ganzoo.plugin_system import hookspecs
from ganzoo.plugin_system.blame import where_main_is
from ganzoo.process.signals import StopFlag, stop_on_signals
from ganzoo.run_files import CHECKPOINTS


class Loop:
    """Train one run: make the steps, act at the recipe's intervals, and handle the end."""

    def __init__(self, this: Run, limits: Limits, observers: Sequence[object] | None) -> None:
        self.run = this
        self.trainer = this.trainer
        self.session = this.trainer.session
        self.limits = limits
        self.voice = this.voice
        recipe = this.recipe
        self.data: PreparedData = this.trainer.data
        length = len(self.data)
        self.log_clock = Ticker(recipe.watch.log, length)
        self.sample_clock = Ticker(recipe.watch.samples, length)
        self.validate_clock = Ticker(recipe.watch.validate_every, length)
        self.save_clock = Ticker(recipe.checkpoints.every, length)
        self.began = time.monotonic()
        self.seconds_before = self.trainer.seconds
        self.first_images = self.trainer.images
        self.first_step = self.trainer.steps
        # A resumed run starts at its checkpoint; newer checkpoints, if any, are damaged.
        self.saved_step: int | None = self.trainer.steps or None
        self._unsaved_step: int | None = None
        self.hooks = pluggy.PluginManager("ganzoo")
        self.hooks.add_hookspecs(hookspecs.RunSpecs)
        self.samplers: list[Observer] = []
        if self.session.main:
            self._register(observers)
        self.looks = Looks(this, self.hooks.hook, self.samplers)

    def _register(self, observers: Sequence[object] | None) -> None:
        mine = default_observers(self.run) if observers is None else list(observers)
        callbacks = [(chosen.id, chosen.build()) for chosen in self.run.recipe.callbacks]
        mine += [callback for _, callback in callbacks]
        try:
            for observer in mine:
                self.hooks.register(observer)
                if isinstance(observer, Observer):
                    self.samplers.append(observer)
            self.hooks.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(
                f"the hooks of {type(error.plugin).__qualname__} can't be called: {error}",
                hint="The hooks of a run and their arguments are in "
                "`ganzoo.plugin_system.hookspecs.RunSpecs`.",
            ) from error
        for name, callback in callbacks:
            if not self.hooks.get_hookcallers(callback):
                raise PluginError(
                    f"{name} builds a {type(callback).__name__} that has no hook of a run",
                    hint="Its methods must be named ganzoo_* and marked with `hookimpl`.",
                )

    def execute(self) -> Result:
        """Train until the end of the plan, a limit, a signal or an error."""
        trainer, recipe = self.trainer, self.run.recipe
        left = max(0, trainer.planned_images - trainer.images)
        # planned_steps isn't used here, because a resume with another number of processes needs
        # another number of steps.
        end = trainer.steps - (-left // trainer.images_per_step)
        self.run.last_step = min(end, self.limits.steps or end)
        self._check_disk()
        with run_directory.writing(self.run.path):
            self._status("running", pid=os.getpid())
        outcome: Outcome = "failed"
        error: GanzooError | None = None
        try:
            with stop_on_signals(self.voice.say, where_main_is) as stop:
                self.hooks.hook.ganzoo_run_started(run=self.run)
                signalled = self._steps(stop)
                ended: Outcome = "finished" if trainer.done else "stopped"
                ended = "interrupted" if signalled else ended
                self._finish(ended)
                outcome = ended
        except DivergedError as fault:
            outcome, error = "diverged", self._last_good(fault)
        except (Exception, SystemExit) as fault:
            self._rescue()
            error = fault_of(fault, self.run.path, trainer)
            if error is None:
                self._end(outcome)
                raise
        except BaseException:
            self._end(outcome)
            raise
        self._end(outcome)
        code = ExitCode.INTERRUPTED if outcome == "interrupted" else ExitCode.DONE
        if error is not None:
            code = error.exit_code
        elif recipe.watch.evaluate != "never" and outcome == "finished":
            error = self.looks.evaluate(recipe.watch.evaluate)
            if error is not None:  # the training is nevertheless complete and saved
                code = error.exit_code
        if error is not None:
            self.voice.note(f"error: {error}")
        return Result(self.run.path, outcome, code, self._document(outcome), error)

    def _steps(self, stop: StopFlag) -> bool:
        """Make steps until the run has to stop; return whether a signal stopped it."""
        trainer = self.trainer
        by_time = [c for c in self._clocks() if c.by_time]
        while not trainer.done and trainer.steps < self.run.last_step:
            epoch, before = trainer.clock.epoch, trainer.images
            not_begun = trainer.stepper.not_begun
            trainer.step()
            for player in sorted(not_begun - trainer.stepper.not_begun):
                self.voice.say(f"step {trainer.steps:,}: the player {player} begins")
            if self.session.main and trainer.steps == self.first_step + 1:
                run_record.note_fast_paths(self.run.path, trainer.fast_paths())
            step, after = trainer.steps, trainer.images
            agree = self._agree_now(step)
            now = self._due(step, before, after, agree=agree)
            trainer.seconds = self.seconds_before + time.monotonic() - self.began
            limit = self.limits.seconds
            out_of_time = agree and limit is not None and trainer.seconds >= limit
            stopping = agree and bool(stop)
            if agree and self.session.world > 1:
                stopping = self.session.any(stopping)
                if limit is not None:
                    out_of_time = self.session.share(out_of_time)
                for clock in by_time:
                    now[clock] = self.session.share(now[clock])
            self._act(now)
            self.hooks.hook.ganzoo_step_done(run=self.run, step=step)
            if trainer.clock.epoch != epoch:
                self.hooks.hook.ganzoo_epoch_done(run=self.run, epoch=trainer.clock.epoch)
            if stopping:
                return True
            if out_of_time:
                break
        return False

    def _agree_now(self, step: int) -> bool:
        # On an accelerator this communication waits for the device, so it isn't done in each step.
        alone = self.session.world == 1
        return alone or self.session.device.type == "cpu" or step % 10 == 0

    def _due(self, step: int, before: int, after: int, *, agree: bool) -> dict[Ticker, bool]:
        # An interval in minutes restarts when `due` returns True. So `due` is called only in steps
        # in which the processes use its result.
        return {
            clock: (agree or not clock.by_time) and clock.due(step, before, after)
            for clock in self._clocks()
        }

    def _clocks(self) -> list[Ticker]:
        return [self.log_clock, self.sample_clock, self.validate_clock, self.save_clock]

    def _act(self, now: Mapping[Ticker, bool]) -> None:
        if now[self.log_clock]:
            self._log(partial=False)
        if now[self.sample_clock]:
            self.looks.sample()
        better = now[self.validate_clock] and self.looks.validate()
        if now[self.save_clock] or better:
            self._save()

    def _log(self, *, partial: bool) -> None:
        stepper, step = self.trainer.stepper, self.trainer.steps
        before = stepper.rest.resting
        logs = stepper.logs(keep=partial)
        if not logs:
            return
        for player in sorted(before ^ stepper.rest.resting):
            does = "rests" if player in stepper.rest.resting else "no longer rests"
            self.voice.say(
                f"step {step:,}: the player {player} {does}: it was right in "
                f"{stepper.accuracy[player]:.1%} (rest_above is {stepper.rest.bounds[player]:.1%})"
            )
        if partial:
            for observer in self.samplers:
                observer.partial_logs(self.run, step, logs)
        else:
            self.hooks.hook.ganzoo_logs(run=self.run, step=step, logs=logs)
            self._status("running")

    def _save(self) -> None:
        trainer = self.trainer
        if self.saved_step == trainer.steps:
            return
        self._unsaved_step = trainer.steps
        trainer.check_finite()
        state = capture(trainer)
        if self.session.main:
            best = trainer.best["step"] if trainer.best else None
            root = self.run.path / CHECKPOINTS
            path = checkpoint.save(root, state, keep=self.run.recipe.checkpoints.keep, best=best)
            self.saved_step = trainer.steps
            self._status("running", checkpoint=path.name)
            self.hooks.hook.ganzoo_saved(run=self.run, path=path, what="checkpoint")
        self.saved_step = trainer.steps

    def _rescue(self) -> None:
        """Save the weights when an error ends the training.

        The weights are still valid when, for example, a data file can't be read. Nothing is saved
        with several processes: the others don't know of the error, and saving needs all of them.
        """
        trainer = self.trainer
        done = trainer.steps in (0, self.saved_step, self._unsaved_step)
        if done or self.session.world > 1 or not self.run.path.is_dir():
            return
        try:
            self._save()
        except Exception as error:  # noqa: BLE001  # the first error is the one to report
            self.voice.warn(f"no checkpoint of step {trainer.steps:,}: {error_text(error)}")
            return
        self.voice.say(f"saved a checkpoint before the exit: step {trainer.steps:,}")
        if not trainer.between_steps:
            self.voice.warn(
                f"step {trainer.steps + 1:,} had begun: after a resume, the results aren't bit "
                "for bit those of an uninterrupted run"
            )

    def _finish(self, outcome: Outcome) -> None:
        """Write logs, a checkpoint and samples when training stops without an error."""
        self._log(partial=True)
        if self.trainer.steps:
            self._save()  # before the sample, whose failure must not lose the weights
        if self.trainer.done:
            self.trainer.check_turns()
        if outcome != "interrupted" and self.trainer.steps:
            self.looks.sample()

    def _end(self, outcome: Outcome) -> None:
        self.run.outcome = outcome
        try:
            self._status(outcome)
        except OSError as error:
            self.voice.warn(f"status.json can't be written: {error.strerror}")
        self.hooks.hook.ganzoo_run_done(run=self.run, outcome=outcome)

    def _last_good(self, fault: DivergedError) -> DivergedError:
        good = f"step_{self.saved_step}" if self.saved_step else "none was written yet"
        fault.hint += f"\nLast good checkpoint: {good} in {self.run.path / 'checkpoints'}."
        return fault

    def _check_disk(self) -> None:
        needed = int(self.trainer.checkpoint_bytes() * 1.1)
        free = shutil.disk_usage(self.run.path).free
        if self.session.main and free < needed:
            raise EnvironmentFault(
                f"a checkpoint takes {needed:,} bytes, and {free:,} bytes are free",
                where=str(self.run.path),
                hint="Free some space, or put the run elsewhere with --out.",
            )

    def _status(self, state: str, **more: Any) -> None:
        if not self.session.main:
            return
        clock = self.trainer.clock
        self.run.status.update(
            state=state,
            step=clock.step,
            images=clock.images,
            complete=self.trainer.done,
            data={**self.run.data, "notes": list(self.data.notes)},
            **self.trainer.summary(),
            **more,
        )

    def _document(self, outcome: Outcome) -> dict[str, Any]:
        trainer = self.trainer
        seconds = max(time.monotonic() - self.began, 1e-9)
        weights = {}
        if self.saved_step:
            folder = self.run.path / CHECKPOINTS / f"step_{self.saved_step}"
            for role in trainer.plan.chosen:
                stem = f"{role}.ema" if role in trainer.ema else role
                weights[role] = str(folder / f"{stem}.safetensors")
        return {
            "run": str(self.run.path),
            "outcome": outcome,
            "step": trainer.steps,
            "images": trainer.images,
            "images_per_second": round((trainer.images - self.first_images) / seconds, 4),
            "data": {"use": self.data.chosen.id, "stand_in": self.data.stand_in},
            "weights": weights,
            "metrics": self.looks.metrics,
        }
