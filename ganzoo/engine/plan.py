"""Determine which networks a recipe trains and their shapes, before any network is built."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganzoo.api import Chosen, NetOptions
from ganzoo.data.formats import checked_formats, format_of
from ganzoo.engine.task_names import check_inputs, check_names
from ganzoo.errors import DataError, GanzooError, PluginError, RecipeError
from ganzoo.inference.applications import available
from ganzoo.inference.weights_card import checked_io
from ganzoo.interfaces import Field, Loss, Net, NetIO, Task, roles_in_use
from ganzoo.interfaces.fields import alike
from ganzoo.plugin_system.suggestions import did_you_mean
from ganzoo.recipe.model import Origin, Recipe, Train


@dataclass(frozen=True)
class Plan:
    """The networks of a recipe, before any is built.

    Args:
        task: the task's class.
        chosen: the component of each role for which the recipe has a network.
        io: the inputs and outputs of each role.
        players: the players that have a network, with their roles.
        fields: the fields of the data after augmentation.
        used: the roles that are used after the training, by the applications whose networks the
            recipe has.
        averaged: the roles whose weights are averaged, if `ema.enabled` is set.
        notes: sentences about parts of the recipe that have no effect.
    """

    task: type[Task]
    chosen: Mapping[str, Chosen]
    io: Mapping[str, NetIO]
    players: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, Field]
    used: tuple[str, ...]
    averaged: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def make_task(self, options: Any, nets: Mapping[str, Net], loss: Loss) -> Task:
        """Return the task, which knows the fields of the data."""
        task = self.task(options, nets, loss)
        task.fields = self.fields
        return task


def plan_networks(recipe: Recipe, fields: Mapping[str, Field]) -> Plan:
    """Determine which networks a recipe trains, and their shapes.

    Raises:
        RecipeError: when a table is missing or unused, a role or player is unknown, a role's
            network is of another kind, a role of `ema.roles` has no network, or a network doesn't
            support the size of the images.
        DataError: when the data lack a field that the task needs, or aren't the pairs that it
            needs.
        PluginError: when a component can't be imported, including metrics and callbacks; or when a
            component returns something else than shapes or sizes where these are required.
    """
    for other in (*recipe.metrics, *recipe.callbacks, *recipe.optimizing()):
        other.load()
    task: type[Task] = recipe.task.load()
    check_names(recipe.task.id, task)
    missing = sorted(task.needs - set(fields))
    if missing:
        raise DataError(
            f"{recipe.task.id} needs {', '.join(sorted(task.needs))}, but {recipe.data.id} has no "
            f"{', '.join(missing)}",
            hint=f"Its fields are: {', '.join(fields)}.",
        )
    masked = sorted(name for name in task.needs if fields[name].mask)
    if masked and not task.honours_masks:
        raise DataError(
            f"the {masked[0]} of {recipe.data.id} has places without data (its mask is "
            f"{fields[masked[0]].mask!r}), and {recipe.task.id} would learn from them",
            hint="Use a task that honours masks, or data without a mask.",
        )
    apart = sorted(name for name in task.needs if not fields[name].aligned)
    if task.needs_aligned and apart:
        raise DataError(
            f"{recipe.task.id} learns from pairs, but the {apart[0]} of {recipe.data.id} doesn't "
            "belong to its sample's other fields",
            hint="Use paired data, or a task for unpaired data.",
        )
    chosen = _networks(recipe, task)
    unused = sorted(set(recipe.networks) - set(task.roles.values()))
    if unused:
        raise RecipeError(
            f"{recipe.task.id} doesn't use [{unused[0]}]",
            where=_place(recipe, unused[0]),
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
            where=recipe.player_places.get(unknown[0], recipe.name),
            hint=f"Its players are: {', '.join(task.players)}.",
        )
    io = {role: _io(recipe.task, role, fields) for role in chosen}
    check_inputs(recipe.task, fields, io)
    _check_augments(recipe, task, io)
    for role, component in chosen.items():
        table = f"networks.{role}" if role in recipe.roles else task.roles[role]
        _check_size(table, component, io[role])
    used = roles_in_use(available(recipe.task, chosen))
    averaged = _averaged(recipe, task, chosen, used)
    notes = tuple(_unused(recipe, task))
    return Plan(task, chosen, io, players, fields, used, averaged, notes)


def _unused(recipe: Recipe, task: type[Task]) -> Iterator[str]:
    """Yield a sentence for each default table that no role uses, not even below its own table."""
    for kind, default in recipe.networks.items():
        roles = [role for role, its in task.roles.items() if its == kind]
        own = [recipe.roles[role].chosen for role in roles if role in recipe.roles]
        others = all(one is None or (default and one.id != default.id) for one in own)
        if default is not None and len(own) == len(roles) and others:
            tables = ", ".join(f"[networks.{role}]" for role in roles)
            yield f"[{kind}] has no effect, since no role uses it: {tables} replaced it"


def _networks(recipe: Recipe, task: type[Task]) -> dict[str, Chosen]:
    """Return the network of each role, by the role's own table or the default one of its kind."""
    name = recipe.task.id
    for role, entry in recipe.roles.items():
        if role not in task.roles:
            raise RecipeError(
                f"[networks.{role}]: {name} has no role {role!r}",
                where=entry.place,
                hint=_known_roles(role, task.roles),
            )
        kind = task.roles[role]
        if entry.chosen is not None and entry.kind != kind:
            raise RecipeError(
                f"[networks.{role}]: {entry.chosen.id} is a {entry.kind}, but the {role} of {name} "
                f"is a {kind}",
                where=entry.place,
                hint=f"Name a {kind} by `use` in this table; `ganzoo list {kind}` lists them.",
            )
    chosen: dict[str, Chosen] = {}
    for role, kind in task.roles.items():
        network = recipe.network_of(role, kind)
        if network is not None:
            chosen[role] = network
        elif role in task.optional:
            continue
        elif role in recipe.roles:
            raise RecipeError(
                f'[networks.{role}]: {name} needs its {role}, so it can\'t be "none"',
                where=recipe.roles[role].place,
            )
        else:
            raise RecipeError(
                f"{name} needs a [{kind}] table for its {role}",
                where=recipe.name,
                hint=f"A table [networks.{role}] with `use` is for this role alone.",
            )
    return chosen


def _known_roles(role: str, known: Iterable[str]) -> str:
    listed = f"Its roles are: {', '.join(known)}."
    return "\n".join(filter(None, (did_you_mean(role, known), listed)))


def _place(recipe: Recipe, table: str) -> str | Origin:
    """Return where a component's table stands."""
    known = recipe.origins.get((table, "use"), recipe.origins.get((table,)))
    return recipe.name if known is None else known


def _averaged(
    recipe: Recipe, task: type[Task], chosen: Mapping[str, Chosen], used: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the roles of `ema.roles`; by default those that are used after the training."""
    wanted = recipe.ema.roles
    where = recipe.origins.get(("ema", "roles"), recipe.name)
    if wanted is None:
        if recipe.ema.enabled and not used:
            raise RecipeError(
                f"[ema]: {recipe.task.id} uses no network after the training, so none is averaged",
                where=recipe.name,
                hint=f"Name the roles in ema.roles, or set ema.enabled = false. "
                f"Its roles are: {', '.join(chosen)}.",
            )
        return used
    for role in wanted:
        if role not in task.roles:
            raise RecipeError(
                f"ema.roles: {recipe.task.id} has no role {role!r}",
                where=where,
                hint=_known_roles(role, task.roles),
            )
        if role not in chosen:
            raise RecipeError(f"ema.roles: the recipe has no network for {role}", where=where)
    return tuple(dict.fromkeys(wanted))


def _io(task: Chosen, role: str, fields: Mapping[str, Field]) -> NetIO:
    cls: type[Task] = task.load()
    given: Any = cls.io(role, task.options, fields)
    if not isinstance(given, NetIO):
        raise PluginError(
            f"{task.id} returns a {type(given).__name__} as the inputs and outputs of {role}",
            hint="Its `io` must return a NetIO; report this to its authors.",
        )
    if fault := _fault(given, cls.roles[role], fields):
        raise PluginError(
            f"the io() of {task.id} is wrong: {fault}",
            where=role,
            hint="Its `io` must be corrected; report this to its authors.",
        )
    return NetIO(dict(given.inputs), dict(given.outputs))


def _fault(io: NetIO, table: str, data: Mapping[str, Field]) -> str:
    """Return what is wrong with a declaration for these fields of the data; empty if nothing is."""
    for what, fields in (("inputs", io.inputs), ("outputs", io.outputs)):
        if not isinstance(fields, Mapping) or not all(
            isinstance(one, Field) for one in fields.values()
        ):
            return f"its {what} are no mapping of names to fields"
        for name, field in fields.items():
            if not isinstance(name, str) or not isinstance(field.shape, tuple):
                return f"it has {name!r} with the shape {field.shape!r}, not a text with a tuple"
            if field.format == "ganzoo/class" and not field.classes:
                return f"{name!r} is a class index and doesn't say how many classes there are"
    if not io.inputs:
        return "it has no inputs"
    try:
        checked_io(io)
        for fields in (io.inputs, io.outputs):
            checked_formats(fields)
    except (ValueError, GanzooError) as error:
        return str(error)
    wrong = {
        "it has outputs for a discriminator, which returns logits": table == "discriminator"
        and io.outputs,
        "it has no outputs for a generator": table == "generator" and not io.outputs,
    }
    wrong |= {
        f"{name!r} has the shape {list(field.shape)}, and {list(data[name].shape)} in the data: it "
        "needs another name": not alike(field.shape, data[name].shape)
        for name, field in (*io.inputs.items(), *io.outputs.items())
        if name in data
    }
    return next((fault for fault, found in wrong.items() if found), "")


def _check_augments(recipe: Recipe, task: type[Task], io: Mapping[str, NetIO]) -> None:
    """Check that augmentations change the only map of each discriminator."""
    for role, one in io.items():
        if not recipe.diffaugment or task.roles[role] != "discriminator":
            continue
        first = next(iter(one.inputs))
        maps = [name for name, field in one.inputs.items() if len(field.shape) > 1]
        if not one.inputs[first].shape or (maps and first != maps[0]):
            raise RecipeError(
                f"[[diffaugment]] changes the first input of a discriminator, but "
                f"{recipe.task.id} shows its {role} {first} first, which is no image",
                where=recipe.name,
                hint="Remove [[diffaugment]].",
            )
        if others := maps[1:]:
            raise RecipeError(
                f"[[diffaugment]] changes only the first input of a discriminator, but "
                f"{recipe.task.id} shows its {role} {others[0]} too, which would no longer fit",
                where=recipe.name,
                hint="Remove [[diffaugment]].",
            )


def _check_size(table: str, component: Chosen, io: NetIO) -> None:
    options = component.options
    sizes = [
        field.shape[-2:]
        for field in io.inputs.values()
        if len(field.shape) == 3 or (len(field.shape) == 2 and format_of(field).indices)
    ]
    if not sizes or not isinstance(options, NetOptions):
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
    for height, width in sizes:
        if height % multiple == 0 and width % multiple == 0:
            continue
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


def planned_steps(train: Train, samples: int, world: int = 1) -> int:
    """Return the number of steps that a recipe plans.

    Args:
        train: the recipe's table.
        samples: the number of samples of the training data.
        world: the number of processes.
    """
    return -(-train.epochs * samples // (train.batch_size * world * train.accumulate))
