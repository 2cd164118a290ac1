"""Make samples, validations and the final evaluation of a run.

Their errors don't end the training, except when networks have diverged or `checkpoints.best` isn't
a metric.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from ganzoo.data.pipeline import PreparedData, open_data
from ganzoo.engine.run_view import Run
from ganzoo.errors import DataError, DivergedError, GanzooError, RecipeError, error_text
from ganzoo.interfaces import Split
from ganzoo.observers import Observer
from ganzoo.plugin_system.blame import culprit, failed, left_by
from ganzoo.recipe.model import Recipe


class Looks:
    """Make samples and scores of the networks during the training.

    The weights are still valid when a sample grid can't be drawn or a metric fails, so the user is
    warned and the training continues.

    Args:
        this: the run.
        hooks: the hooks of its observers and callbacks.
        samplers: the observers that make samples.
    """

    def __init__(self, this: Run, hooks: Any, samplers: Sequence[Observer]) -> None:
        self.run = this
        self.hooks = hooks
        self.samplers = samplers
        self.metrics: dict[str, float] = {}
        self.data: PreparedData | None = None
        self._said: set[str] = set()
        self._notes: list[str] = []
        """The notes of the last validation."""

    def sample(self) -> None:
        """Let the observers write samples of the networks' present outputs.

        Raises:
            DivergedError: when weights or terms aren't finite.
        """
        self.run.trainer.check_finite()
        for observer in self.samplers:
            try:
                paths = observer.sample(self.run)
            except Exception as error:  # noqa: BLE001  # a plugin's task or data may raise anything
                self._tell("no sample", error)
                continue
            for path in paths:
                self.hooks.ganzoo_saved(run=self.run, path=path, what="sample")

    def validate(self) -> bool:
        """Score the validation split, and return whether the score is the best so far.

        Raises:
            DivergedError: when weights, terms or the networks' outputs aren't finite.
            RecipeError: when `checkpoints.best` isn't one of the metrics. Every process raises
                the errors of the main process.
        """
        trainer = self.run.trainer
        trainer.check_finite()
        better: bool | GanzooError = False
        if trainer.session.main:
            try:
                better = self._score() and self._is_better()
            except GanzooError as error:
                better = error
        better = trainer.session.share(better)
        if isinstance(better, GanzooError):
            raise better
        trainer.best = trainer.session.share(trainer.best)
        return better

    def _score(self) -> bool:
        from ganzoo.inference.score_nets import score_nets

        trainer, recipe = self.run.trainer, self.run.recipe
        self._notes = []
        try:
            if self.data is None:
                self.data = open_data(recipe, "val", stand_in=trainer.data.stand_in)
            self.metrics = score_nets(
                *(recipe, trainer.shown, "val"),
                data=self.data,
                io=trainer.plan.io,
                note=self._warn,
            )
        except DivergedError:
            raise
        except Exception as error:  # noqa: BLE001  # a plugin's metric or data may raise anything
            self._tell("no validation", error)
            return False
        self.hooks.ganzoo_metrics(run=self.run, step=trainer.steps, metrics=self.metrics)
        return True

    def _is_better(self) -> bool:
        trainer, wanted = self.run.trainer, self.run.recipe.checkpoints
        if not wanted.best:
            return False
        if wanted.best not in self.metrics:
            if self._other_notes():  # of a metric without a value, which may have this name
                self._warn(
                    f"checkpoints.best = {wanted.best!r} has no value in this validation, so it "
                    f"can't be the best; its values are: {', '.join(sorted(self.metrics))}"
                )
                return False
            raise RecipeError(
                f"checkpoints.best = {wanted.best!r} is not a metric of the validation",
                hint=f"Its metrics are: {', '.join(sorted(self.metrics))}.",
            )
        value, best = self.metrics[wanted.best], trainer.best
        sign = 1 if wanted.best_is == "highest" else -1
        if not math.isfinite(value):
            return False
        if best is not None and sign * value <= sign * best["value"]:
            return False
        trainer.best = {"step": trainer.steps, "value": value, "metric": wanted.best}
        return True

    def evaluate(self, split: Split) -> GanzooError | None:
        """Score a split of held-out data at the end, and return the error if that fails."""
        if not self.run.trainer.session.main:
            return None
        from ganzoo.inference.evaluate import evaluate_run
        from ganzoo.inference.report import closing, print_report

        self.run.voice.say(f"evaluating the {split} split")
        try:
            report = evaluate_run(self.run.path, split, device=self.run.trainer.session.device.type)
        except GanzooError as error:
            return error
        except SystemExit as left:
            return left_by(left)
        except Exception as error:
            fault = failed(error)
            if fault is None:
                raise
            self.run.voice.note("".join(traceback.format_exception(error)))
            return fault
        self.metrics = {name: value["mean"] for name, value in report["metrics"].items()}
        print_report(report)
        trainer, task = self.run.trainer, self.run.recipe.task
        for sentence in closing(report, task, trainer.data.fields, trainer.plan.io, trainer.images):
            self.run.voice.say(sentence)
        return None

    def _tell(self, what: str, error: Exception) -> None:
        """Warn of a failed sample or validation, once for each reason."""
        if isinstance(error, GanzooError):
            why = str(error)
        else:
            why = ": ".join(filter(None, (culprit(error), error_text(error))))
        if why not in self._said:
            self._said.add(why)
            if not isinstance(error, GanzooError):
                self.run.voice.note("".join(traceback.format_exception(error)))
            step = self.run.trainer.steps
            self.run.voice.warn(f"{what} of step {step:,}; the training continues: {why}")

    def _other_notes(self) -> set[str]:
        """Return the notes that aren't of applications left out: these never have a value."""
        from ganzoo.inference.score_nets import left_out

        if self.data is None:
            return set(self._notes)
        return set(self._notes) - set(
            left_out(self.run.recipe.task, self.run.trainer.shown, self.data.fields)
        )

    def _warn(self, note: str) -> None:
        """Keep what is said of a validation, and pass it on once for each note."""
        self._notes.append(note)
        if note not in self._said:
            self._said.add(note)
            self.run.voice.warn(note)


def watched_splits(recipe: Recipe) -> Iterator[tuple[Split, str]]:
    """Yield the splits besides `train` that a run will open, each with the key that needs it."""
    watch = recipe.watch
    if watch.samples != "never":
        yield "val", "watch.samples"
    if watch.validate_every != "never":
        yield "val", "watch.validate"
    if watch.evaluate != "never":
        yield watch.evaluate, "watch.evaluate"


def open_watched(recipe: Recipe, *, stand_in: bool) -> None:
    """Open the splits that a run will use later, so that a missing one is found before training.

    Args:
        recipe: the run's recipe.
        stand_in: whether the run trains on its fallback data.

    Raises:
        DataError: when a split can't be opened; the hint names the key that needs it.
    """
    opened: set[str] = set()
    for split, key in watched_splits(recipe):
        if split in opened:
            continue
        opened.add(split)
        try:
            open_data(recipe, split, stand_in=stand_in)
        except DataError as error:
            way = f'{key} needs the {split} split; with "never" the run works without it.'
            error.hint = f"{error.hint}\n{way}".strip()
            raise
