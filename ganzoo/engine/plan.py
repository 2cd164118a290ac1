"""Determine which networks a recipe trains and their shapes, before any network is built."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganzoo.api import Chosen, NetOptions
from ganzoo.errors import DataError, PluginError, RecipeError
from ganzoo.interfaces import Field, NetIO, Task
from ganzoo.recipe.model import Optimizer, Recipe

_ROLE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Plan:
    """The networks of a recipe, before any is built.

    Args:
        task: the task's class.
        chosen: the component of each role for which the recipe has a network.
        io: the shapes of each role.
        players: the players that have a network, with their roles.
        fields: the fields of the data after augmentation.
    """

    task: type[Task]
    chosen: Mapping[str, Chosen]
    io: Mapping[str, NetIO]
    players: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, Field]


def plan_networks(recipe: Recipe, fields: Mapping[str, Field]) -> Plan:
    """Determine which networks a recipe trains, and their shapes.

    Raises:
        RecipeError: when a table is missing or unused, a player is unknown, or a network doesn't
            support the size of the images.
        DataError: when the data lack a field that the task needs, or aren't the pairs that it
            needs.
        PluginError: when a component can't be imported, including metrics and callbacks; or when a
            component returns something else than shapes or sizes where these are required.
    """
    for other in (*recipe.metrics, *recipe.callbacks):
        other.load()
    task: type[Task] = recipe.task.load()
    _check_roles(recipe.task.id, task)
    missing = sorted(task.needs - set(fields))
    if missing:
        raise DataError(
            f"{recipe.task.id} needs {', '.join(sorted(task.needs))}, but {recipe.data.id} has no "
            f"{', '.join(missing)}",
            hint=f"Its fields are: {', '.join(fields)}.",
        )
    apart = sorted(name for name in task.needs if not fields[name].aligned)
    if task.needs_aligned and apart:
        raise DataError(
            f"{recipe.task.id} learns from pairs, but the {apart[0]} of {recipe.data.id} doesn't "
            "belong to its sample's other fields",
            hint="Use paired data, or a task for unpaired data.",
        )
    chosen: dict[str, Chosen] = {}
    for role, table in task.roles.items():
        entry = recipe.networks.get(table)
        if entry is not None:
            chosen[role] = entry
        elif role not in task.optional:
            raise RecipeError(
                f"{recipe.task.id} needs a [{table}] table for its {role}", where=recipe.name
            )
    unused = sorted(set(recipe.networks) - set(task.roles.values()))
    if unused:
        raise RecipeError(
            f"{recipe.task.id} doesn't use [{unused[0]}]",
            where=recipe.name,
            hint=f"Its networks are: {', '.join(sorted(set(task.roles.values())))}.",
        )
    players = {
        player: roles
        for player, all_roles in task.players.items()
        if (roles := tuple(role for role in all_roles if role in chosen))
    }
    unknown = sorted(set(recipe.players) - set(task.players))
    if unknown:
        raise RecipeError(
            f"[players.{unknown[0]}]: {recipe.task.id} has no such player",
            where=recipe.name,
            hint=f"Its players are: {', '.join(task.players)}.",
        )
    io = {role: _io(recipe.task, role, fields) for role in chosen}
    for role, component in chosen.items():
        _check_size(task.roles[role], component, io[role])
    return Plan(task, chosen, io, players, fields)


def _check_roles(component: str, task: type[Task]) -> None:
    """Check that the roles of a task can be used as names of files and folders."""
    for role in (*task.roles, *task.serves):
        if not _ROLE.fullmatch(role):
            raise PluginError(
                f"{component} names a network {role!r}: only letters, digits, - and _ are allowed",
                hint="The error is in its plugin: report it to its authors.",
            )


def _io(task: Chosen, role: str, fields: Mapping[str, Field]) -> NetIO:
    given: Any = task.load().io(role, task.options, fields)
    if not isinstance(given, NetIO):
        raise PluginError(
            f"{task.id} returns a {type(given).__name__} as the shapes of {role}",
            hint="Its `io` must return a NetIO; report this to its authors.",
        )
    return given


def _check_size(table: str, component: Chosen, io: NetIO) -> None:
    options = component.options
    if len(io.inputs) != 3 or not isinstance(options, NetOptions):
        return
    multiple = options.size_multiple()
    if not isinstance(multiple, int) or multiple < 1:
        raise PluginError(
            f"{component.id} states that its sizes are multiples of {multiple!r}, which is not a "
            "positive whole number",
            where=table,
            hint="The `size_multiple` of its options must return 1 or more; report this to its "
            "authors.",
        )
    height, width = io.inputs[1:]
    if height % multiple or width % multiple:
        instead = [
            f"{table}.{option} = {json.dumps(value)}"
            for option, value in options.fitting(height, width).items()
        ]
        raise RecipeError(
            f"{component.id} takes sizes that are multiples of {multiple}, but the images are "
            f"{height} x {width} after augmentation",
            where=table,
            hint="Nearest legal sizes: "
            f"height {nearest_sizes(height, multiple)}, width {nearest_sizes(width, multiple)}."
            + (f"\nFor these images set {' and '.join(instead)}." if instead else ""),
        )


def nearest_sizes(size: int, multiple: int) -> str:
    """Return the valid sizes next to `size`, as text."""
    below, above = size // multiple * multiple, -(-size // multiple) * multiple
    return f"{below} or {above}" if below and below != above else str(above)


def optimizer_options(recipe: Recipe, plan: Plan) -> dict[str, Optimizer]:
    """Return each player's optimizer table."""
    return {player: recipe.players.get(player, recipe.optimizer) for player in plan.players}
