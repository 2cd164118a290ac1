"""Resume a run directory: determine its recipe, check its data, and load its checkpoint."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganzoo.data.fingerprint import difference, identity_of
from ganzoo.data.pipeline import PreparedData
from ganzoo.engine import checkpoint, run_record
from ganzoo.engine.accelerate_session import Resolved
from ganzoo.engine.intervals import Limits, in_words
from ganzoo.engine.run_view import Result
from ganzoo.engine.snapshot import restore
from ganzoo.engine.starting_weights import Started
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import DataError, ExitCode, GanzooError, RecipeError
from ganzoo.interfaces import Outcome
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.relative_paths import recipe_file_of
from ganzoo.recipe.resolved import document_of, flatten
from ganzoo.run_files import CHECKPOINTS, RESOLVED, read_status

RESUMABLE = ("train.epochs", "train.cache", "train.workers", "data.root", "watch.", "out")
"""The keys in which the recipe of `run RECIPE --resume` may differ from the stored recipe. All keys
but the first change no bit of the weights. Another `data.root` must contain the same data. Where a
player has `rest_above`, `watch.log` can't differ, because it decides when the player rests."""


def differences(stored: Recipe, wanted: Recipe) -> tuple[list[str], list[str]]:
    """Return the changes from `stored` to `wanted` as `key: old -> new`.

    The first list contains the changes that a resume allows, the second one all others.
    """
    old, new = flatten(stored.document), flatten(wanted.document)
    allowed: list[str] = []
    refused: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            text = f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
            decides = key == "watch.log" and _rests(stored)
            (allowed if key.startswith(RESUMABLE) and not decides else refused).append(text)
    return allowed, refused


def _rests(recipe: Recipe) -> bool:
    return any(player.keys.rest_above is not None for player in recipe.players.values())


def _with_stored_sources(stored: Recipe, wanted: Recipe) -> Recipe:
    """Return the wanted recipe with the stored sources of `[start]`, for roles that both have.

    A resume doesn't read these weights. They may be gone, and then a relative path isn't found
    beside the recipe; or the recipe's folder was moved. So the two paths differ although the recipe
    is the same. But a path that `--set` gives must be the stored one, since it would be ignored.
    """
    sources = {
        role: source
        for role, source in stored.start.sources.items()
        if role in wanted.start.sources and recipe_file_of(wanted, ("start", role)) is not None
    }
    if not sources:
        return wanted
    changed = replace(wanted, start=wanted.start.model_copy(update=sources))
    return replace(changed, document=document_of(changed))


def stored_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a run directory.

    Raises:
        GanzooError: when it can't be used any more. Where a plugin is the cause, the hint names
            the plugins that have changed since the run.
    """
    try:
        return load_recipe(path / RESOLVED, overrides)
    except GanzooError as error:
        changed = run_record.changed_plugins(path)
        if error.exit_code == ExitCode.PLUGIN and changed:
            made_with = ", ".join(one.partition(" -> ")[0] for one in changed)
            error.hint = f"{error.hint}\nThe run was made with {made_with}.".strip()
        raise


def adopt(path: Path, wanted: Recipe | None) -> tuple[Recipe, list[str]]:
    """Return the recipe to resume with, and its changes from the stored one.

    Raises:
        RecipeError: when `wanted` has changes that a resume doesn't allow; the error lists them.
    """
    stored = stored_recipe(path)
    if wanted is None:
        return stored, []
    wanted = _with_stored_sources(stored, wanted)
    allowed, refused = differences(stored, wanted)
    rests = any(change.startswith("watch.log:") for change in refused)
    if refused:
        raise RecipeError(
            "the recipe isn't the one that this run began with",
            where=str(path),
            hint="\n".join(
                [
                    *refused,
                    "A resume may change train.epochs, train.cache, train.workers, data.root,",
                    "[watch] and out. For another change start a new run.",
                    *(["watch.log decides when a player rests (rest_above)."] if rests else []),
                ]
            ),
        )
    return wanted, allowed


@dataclass(frozen=True)
class ResumePoint:
    """The state from which a run is resumed.

    Args:
        folder: the checkpoint; None: none was written yet.
        step, images, seconds: the progress of the checkpoint.
        problems: what is wrong with later checkpoints, one sentence each.
        resolved: device, precision and the other settings of the run's first part; None: the run
            has not begun.
        stand_in: whether the run trains on its fallback data; None: the run has not begun.
    """

    folder: Path | None = None
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    resolved: Resolved | None = None
    stand_in: bool | None = None


def find_resume_point(path: Path) -> ResumePoint:
    """Find the newest undamaged checkpoint of a run directory.

    Raises:
        DataError: when all checkpoints are damaged, or when none is left although one had been
            written. A run doesn't restart from the beginning without the user's request.
    """
    folder, problems = checkpoint.newest_good(path / CHECKPOINTS)
    written = _last_written(path)
    if folder is None:
        if written:
            raise DataError(
                f"its checkpoints are missing, although one of step {written} was written",
                where=str(path / CHECKPOINTS),
                hint="Restore them from a backup. To start over in a new run directory: "
                f"ganzoo run {shlex.quote(str(path / RESOLVED))}",
            )
        problems.append("no checkpoint was written before: the run begins again at step 0")
    elif written > max(checkpoint.steps(path / CHECKPOINTS)):
        problems.insert(0, f"step_{written} is missing, although status.json names it")
    progress = checkpoint.progress(folder) if folder else checkpoint.Progress(0, 0, 0.0)
    data = read_status(path).get("data")
    return ResumePoint(
        folder,
        progress.step,
        progress.images,
        progress.seconds,
        tuple(problems),
        resolved=run_record.stored_resolved(path),
        stand_in=data["stand_in"] if data else None,
    )


def _last_written(path: Path) -> int:
    """Return the step of the last checkpoint that the run recorded; 0 if there was none.

    A run records the checkpoints that it writes and those that it resumes from.
    """
    name = read_status(path).get("checkpoint") or ""
    step = name.removeprefix("step_")
    return max(int(step) if step.isdigit() else 0, run_record.furthest_start(path))


def nothing_left(
    path: Path, recipe: Recipe, point: ResumePoint, limits: Limits, voice: Voice
) -> Result | None:
    """Return the result of a resume that has nothing to train.

    The user is told the reason, and the command with which the training would continue.

    Returns:
        None when there is something to train, or where that isn't known yet.
    """
    status = read_status(path)
    data = status.get("data")
    if data is None or point.folder is None:
        return None
    outcome: Outcome
    if point.images >= recipe.train.epochs * data["length"]:
        outcome = "finished"
        reason = f"nothing is left to train: all {recipe.train.epochs} epochs are done"
        more = f"--set train.epochs={2 * recipe.train.epochs}"
    elif limits.steps is not None and point.step >= limits.steps:
        outcome = "stopped"
        reason = (
            f"--max-steps {limits.steps} is a total, and the run already has {point.step} steps"
        )
        more = f"--max-steps {2 * point.step}"
    elif limits.seconds is not None and point.seconds >= limits.seconds:
        outcome = "stopped"
        reason = (
            f"--max-time {in_words(limits.seconds)} is a total, and the run has already trained "
            f"for {in_words(point.seconds)}"
        )
        more = f"--max-time {in_words(2 * point.seconds)}"
    else:
        return None
    if outcome == "finished" and status.get("state") != outcome:
        return None  # it was killed before its last sample, which is still to be made
    for problem in point.problems:
        voice.warn(problem)
    voice.say(f"{path}: {reason}")
    voice.say(f"  to train further: ganzoo run --resume {shlex.quote(str(path))} {more}")
    scored = any((path / "evaluation").glob("*.json"))
    if outcome == "finished" and recipe.watch.evaluate != "never" and not scored:
        voice.say(f"  to score it: ganzoo evaluate {shlex.quote(str(path))}")
    document = {
        "run": str(path),
        "outcome": outcome,
        "step": point.step,
        "images": point.images,
        "images_per_second": 0.0,
        "data": {key: data[key] for key in ("use", "stand_in")},
        "weights": checkpoint.weights_files(point.folder),
        "metrics": {},
    }
    return Result(path, outcome, ExitCode.DONE, document)


def departures_from_before(
    path: Path,
    recipe: Recipe,
    point: ResumePoint,
    resolved: Resolved,
    changes: Sequence[str],
) -> list[str]:
    """Return the reasons for which a resume isn't exact, as sentences."""
    notes = []
    if point.resolved is not None and (other := point.resolved.differences(resolved)):
        notes.append(f"resuming with different settings: {', '.join(other)}")
    if changed := run_record.changed_plugins(path):
        notes.append(f"resuming with different plugins: {', '.join(changed)}")
    if not changes and run_record.edited(path, recipe):
        notes.append(
            f"{RESOLVED} isn't what the last part of this run used (it was edited, or this version "
            "reads it in another way): the results may differ from those of an uninterrupted run"
        )
    return notes


def check_same_data(path: Path, data: PreparedData, changes: Sequence[str]) -> list[str]:
    """Check that a resume uses the data that the run began with.

    Returns:
        Sentences about what couldn't be compared, or about a first image that differs although
        `data.root` hasn't changed.

    Raises:
        DataError: when fallback data would replace the real data or the other way round, or when
            the data differ.
    """
    before = read_status(path).get("data")
    if before is None:
        return []
    moved = [change for change in changes if change.startswith("data.root:")]
    now = identity_of(data)
    if "content" not in before and moved:
        return [
            "this run was begun by an older version, so only the number of its images was compared"
        ]
    content = before.get("content", now["content"])
    if not moved:
        # Another version of an image decoder may return other values for the same file.
        before = {**before, "content": now["content"]}
    if reason := difference(before, now):
        raise DataError(
            reason,
            where=str(path),
            hint="Make its data available again (--set data.root=FOLDER, GANZOO_DATA), or start a "
            "new run.",
        )
    if content != now["content"]:
        return ["the first image has changed: it was edited, or is decoded by another version"]
    return []


def check_same_start(path: Path, started: Iterable[Started]) -> None:
    """Check that a run that has no checkpoint yet begins from the same weights again.

    Raises:
        DataError: when they aren't those that it recorded.
    """
    before = run_record.starting_weights(path)
    for one in started:
        if one.role in before and before[one.role].get("sha256") != one.card.sha256:
            raise DataError(
                f"start.{one.role}: {one.path} isn't what this run began with, and the run has no "
                "checkpoint to continue from",
                where=str(path),
                hint="Start a new run.",
            )


def go_on(trainer: Trainer, point: ResumePoint, voice: Voice) -> None:
    """Load the checkpoint to resume from, or an older one if it doesn't fit the run.

    With several processes this is a collective call: all of them load the same checkpoint.

    Raises:
        DataError: when no checkpoint fits; it is the error of the newest one.
    """
    folder, first = point.folder, None
    problems: list[str] = []
    while folder is not None:
        notes, fault = [], None
        try:
            notes = restore(trainer, checkpoint.load(folder))
        except DataError as error:
            fault = error
        fault = next(filter(None, trainer.session.gather(fault)), None)
        if fault is None:
            for note in [*problems, *notes]:
                voice.warn(note)
            trainer.stepper.clock = trainer.clock
            voice.say(f"continuing from {folder}")
            return
        first = first or fault
        problems.append(f"{folder.name} doesn't fit this run: {_head(str(fault))}")
        try:
            folder, damaged = checkpoint.newest_good(folder.parent, below=folder)
        except DataError:
            break
        problems += damaged
    if first is not None:
        raise first


def _head(text: str) -> str:
    """Return the first lines of a text that may list hundreds of tensors."""
    lines = text.splitlines()
    return "\n  ".join(lines[:4] + (["..."] if len(lines) > 4 else []))
