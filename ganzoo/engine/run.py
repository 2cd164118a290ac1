"""Run a recipe: train its networks and write a run directory, in one or several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ganzoo.data.pipeline import open_data
from ganzoo.engine import run_directory, run_record
from ganzoo.engine.accelerate_session import Resolved, Session, resolve
from ganzoo.engine.dry_run import try_step
from ganzoo.engine.frozen_parameters import frozen_in_words
from ganzoo.engine.intervals import Limits
from ganzoo.engine.loop import Loop
from ganzoo.engine.ranks import place
from ganzoo.engine.resume import (
    ResumePoint,
    adopt,
    check_same_data,
    check_same_start,
    departures_from_before,
    find_resume_point,
    go_on,
    nothing_left,
)
from ganzoo.engine.run_view import Result, Run
from ganzoo.engine.trainer import Trainer
from ganzoo.engine.validation import open_watched
from ganzoo.errors import RecipeError
from ganzoo.files import write_text
from ganzoo.observers import Voice
from ganzoo.plugin_system.blame import left_by
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.write import to_toml
from ganzoo.run_files import RESOLVED


def run(
    recipe: Recipe | None,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    limits: Limits | None = None,
    voice: Voice | None = None,
    observers: Sequence[object] | None = None,
    overrides: Sequence[str] = (),
) -> Result:
    """Train a recipe; with several processes, each of them calls this function.

    Args:
        recipe: the recipe to train; it may be None with `resume`.
        out: the run directory itself; by default a new one under the recipe's `out`.
        resume: an existing run directory to resume.
        limits: the limits at which to stop before the end of the plan.
        voice: prints messages for the user; by default to stderr.
        observers: the observers of the run; by default console, metrics.jsonl and samples.
        overrides: the values of `--set`, for `provenance.json`; the recipe already contains them.

    Raises:
        GanzooError: when the run can't start. The error of a run that has begun is in its result
            instead.
    """
    limits = limits or Limits()
    rank = place().rank
    voice = voice or Voice(quiet=rank != 0)
    changes: list[str] = []
    point = ResumePoint()
    with ExitStack() as stack, _exits_explained():
        if resume is not None:
            recipe, changes = adopt(resume, recipe)
            # The directory is locked first, since another process may be writing checkpoints.
            stack.enter_context(_claimed(resume, main=rank == 0))
            point = find_resume_point(resume)
            if (done := nothing_left(resume, recipe, point, limits, voice)) is not None:
                return done
        if recipe is None:
            raise RecipeError("nothing to run: give a recipe, or a run to resume")
        resolved = resolve(recipe.train, point.resolved)
        data = open_data(recipe, "train", stand_in=point.stand_in)
        open_watched(recipe, stand_in=data.stand_in)
        notes = [*data.notes, *point.problems]
        if resume is not None:
            notes += check_same_data(resume, data, changes)
        session = Session(resolved, accumulate=recipe.train.accumulate)
        stack.callback(session.close)
        # Networks are built and tried before the run directory is made, so that a recipe that
        # fails there leaves no files behind.
        trainer = Trainer(recipe, data, session, restored=point.folder is not None)
        # Otherwise Python would wait forever at its exit for loader workers, which ignore signals.
        stack.callback(trainer.close)
        notes += trainer.plan.notes
        if resume is None:
            try_step(trainer.built, on_meta=session.device.type != "cpu")
        path = resume or _made(recipe, out, session, stack)
        voice.log_to(path / "log.txt")
        if resume is not None:
            check_same_start(resume, trainer.started)
            notes += departures_from_before(resume, recipe, point, resolved, changes)
        for note in notes:
            voice.warn(note)
        go_on(trainer, point, voice)
        this = Run(path, recipe, trainer, voice)
        earlier = len(run_record.stored_overrides(path))
        if session.main:
            _record(this, resolved, changes, overrides)
        departures = _departures(trainer, overrides, earlier, changes)
        for sentence in (*departures, *_beginning(trainer)):
            voice.say(sentence)
        return Loop(this, limits, observers).execute()


@contextmanager
def _exits_explained() -> Iterator[None]:
    """Replace the exception of a plugin that calls `sys.exit()`, which would end ganzoo.

    Raises:
        PluginError: in place of SystemExit; it names the plugin.
    """
    try:
        yield
    except SystemExit as left:
        raise left_by(left) from left


def _made(recipe: Recipe, out: Path | None, session: Session, stack: ExitStack) -> Path:
    """Make the directory of a new run, lock it until `stack` ends, and write the recipe into it."""
    path = Path(session.share(str(run_directory.reserve(recipe, out)) if session.main else None))
    stack.enter_context(_claimed(path, main=session.main))
    if session.main:
        run_directory.begin(recipe, path)
    return path


@contextmanager
def _claimed(path: Path, *, main: bool) -> Iterator[None]:
    """Lock a run directory for this run, and remove temporary files of killed processes."""
    if not main:
        yield
        return
    with run_directory.claimed(path):
        run_directory.tidy(path)
        yield


def _record(
    this: Run, resolved: Resolved, changes: Sequence[str], overrides: Sequence[str]
) -> None:
    """Record the recipe, settings and changes of this part of the run."""
    with run_directory.writing(this.path):
        if changes:
            write_text(this.path / RESOLVED, to_toml(this.recipe))
        run_record.record(
            this.path,
            this.recipe,
            resolved,
            from_step=this.trainer.steps,
            changes=changes,
            overrides=overrides,
            started={one.role: one.record() for one in this.trainer.started},
        )


def _departures(
    trainer: Trainer, overrides: Sequence[str], earlier: int, changes: Sequence[str]
) -> Iterator[str]:
    """Yield a sentence for each difference from the recipe's file or the run's earlier part.

    The first `earlier` overrides are those of the run's earlier parts.
    """
    for override in overrides[:earlier]:
        yield f"set in an earlier part of this run: {override}"
    for override in overrides[earlier:]:
        yield f"set on the command line: {override}"
    for change in changes:
        yield f"changed for this resume: {change}"
    if any(change.startswith("train.epochs") for change in changes):
        yield _schedule_in_words(trainer)


def _beginning(trainer: Trainer) -> Iterator[str]:
    """Yield what each network starts from, if it isn't its initial weights, and what is frozen."""
    yield from map(str, trainer.started)
    if trainer.recipe.start.freeze:
        yield frozen_in_words(trainer.nets, trainer.recipe)


def _schedule_in_words(trainer: Trainer) -> str:
    rates = ", ".join(f"{p} {trainer.stepper.rate(p):.3g}" for p in trainer.stepper.optimizers)
    return (
        f"the schedule now spans {trainer.recipe.train.epochs} epochs "
        f"({trainer.planned_steps} steps); learning rates from here: {rates}"
    )
