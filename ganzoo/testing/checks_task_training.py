"""Checks of tasks in training: what they compare, and the players that they step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganzoo.data.rng import isolated
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import DataError, GanzooError, RecipeError
from ganzoo.interfaces import Field, LossInputs
from ganzoo.recipe.model import Recipe
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.trial import PATIENCE, batch_of, changed, training

_FIRST, _TRIES, _NEAR = 3, 6, 1e-9
"""Steps, seeds and relative difference (in fp64) by which it is told whether a task compares rows.
One that compares nothing, and draws from a pool, makes no difference under one seed at least."""


@check("task")
def check_task_compares_only_pairs(subject: Subject) -> None:
    """A task whose terms tell which rows of two fields belong together says `needs_aligned`."""

    def put(document: dict[str, Any]) -> None:
        document["train"] |= {"precision": "fp64"}
        document["diffaugment"] = []

    with training(tiny_recipe(subject, put)) as trainer:
        task, fields = trainer.plan.task, trainer.plan.fields
        names = sorted(name for name in task.needs if fields[name].shape)
        if len(names) < 2:
            raise NotApplicable("it needs no two fields that could be compared")
        if task.needs_aligned:
            _refuses_unpaired(trainer.recipe, fields, names)
            return
        for net in trainer.nets.values():
            net.eval()  # dropout is drawn by rows
        batch = batch_of(trainer, 0, 1)
        for name in names[1:]:
            swapped = {**batch, name: batch[name].flip(0)}
            require(
                any(
                    _alike(_totals(trainer, batch, seed), _totals(trainer, swapped, seed))
                    for seed in range(_TRIES)
                ),
                f"its terms change when the rows of {name!r} come in another order than those of "
                f"{names[0]!r}: it compares the two, so say `needs_aligned: ClassVar[bool] = True`",
            )


def _refuses_unpaired(recipe: Recipe, fields: Mapping[str, Field], names: list[str]) -> None:
    apart = {name: replace(fields[name], aligned=False) for name in names[1:]}
    try:
        plan_networks(recipe, {**fields, **apart})
    except DataError:
        return
    message = f"it needs pairs, and takes data whose {names[1:]} aren't aligned"
    raise CheckFailed(message)


class _Plain:
    """Terms that don't know of pairs: means of what is said of all rows."""

    def __init__(self) -> None:
        self.needs_discriminator = False

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """What is said of the real rows and of the others."""
        return {"real": _said(inputs, "real"), "fake": 3 * _said(inputs, "fake")}

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """What is said of the rows that were made."""
        return {"fake": _said(inputs, "fake")}


def _said(inputs: LossInputs, what: str) -> Tensor:
    output = inputs.real_output if what == "real" else inputs.fake_output
    if output is None:
        rows: Tensor = getattr(inputs, what)
        return rows.mean()
    return torch.stack([logits.mean() for logits in output.logits]).mean()


def _totals(trainer: Trainer, batch: Mapping[str, Tensor], seed: int) -> dict[str, float]:
    """What each player would minimise in the first steps of a fresh task; no weight is moved."""
    totals: dict[str, float] = {}

    class Noted:
        clock = trainer.clock

        def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
            for term in terms.values():
                totals[player] = totals.get(player, 0.0) + float(term.detach())

    task = trainer.plan.make_task(trainer.recipe.task.options, trainer.prepared, _Plain())
    with isolated(seed):
        for step in range(_FIRST):
            task.clock = Noted.clock = replace(trainer.clock, step=step)
            task.step(batch, Noted())
    return totals


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        abs(one[name] - other[name]) <= _NEAR * (1 + abs(one[name])) for name in one
    )


@check("task")
def check_task_players_follow_their_tables(subject: Subject) -> None:
    """Each player follows its own table: where its schedule ends at 0, it alone stands still."""
    for still in sorted(subject.choose().load().players):

        def put(document: dict[str, Any], still: str = still) -> None:
            players = subject.choose().load().players
            document["players"] = {
                player: {
                    "use": "ganzoo/sgd",
                    "lr": 1e-2,
                    "momentum": 0.0,
                    "schedule": "ganzoo/linear" if player == still else "ganzoo/constant",
                }
                for player in players
            }

        with training(tiny_recipe(subject, put)) as trainer:
            players = trainer.plan.players
            if still not in players:
                continue  # a role that may be absent
            moved = _moved_at_the_end(trainer)
            strays = moved & set(players[still])
            require(
                not strays,
                f"the rate of [players.{still}] has come down to 0, and the weights of "
                f"{sorted(strays)} change: leave them to `optimize(player, terms)`",
            )
            others = {role for player in players.keys() - {still} for role in players[player]}
            require(
                moved == others,
                f"while {still!r} stands still {sorted(others - moved)} does too, whose rate isn't "
                "0",
            )


@check("task")
def check_task_players_begin_later(subject: Subject) -> None:
    """A player whose networks are optional stands still until it begins, and the others don't."""
    task = subject.choose().load()
    late = [
        player
        for player, roles in task.players.items()
        if roles and {*roles} <= task.optional and {*task.players} > {player}
    ]
    if not late:
        raise NotApplicable("no player of optional roles alone")
    for player in late:

        def put(document: dict[str, Any], player: str = player) -> None:
            document["players"] = {player: {"begin": f"{_FIRST} steps"}}

        recipe = tiny_recipe(subject, put, _has_a_term_beside, "has a loss with another term")
        with training(recipe) as trainer:
            if player not in trainer.plan.players:
                continue
            before = _parameters(trainer)
            try:
                first = _moved_by_steps(trainer, before, _FIRST)
                then = _moved_by_steps(trainer, before, PATIENCE)
            except (GanzooError, KeyError) as error:
                message = f"with `begin` in [players.{player}] it raises {error!r}"
                raise CheckFailed(f"{message}: look in `nets` in each step") from error
            mine = set(trainer.plan.players[player])
            require(not mine & first, f"{sorted(mine & first)} moves before {player!r} begins")
            require(mine <= then, f"{player!r} has begun, and {sorted(mine - then)} stands still")


def _has_a_term_beside(recipe: Recipe) -> bool:
    """Return whether a step before the beginning of a player has something to minimise."""
    with training(recipe) as trainer:
        try:
            trainer.step()
        except RecipeError:
            return False
        except (GanzooError, KeyError):
            pass  # the task's fault, which the check reports
    return True


def _moved_by_steps(trainer: Trainer, before: dict[str, Tensor], count: int) -> set[str]:
    """Roles whose weights have changed after some steps more."""
    for _ in range(count):
        trainer.step()
    return {name.partition(".")[0] for name in changed(before, _parameters(trainer))}


def _moved_at_the_end(trainer: Trainer) -> set[str]:
    """Roles whose weights some steps at the end of the planned training change."""
    before = _parameters(trainer)
    for step in range(PATIENCE):
        clock = replace(trainer.clock, step=step, progress=1.0)
        trainer.task.clock = trainer.stepper.clock = clock
        trainer.task.step(batch_of(trainer, 0, 1), trainer.stepper)
    return {name.partition(".")[0] for name in changed(before, _parameters(trainer))}


def _parameters(trainer: Trainer) -> dict[str, Tensor]:
    return {
        f"{role}.{name}": weight.detach().clone()
        for role, net in trainer.nets.items()
        for name, weight in net.named_parameters()
    }
