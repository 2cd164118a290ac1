"""Tasks in use, for their checks: applications, and what a generator learns of one batch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.pipeline import open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import GanzooError, PluginError, RecipeError, UsageError
from ganzoo.inference.applications import LABEL, available, choices_of, draws_all, taken_by
from ganzoo.inference.trained_application import Applied
from ganzoo.interfaces import Field
from ganzoo.recipe.model import Recipe
from ganzoo.testing.compare import generators, unequal
from ganzoo.testing.kit import CheckFailed, require
from ganzoo.testing.networks import values_of
from ganzoo.testing.subject import Subject
from ganzoo.testing.trial import (
    PATIENCE,
    OnlySome,
    Plain,
    batch_of,
    inferring,
    parameters_of,
    training,
)

_ROWS = 5
"""Rows that are drawn: always as many, since a random generator's first numbers may be others where
it is asked for more."""
_WARM_UP, _SKIPPED, _TRIES, _WINDOW = 30, 10, 250, 5
"""Turns of the others alone, of nobody, of the generator alone at most, and those that make a mean.
They are counted and not timed: the outcome must not depend on how busy the machine is."""


def has_tag(subject: Subject, recipe: Recipe, tag: str) -> bool:
    """Whether the task has a tag, or a network of the recipe that makes what the task gives."""
    networks = (one.component for one in recipe.named_networks())
    makers = [one for one in networks if one.kind != "discriminator"]
    return any(tag in one.tags for one in (subject.component.component, *makers))


def ready(trainer: Trainer, name: str) -> Applied:
    """An application with the trainer's networks and the default options."""
    task, plan = trainer.recipe.task, trainer.plan
    choices = choices_of(task, name, {})
    return Applied(task, name, trainer.shown, plan.io, plan.fields, "running", choices)


def applied(trainer: Trainer, name: str, *indices: int, **changes: Tensor) -> dict[str, Tensor]:
    """What an application makes of some samples, or of as many rows of what the task draws.

    An input that only its networks have is made up.

    Args:
        trainer: whose networks are used.
        name: of the application.
        indices: of samples, or of rows; below 5.
        changes: put in the inputs' place.

    Raises:
        CheckFailed: it reads what it isn't given, or gives something else.
    """
    application = trainer.plan.task.applications[name]
    inputs: dict[str, Tensor] = {}
    if given := taken_by(application):
        known = ready(trainer, name).fields
        batch = batch_of(trainer, *indices) | _made_up(trainer, known, indices)
        inputs = {one: batch[one] for key in given for one in (key, known[key].mask) if one}
    if application.draws:
        rows = drawn_by(trainer, name, _ROWS, 0)
        chosen = {key: one[list(indices)] for key, one in rows.items()}
        inputs |= trainer.session.move(chosen)
    inputs |= changes
    with inferring(trainer, 5):
        try:
            return ready(trainer, name).apply(inputs)
        except (PluginError, UsageError) as error:
            raise CheckFailed(f"{error.message}\n{error.hint}") from error


def _made_up(
    trainer: Trainer, known: Mapping[str, Field], indices: Sequence[int]
) -> dict[str, Tensor]:
    """Values of the fields that no data have, a row for each index."""
    own = {key: field for key, field in known.items() if key not in trainer.plan.fields}
    rows = [values_of(own, 1, seed) for seed in indices]
    return trainer.session.move({key: torch.cat([row[key] for row in rows]) for key in own})


def sampled(trainer: Trainer) -> Any:
    """What the task's `sample` shows of two samples, under one seed."""
    batch = batch_of(trainer, 0, 1)
    with inferring(trainer, 5):
        return trainer.task.sample(batch, dict(trainer.shown))


def seeded_by_a_step(trainer: Trainer) -> str:
    """Names of the random generators that are the same after steps under different seeds."""
    ends = []
    for seed in (1, 2):
        with isolated(seed):
            trainer.step()
            ends.append(generators())
    return ", ".join(name for name, state in ends[0].items() if state == ends[1][name])


def drawn_by(trainer: Trainer, name: str, count: int, seed: int) -> dict[str, Tensor]:
    """What the task draws for an application.

    Raises:
        CheckFailed: it draws nothing, or another number, or what is taken and not in `draws`.
    """
    try:
        rows = ready(trainer, name).draw_inputs(count, torch.Generator().manual_seed(seed))
    except PluginError as error:
        raise CheckFailed(error.message) from error
    application = trainer.plan.task.applications[name]
    unstated = sorted(set(rows) & set(application.takes) - set(application.draws))
    require(
        not unstated,
        f"it draws {unstated} for {name!r}, whose `takes` names them and whose `draws` doesn't",
    )
    return rows


def judge_draws(trainer: Trainer, name: str) -> None:
    """Check what the task draws for an application.

    Raises:
        CheckFailed: it isn't what the networks take, or comes from another generator.
    """
    application = trainer.plan.task.applications[name]
    own = application.draws
    for count in (1, _ROWS):
        with isolated(1):
            before = generators()
            rows = drawn_by(trainer, name, count, 0)
            require(
                before == generators(),
                f"for {name!r} it draws from a global random generator: `random` is the only "
                "source of numbers",
            )
        with isolated(2):
            again, other = (drawn_by(trainer, name, count, seed) for seed in (0, 1))
        differ = unequal(rows, again)
        require(not differ, f"for {name!r} {differ} aren't the same under the same seed")
        require(
            set(own) & set(unequal(rows, other)),
            f"for {name!r} {' and '.join(own)} are the same under another seed: draw from "
            "`random`, `torch.randn(..., generator=random)`",
        )
    if draws_all(application):
        made = applied(trainer, name, *range(_ROWS))
        require(
            any(not torch.equal(one[0], one[2]) for one in made.values()),
            f"{name!r} makes the same of everything that is drawn",
        )


def overfitted(recipe: Recipe, makers: Collection[str]) -> tuple[float, float, float]:
    """The loss of players on one batch at first, after their turns, and what it should fall to.

    The others learn first, on the same batch: who can't tell real from fake yet can't be fooled.

    Raises:
        CheckFailed: they have no turns.
    """
    with training(recipe) as trainer:
        batch = batch_of(trainer, 0, 1)
        others = set(trainer.plan.players) - set(makers)
        if others:
            _play(OnlySome(trainer, watched=makers, moved=others), batch, _WARM_UP)
        skipped = _play(OnlySome(trainer, watched=makers, moved=()), batch, _SKIPPED)
        require(skipped, f"these players never had a turn: {sorted(makers)}")
        goal = goal_of(skipped)
        played = _play(OnlySome(trainer, watched=makers, moved=makers), batch, _TRIES, goal=goal)
        return statistics.fmean(skipped), statistics.fmean(played[-_WINDOW:]), goal


def goal_of(skipped: Sequence[float]) -> float:
    """Where a loss should come to that goes like this by itself.

    A third; down by as much where it goes below 0. Near 0 a third of it is nothing beside what
    fresh noise does: then down by three deviations of the mean of a window.
    """
    start = statistics.fmean(skipped)
    if min(skipped) > 0:
        return start / 3
    noise = statistics.pstdev(skipped) / math.sqrt(_WINDOW)
    return start - max(abs(start) * 2 / 3, 3 * noise)


def _play(
    optimize: OnlySome, batch: Mapping[str, Tensor], turns: int, goal: float = -math.inf
) -> list[float]:
    """Step on one batch until the goal or the count of turns is reached; the watched losses."""
    for _ in range(PATIENCE * turns):
        optimize.step(batch)
        window = optimize.totals[-_WINDOW:]
        low = len(window) == _WINDOW and statistics.fmean(window) <= goal
        if low or len(optimize.totals) >= turns:
            break
    return optimize.totals


def alike(trainer: Trainer, one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether all players together minimise the same for two batches.

    The loss compares no rows, so that a difference comes from the task. One that compares nothing,
    and draws from a pool, makes no difference under one seed at least.
    """

    def totals(batch: Mapping[str, Tensor], seed: int) -> list[float]:
        trainer.task = trainer.plan.make_task(
            trainer.recipe.task.options, trainer.prepared, Plain()
        )
        optimize = OnlySome(trainer, watched=trainer.plan.players, moved=())
        with isolated(seed):
            for _ in range(3):
                optimize.step(batch)
        return optimize.totals

    return any(all(map(math.isclose, totals(one, seed), totals(other, seed))) for seed in range(6))


def conditional(recipe: Recipe) -> bool:
    """Whether any network of a recipe is told of classes."""
    plan = plan_networks(recipe, open_data(recipe, "train").fields)
    return any(io.classes for io in plan.io.values())


def judge_classes(trainer: Trainer) -> None:
    """Check that the data's classes reach the networks that take any.

    Raises:
        CheckFailed: they are counted otherwise, or don't reach one of them.
    """
    plan, options = trainer.plan, trainer.recipe.task.options
    told = {role: _told(trainer, role) for role, io in plan.io.items() if io.classes}
    (count,) = {plan.io[role].classes for role in told}
    more = {
        name: replace(field, classes=count + 1 if field.classes == count else field.classes)
        for name, field in plan.fields.items()
    }
    trainer.step()
    for role, calls in told.items():
        counted = plan.task.io(role, options, more).classes
        require(
            counted == count + 1,
            f"io({role!r}) says {counted} classes where the data have {count + 1}: take them from "
            "the field, `fields[...].classes`",
        )
        require(
            all(calls),
            f"io({role!r}) says {count} classes, and a step calls it without labels, or with "
            "others: give it N class indices beside its input",
        )
    for name, application in available(trainer.recipe.task, trainer.nets).items():
        if application.draws and told.keys() & set(application.roles):
            _labels_matter(trainer, name, count)


def _told(trainer: Trainer, role: str) -> list[bool]:
    """Return a list that tells of each call of a network whether it is given a class a row."""
    calls: list[bool] = []
    fields = list(trainer.plan.io[role].inputs.values())
    place = [field.format for field in fields].index("ganzoo/class")

    def note(_: nn.Module, given: tuple[Any, ...]) -> None:
        x, y = given[0], given[place]
        rows = isinstance(y, Tensor) and y.shape == (len(x),) and not y.is_floating_point()
        calls.append(rows and bool(((y >= 0) & (y < fields[place].classes)).all()))

    trainer.nets[role].register_forward_pre_hook(note)
    return calls


def _labels_matter(trainer: Trainer, name: str, classes: int) -> None:
    """Check that the class changes the sample; weights are changed first, which may be all 0."""
    with isolated(0), torch.no_grad():
        for role in trainer.plan.task.applications[name].roles:
            for weight in trainer.shown[role].parameters():
                weight.add_(torch.randn_like(weight), alpha=0.1)
    labels = drawn_by(trainer, name, 2, 0)[LABEL]
    one, other = (
        applied(trainer, name, 0, 1, **trainer.session.move({LABEL: chosen}))
        for chosen in (labels, (labels + 1) % classes)
    )
    require(
        unequal(one, other),
        f"the application {name!r} makes the same of every class: give the network {LABEL!r}",
    )


def has_a_term_beside(recipe: Recipe, player: str) -> bool:
    """Whether it has a player, and a step before its beginning has something to minimise."""
    with training(recipe) as trainer:
        if player not in trainer.plan.players:
            return False
        try:
            trainer.step()
        except RecipeError:
            return False
        except (GanzooError, KeyError):
            pass  # the task's fault, which the check reports
    return True


def judge_late(trainer: Trainer, player: str, first: int) -> None:
    """Check that a player stands still in its first steps, and not in the next ones.

    Raises:
        CheckFailed: it is otherwise, or the task can't do without the player's networks.
    """

    def moved(count: int) -> set[str]:
        before = parameters_of(trainer.nets)
        for _ in range(count):
            trainer.step()
        return {name.partition(".")[0] for name in unequal(before, parameters_of(trainer.nets))}

    try:
        early, then = moved(first), moved(PATIENCE)
    except (GanzooError, KeyError) as error:
        message = f"with `begin` in [players.{player}] it raises {error!r}"
        raise CheckFailed(f"{message}: look in `nets` in each step") from error
    mine = set(trainer.plan.players[player])
    require(not mine & early, f"{sorted(mine & early)} moves before {player!r} begins")
    require(mine <= then, f"{player!r} has begun, and {sorted(mine - then)} stands still")
