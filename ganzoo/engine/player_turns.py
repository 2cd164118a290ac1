"""The weights, terms and errors of a player's turn, in a training and in a dry run."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ganzoo.errors import PluginError, RecipeError
from ganzoo.plugin_system.blame import in_plugin_of


def check_turn(player: str, players: Iterable[str], not_begun: frozenset[str]) -> None:
    """Check that a task may optimise a player in this step.

    Args:
        player: the player that the task named.
        players: the players that have a network.
        not_begun: the players that haven't begun.

    Raises:
        PluginError: when there is no such player, or when it hasn't begun.
    """
    if player not in players:
        known = ", ".join(players)
        raise PluginError(f"the task optimises {player!r}, and its players are: {known}")
    if player in not_begun:
        raise PluginError(
            f"the task optimises {player!r} before the player begins",
            hint="It must look in `nets` in each step whether the player's networks are there.",
        )


def idle(task: str, step: int) -> PluginError:
    """Return the error for a task whose step changed no weights."""
    return PluginError(
        f"{task} optimised no player in step {step}: no weight was changed",
        hint=f"Its `step` must call `optimize` each time. {in_plugin_of(task)}",
    )


def trained(player: str, nets: Mapping[str, nn.Module]) -> list[tuple[str, nn.Parameter]]:
    """Return the weights that a player optimises, each with its name `role.name`.

    Raises:
        RecipeError: when there are none.
    """
    named = [
        (f"{role}.{name}", parameter)
        for role, net in nets.items()
        for name, parameter in net.named_parameters()
        if parameter.requires_grad
    ]
    if not named:
        raise RecipeError(
            f"the player {player!r} has no weights to train: {', '.join(nets)}",
            hint="Its networks have no weights, or all of them are frozen (start.freeze).",
        )
    return named


def total_of(player: str, terms: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of a player's terms.

    Raises:
        RecipeError: when there are no terms.
        PluginError: when the terms aren't a mapping, when one isn't a single number, or when none
            depends on weights.
    """
    if not isinstance(terms, Mapping):
        raise PluginError(
            f"player {player!r} must minimise a {type(terms).__name__}, not a dict of terms",
            hint="The loss must return a dict of tensors in each player's turn.",
        )
    if not terms:
        raise RecipeError(
            f"the loss gives no term for {player}, which has nothing to minimise",
            where="loss",
            hint="A penalty needs another [[loss]] beside it: add one for this player. If every "
            "weight is 0, change one of them.",
        )
    for term, value in terms.items():
        if not isinstance(value, Tensor) or value.numel() != 1:
            given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise PluginError(
                f"term {term!r} of player {player!r} is not a single number: {given}",
                hint="The loss must give tensors of one value: take their mean.",
            )
    total = functools.reduce(torch.add, terms.values())
    if not total.requires_grad:
        raise PluginError(
            f"the terms of player {player!r} don't depend on its weights: {', '.join(terms)}",
            hint="The loss or its task detached them.",
        )
    return total
