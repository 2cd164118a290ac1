"""Freeze the parameters that a recipe names in `start.freeze`, so that training never moves them.

Optimizers, gradient checks and DDP leave out parameters that require no gradient, and an EMA of
values that never change has these values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from ganzoo.errors import RecipeError
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.model import Recipe

_SHOWN = 12
"""The largest number of beginnings of names in a hint."""


def freeze(networks: Mapping[str, nn.Module], recipe: Recipe) -> None:
    """Freeze the parameters that `start.freeze` names.

    Raises:
        RecipeError: for the same reasons as in `frozen`.
    """
    for role, names in frozen(networks, recipe).items():
        for name, parameter in networks[role].named_parameters(remove_duplicate=False):
            if name in names:
                parameter.requires_grad_(False)


def frozen(networks: Mapping[str, nn.Module], recipe: Recipe) -> dict[str, set[str]]:
    """Return the names of the parameters that `start.freeze` names, for each role that has some.

    Each of its patterns is `PATTERN` for the parameters of all networks, or `ROLE/PATTERN`.

    Raises:
        RecipeError: when a pattern names no parameter, or an unknown role.
    """
    found: dict[str, set[str]] = {}
    where = recipe.origins.get(("start", "freeze"), recipe.name)
    for pattern in recipe.start.freeze:
        role, slash, inner = pattern.partition("/")
        if slash and role not in networks:
            raise RecipeError(
                f"start.freeze: {pattern!r} names a network that this run doesn't have",
                where=where,
                hint=did_you_mean(role, list(networks)) or f"Its networks are: {_list(networks)}.",
            )
        matches = {
            (one, name)
            for one, network in networks.items()
            if not slash or one == role
            for name, _ in network.named_parameters(remove_duplicate=False)
            if fnmatchcase(name, inner if slash else pattern)
        }
        if not matches:
            chosen = {role: networks[role]} if slash else networks
            raise RecipeError(
                f"start.freeze: {pattern!r} names no parameter",
                where=where,
                hint=f"The names of parameters begin with: {_beginnings(chosen)}.",
            )
        for one, name in matches:
            found.setdefault(one, set()).add(name)
    return found


def frozen_in_words(networks: Mapping[str, nn.Module], recipe: Recipe) -> str:
    """Return how many parameters of each network `start.freeze` freezes; it names at least one."""
    parts = []
    for role, names in frozen(networks, recipe).items():
        every = dict(networks[role].named_parameters(remove_duplicate=False))
        numbers = sum(every[name].numel() for name in names)
        parts.append(
            f"{len(names)} of {len(every)} parameter tensors of {role} ({numbers:,} parameters)"
        )
    return f"frozen: {', '.join(parts)}"


def _beginnings(networks: Mapping[str, nn.Module]) -> str:
    starts = dict.fromkeys(
        f"{role}/{name.partition('.')[0]}"
        for role, network in networks.items()
        for name, _ in network.named_parameters()
    )
    more = f" and {len(starts) - _SHOWN} more" if len(starts) > _SHOWN else ""
    return _list(list(starts)[:_SHOWN]) + more


def _list(names: Mapping[str, nn.Module] | Sequence[str]) -> str:
    return ", ".join(names)
