"""A run: from a recipe to a run directory with weights in it, in one or many processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from ganzoo.blame import left_by
from ganzoo.data.pipeline import PreparedData, open_data
from ganzoo.engine import checkpoint, provenance, rundir
from ganzoo.engine.clocks import Limits
from ganzoo.engine.looking import open_watched
from ganzoo.engine.loop import Loop
from ganzoo.engine.rehearsal import rehearse
from ganzoo.engine.session import Resolved, Session, resolve, world_from_environment
from ganzoo.engine.state import restore
from ganzoo.engine.trainer import Trainer
from ganzoo.engine.view import Result, Run, data_identity
from ganzoo.errors import DataError, ExitCode, GanzooError, RecipeError
from ganzoo.files import read_json, write_text
from ganzoo.garbage import unsearched
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.write import to_toml

RESUMABLE = ("train.epochs", "train.cache", "train.workers", "watch.", "out")
"""Keys in which `run RECIPE --resume` may differ from the stored recipe; all but the first change
no bit of the weights."""


def differences(stored: Recipe, wanted: Recipe) -> tuple[list[str], list[str]]:
    """What `wanted` changes: (allowed in a resume, not allowed), as `key: old -> new`."""
    old, new = rundir.flatten(stored.document), rundir.flatten(wanted.document)
    allowed: list[str] = []
    refused: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            text = f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
            (allowed if key.startswith(RESUMABLE) else refused).append(text)
    return allowed, refused


def stored_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a run directory.

    Raises:
        RecipeError: where it can't be used any more; with the plugins that are no more as they
            were, if that is why.
    """
    try:
        return load_recipe(path / rundir.RESOLVED, overrides)
    except GanzooError as error:
        changed = provenance.changed_plugins(path)
        if error.exit_code == ExitCode.PLUGIN and changed:
            made_with = ", ".join(one.partition(" -> ")[0] for one in changed)
            error.hint = f"{error.hint}\nThe run was made with {made_with}.".strip()
        raise


def adopt(path: Path, wanted: Recipe | None) -> tuple[Recipe, list[str]]:
    """The recipe to go on with: the stored one, with the changes that a resume lets in.

    Raises:
        RecipeError: listing every other difference.
    """
    stored = stored_recipe(path)
    if wanted is None:
        return stored, []
    allowed, refused = differences(stored, wanted)
    if refused:
        raise RecipeError(
            "the recipe isn't the one that this run began with",
            where=str(path),
            hint="\n".join(
                [
                    *refused,
                    "A resume may change train.epochs, train.cache, train.workers, [watch], out.",
                    "For another change start a new run.",
                ]
            ),
        )
    return wanted, allowed


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
    """Train as a recipe says; called in every process when there are several.

    Args:
        recipe: what to train; may be None with `resume`.
        out: the run directory itself; by default a new one under the recipe's `out`.
        resume: an existing run directory to go on with.
        limits: where to stop short of the plan.
        voice: where sentences for the user go; stderr by default.
        observers: hooks on the run; console, metrics.jsonl, samples by default.
        overrides: the `--set`s that are in the recipe already, for the record.

    Raises:
        GanzooError: whatever keeps the run from starting. What happens to a run that has begun is
            in its result instead.
    """
    with ExitStack() as stack:
        try:
            with unsearched():
                loop = _begin(
                    recipe,
                    stack,
                    out=out,
                    resume=resume,
                    limits=limits or Limits(),
                    voice=voice,
                    observers=observers,
                    overrides=overrides,
                )
        except SystemExit as left:
            raise left_by(left) from left
        return loop.execute()


def _begin(
    recipe: Recipe | None,
    stack: ExitStack,
    *,
    out: Path | None,
    resume: Path | None,
    limits: Limits,
    voice: Voice | None,
    observers: Sequence[object] | None,
    overrides: Sequence[str],
) -> Loop:
    """All that comes before the first step; `stack` ends what the run holds, when it is done."""
    rank, _ = world_from_environment()
    voice = voice or Voice(quiet=rank != 0)
    changes: list[str] = []
    if resume is not None:
        recipe, changes = adopt(resume, recipe)
    if recipe is None:
        raise RecipeError("nothing to run: name a recipe, or a run to resume")
    stored = provenance.stored_resolved(resume) if resume is not None else None
    resolved = resolve(recipe.train, stored)
    data = open_data(recipe, "train", stand_in=_settled(resume))
    open_watched(recipe, stand_in=data.stand_in)
    session = Session(resolved, accumulate=recipe.train.accumulate)
    stack.callback(session.close)
    folder: Path | None = None
    problems: list[str] = []
    if resume is not None:
        _same_data(resume, data)
        # Before looking for checkpoints, which another process may be writing.
        stack.enter_context(_claimed(resume, session))
        folder, problems = checkpoint.newest_good(resume / "checkpoints")
    # Before there is a directory: what can't be built, or make a step, leaves nothing behind.
    trainer = Trainer(recipe, data, session, restored=folder is not None)
    # Before Python ends: it would wait for loader workers, which heed no signal, for ever.
    stack.callback(trainer.close)
    if resume is None:
        on_cpu = session.device.type == "cpu"
        rehearse(recipe, trainer.plan, trainer.nets if on_cpu else None, session.dtype)
    path = resume
    if path is None:
        path = Path(session.share(str(rundir.create(recipe, out)) if session.main else None))
        stack.enter_context(_claimed(path, session))
    voice.log_to(path / "log.txt")
    footing = _footing(resume, recipe, resolved, stored, changes)
    for note in [*data.notes, *footing, *problems]:
        voice.warn(note)
    if folder is not None:
        _go_on(trainer, folder, voice)
    this = Run(path, recipe, trainer, voice)
    if session.main:
        with rundir.writing(path):
            if changes:
                write_text(path / rundir.RESOLVED, to_toml(recipe))
            provenance.record(
                path,
                recipe,
                resolved,
                from_step=trainer.steps,
                changes=changes,
                overrides=overrides,
            )
    for sentence in _departures(trainer, overrides, changes):
        voice.say(sentence)
    return Loop(this, limits, observers)


def _claimed(path: Path, session: Session) -> AbstractContextManager[None]:
    return rundir.claimed(path) if session.main else nullcontext()


def _footing(
    resume: Path | None,
    recipe: Recipe,
    resolved: Resolved,
    stored: Resolved | None,
    changes: Sequence[str],
) -> list[str]:
    """What makes a resume inexact, in words."""
    notes = []
    if stored is not None and (other := stored.differences(resolved)):
        notes.append(f"resuming on another footing: {', '.join(other)}")
    if resume is not None and (changed := provenance.changed_plugins(resume)):
        notes.append(f"resuming with other plugins: {', '.join(changed)}")
    if resume is not None and not changes and provenance.edited(resume, recipe):
        notes.append(
            f"{rundir.RESOLVED} isn't what the last part of this run used (edited, or read by "
            "another version): what follows isn't bit for bit what it would have been"
        )
    return notes


def _same_data(path: Path, data: PreparedData) -> None:
    """Refuse to go on with other data than the run began with.

    Raises:
        DataError: when a stand-in would follow the real data, or the other way round.
    """
    before = read_json(path / "status.json").get("data")
    if before is None:
        return
    now = data_identity(data)
    if any(before[key] != value for key, value in now.items()):
        raise DataError(
            f"the run began with {before['length']} images of {before['use']}, and now there are "
            f"{now['length']} of {now['use']}",
            where=str(path),
            hint="Make its data available again (data.root, GANZOO_DATA), or start a new run.",
        )


def _settled(path: Path | None) -> bool | None:
    """Whether a run already trains on its stand-in; None for a new run."""
    data = read_json(path / "status.json").get("data") if path is not None else None
    return bool(data["stand_in"]) if data else None


def _departures(
    trainer: Trainer, overrides: Sequence[str], changes: Sequence[str]
) -> Iterator[str]:
    """What isn't as the recipe's file, or an earlier part of the run, has it."""
    for override in overrides:
        yield f"set on the command line: {override}"
    for change in changes:
        yield f"changed for this resume: {change}"
    if any(change.startswith("train.epochs") for change in changes):
        yield _schedule_in_words(trainer)


def _schedule_in_words(trainer: Trainer) -> str:
    rates = ", ".join(f"{p} {trainer.stepper.rate(p):.3g}" for p in trainer.stepper.optimizers)
    return (
        f"the schedule now spans {trainer.recipe.train.epochs} epochs "
        f"({trainer.planned_steps} steps); learning rates from here: {rates}"
    )


def _go_on(trainer: Trainer, folder: Path, voice: Voice) -> None:
    """Load a checkpoint."""
    for note in restore(trainer, checkpoint.load(folder)):
        voice.warn(note)
    trainer.stepper.clock = trainer.clock
    voice.say(f"going on from {folder}")
