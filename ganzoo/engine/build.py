"""From a recipe's names to networks, loss and task: everything that is built, and its checks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Chosen, NetOptions
from ganzoo.data.rng import isolated, seed_for
from ganzoo.errors import DataError, GanzooError, PluginError, RecipeError
from ganzoo.interfaces import DiffAugment, Field, Loss, LossInputs, NetIO, Shape, Task
from ganzoo.nn import weights_follow
from ganzoo.recipe.model import Optimizer, Recipe

_ROLE = re.compile(r"[A-Za-z0-9_-]+")


class SummedLoss:
    """Several losses as one; their terms are logged as `name/term`."""

    def __init__(self, parts: Mapping[str, Loss]) -> None:
        self.parts = parts
        self.real_in_generator_turn = any(
            getattr(part, "real_in_generator_turn", False) for part in parts.values()
        )

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Terms of every part."""
        return {
            f"{name}/{term}": value
            for name, part in self.parts.items()
            for term, value in _terms(name, part.discriminator(inputs)).items()
        }

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Terms of every part."""
        return {
            f"{name}/{term}": value
            for name, part in self.parts.items()
            for term, value in _terms(name, part.generator(inputs)).items()
        }


def _terms(loss: str, given: Any) -> Mapping[str, Tensor]:
    if not isinstance(given, Mapping):
        raise PluginError(
            f"the loss {loss!r} gives a {type(given).__name__}, not terms by name",
            hint="It gives a dict of tensors in each player's turn.",
        )
    return given


@dataclass(frozen=True)
class Plan:
    """What a recipe's networks are, before any is built.

    Args:
        task: the task's class.
        chosen: the component of each role that the recipe fills.
        io: its shapes.
        players: the players that exist, with their roles.
        fields: of the data after augmentation.
    """

    task: type[Task]
    chosen: Mapping[str, Chosen]
    io: Mapping[str, NetIO]
    players: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, Field]


def plan_networks(recipe: Recipe, fields: Mapping[str, Field]) -> Plan:
    """Settle which networks a recipe trains, and for which shapes.

    Raises:
        RecipeError: a table too few or too many, an unknown player, a size the network can't take.
        DataError: data that lack a field of the task.
        PluginError: a component that can't be imported, those for after the training too; or one
            that says other than shapes and sizes where it is asked for them.
    """
    for other in (*recipe.metrics, *recipe.callbacks):
        other.load()
    task: type[Task] = recipe.task.load()
    _check_roles(recipe.task.id, task)
    missing = sorted(task.needs - set(fields))
    if missing:
        raise DataError(
            f"{recipe.task.id} needs {', '.join(sorted(task.needs))}, and {recipe.data.id} has no "
            f"{', '.join(missing)}",
            hint=f"Its fields are: {', '.join(fields)}.",
        )
    apart = sorted(name for name in task.needs if not fields[name].aligned)
    if task.needs_aligned and apart:
        raise DataError(
            f"{recipe.task.id} learns from pairs, and the {apart[0]} of {recipe.data.id} doesn't "
            "belong to its sample's other fields",
            hint="Take data that are pairs, or a task for unpaired ones.",
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
            f"{recipe.task.id} has no use for [{unused[0]}]",
            where=recipe.name,
            hint=f"Its networks are: {', '.join(sorted(set(task.roles.values())))}.",
        )
    players = {
        player: roles
        for player, all_roles in task.players.items()
        if (roles := tuple(role for role in all_roles if role in chosen))
    }
    strangers = sorted(set(recipe.players) - set(task.players))
    if strangers:
        raise RecipeError(
            f"[players.{strangers[0]}]: {recipe.task.id} has no such player",
            where=recipe.name,
            hint=f"Its players are: {', '.join(task.players)}.",
        )
    io = {role: _io(recipe.task, role, fields) for role in chosen}
    for role, component in chosen.items():
        _check_size(task.roles[role], component, io[role])
    return Plan(task, chosen, io, players, fields)


def _check_roles(component: str, task: type[Task]) -> None:
    """Roles become names of files and folders."""
    for role in (*task.roles, *task.serves):
        if not _ROLE.fullmatch(role):
            raise PluginError(
                f"{component} calls a network {role!r}: letters, digits, - and _ are allowed",
                hint="The fault lies in its plugin: tell its authors.",
            )


def _io(task: Chosen, role: str, fields: Mapping[str, Field]) -> NetIO:
    given: Any = task.load().io(role, task.options, fields)
    if not isinstance(given, NetIO):
        raise PluginError(
            f"{task.id} gives a {type(given).__name__} as the shapes of {role}",
            hint="Its `io` gives a NetIO; tell its authors.",
        )
    return given


def _check_size(table: str, component: Chosen, io: NetIO) -> None:
    options = component.options
    if len(io.inputs) != 3 or not isinstance(options, NetOptions):
        return
    multiple = options.size_multiple()
    if not isinstance(multiple, int) or multiple < 1:
        raise PluginError(
            f"{component.id} says {multiple!r} where its sizes are multiples of a whole number",
            where=table,
            hint="Its options' `size_multiple` gives 1 or more; tell its authors.",
        )
    height, width = io.inputs[1:]
    if height % multiple or width % multiple:
        instead = [
            f"{table}.{option} = {json.dumps(value)}"
            for option, value in options.fitting(height, width).items()
        ]
        raise RecipeError(
            f"{component.id} takes sizes that are multiples of {multiple}, and the images are "
            f"{height} x {width} after augmentation",
            where=table,
            hint="Nearest legal sizes: "
            f"height {nearest_sizes(height, multiple)}, width {nearest_sizes(width, multiple)}."
            + (f"\nFor these images set {' and '.join(instead)}." if instead else ""),
        )


def nearest_sizes(size: int, multiple: int) -> str:
    """The legal sizes around `size`, in words."""
    below, above = size // multiple * multiple, -(-size // multiple) * multiple
    return f"{below} or {above}" if below and below != above else str(above)


def build_network(component: Chosen, io: NetIO, seed: int, role: str) -> nn.Module:
    """Build one network; its initial weights come from (seed, role) alone.

    Raises:
        RecipeError: when the network refuses its options or shapes.
    """
    with isolated(seed_for(seed, "weights", role)):
        try:
            network = component.build(io)
        except GanzooError:
            raise
        except (ValueError, TypeError) as error:
            raise RecipeError(
                f"{component.id} can't be built: {error}",
                where=role,
                hint="Shapes are those of the data after [[augment]], where a resize or a crop "
                "makes other sizes (`ganzoo list augment`)."
                if len(io.inputs) == 3 or len(io.outputs) == 3
                else "",
            ) from error
    if not isinstance(network, nn.Module):
        raise RecipeError(f"{component.id} built a {type(network).__name__}, not an nn.Module")
    return network


def check_outputs(component: str, role: str, io: NetIO, outputs: Sequence[Shape]) -> None:
    """Compare what a generator gave with what it was built for.

    Args:
        component: its id.
        role: its role, which tells two of one kind apart.
        io: the shapes that it was built for.
        outputs: what it gave, without the batch axis.

    Raises:
        PluginError: when they differ.
    """
    if list(outputs) != [io.outputs]:
        given = " and ".join(" x ".join(map(str, shape)) for shape in outputs)
        raise PluginError(
            f"{component} gives {given}, not {' x '.join(map(str, io.outputs))}",
            where=role,
            hint=f"The fault lies in its plugin; `ganzoo show {component}` says whose it is.",
        )


@dataclass(frozen=True)
class Built:
    """What a recipe's plan becomes, built once: for a dry run and for the run itself.

    Args:
        recipe: whose networks, losses and augmentations these are.
        plan: its networks.
        networks: by role; `with_numbers` says why some may be on the meta device.
        loss: of all players.
        diffaugments: what is done to everything that a discriminator sees.
        device, dtype: where these are, and in which number format.
    """

    recipe: Recipe
    plan: Plan
    networks: Mapping[str, nn.Module]
    loss: Loss
    diffaugments: tuple[DiffAugment, ...]
    device: torch.device
    dtype: torch.dtype


def build(
    recipe: Recipe,
    plan: Plan,
    device: torch.device,
    dtype: torch.dtype,
    *,
    restored: bool = False,
) -> Built:
    """Build networks, losses and augmentations.

    Args:
        recipe: whose.
        plan: its networks.
        device: where to.
        dtype: in which number format.
        restored: a checkpoint is loaded right afterwards, so networks needn't load first weights.

    Raises:
        GanzooError: as `build_network` and `build_loss` do.
    """
    loss = build_loss(recipe, plan, device, dtype)
    diffaugments = build_diffaugments(recipe, device, dtype)
    # Of networks only: the weights of losses aren't in checkpoints.
    with weights_follow() if restored else nullcontext():
        networks = {
            role: build_network(chosen, plan.io[role], recipe.train.seed, role)
            for role, chosen in plan.chosen.items()
        }
    for network in networks.values():
        network.to(device=device, dtype=dtype)
    return Built(recipe, plan, networks, loss, diffaugments, device, dtype)


def with_numbers(built: Built) -> Built:
    """The same, with networks on the CPU in place of those on the meta device.

    There tensors have shapes and no numbers, so a check builds networks there first, which costs
    nothing; but some can't be called there.
    """
    networks = dict(built.networks)
    for role, network in built.networks.items():
        if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
            chosen, io = built.plan.chosen[role], built.plan.io[role]
            with weights_follow():
                networks[role] = build_network(chosen, io, built.recipe.train.seed, role)
    return replace(built, networks=networks)


def build_loss(recipe: Recipe, plan: Plan, device: torch.device, dtype: torch.dtype) -> Loss:
    """Build the recipe's losses, moved to the device; several become a sum.

    Raises:
        RecipeError: when there is none, or one needs a discriminator that the recipe lacks.
    """
    if not recipe.loss:
        raise RecipeError("the recipe has no [loss]", where=recipe.name)
    parts: dict[str, Loss] = {}
    has_discriminator = any(plan.task.roles[role] == "discriminator" for role in plan.chosen)
    for entry in recipe.loss:
        part: Any = entry.chosen.build()
        if isinstance(part, nn.Module):
            part.to(device=device, dtype=dtype)
        if getattr(part, "needs_discriminator", True) and not has_discriminator:
            raise RecipeError(
                f"{entry.chosen.id}, as set, needs a discriminator, and the recipe has none",
                where="loss",
                hint="Give the recipe a [discriminator], or switch the loss's GAN part off.",
            )
        name = entry.name or entry.chosen.component.name
        if name in parts:
            raise RecipeError(f"two [[loss]] tables are called {name!r}: give one a `name`")
        parts[name] = part
    return next(iter(parts.values())) if len(parts) == 1 else SummedLoss(parts)


def build_diffaugments(
    recipe: Recipe, device: torch.device, dtype: torch.dtype
) -> tuple[DiffAugment, ...]:
    """Build what is done to all that discriminators see; modules are moved to the device."""
    built = tuple(chosen.build() for chosen in recipe.diffaugment)
    for one in built:
        if isinstance(one, nn.Module):
            one.to(device=device, dtype=dtype)
    return built


def optimizer_options(recipe: Recipe, plan: Plan) -> dict[str, Optimizer]:
    """Each player's optimizer table."""
    return {player: recipe.players.get(player, recipe.optimizer) for player in plan.players}
