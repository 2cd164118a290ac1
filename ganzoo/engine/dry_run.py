"""One step without data, weights or optimizers: do networks, loss and task fit together?

What a network takes and a loss wants is known to nobody but them, so the only honest question is to
play a step. It is played on the meta device, where tensors have shapes and no numbers, so that it
costs nothing; and once more with numbers if that fails, since code may look at them. A run on the
CPU has networks with numbers already and plays with copies of them: less than its first step costs,
where on the meta device torch would first import its compiler, for 0.8 s.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.rng import isolated
from ganzoo.engine.build import Plan, build_diffaugments, build_loss, build_network
from ganzoo.engine.optimize import idle, total_of, trained
from ganzoo.engine.wrapped_networks import Promise
from ganzoo.errors import GanzooError, PluginError, RecipeError, error_text
from ganzoo.interfaces import Clock, DiffAugment
from ganzoo.nn import weights_follow
from ganzoo.plugin_system.blame import last_line
from ganzoo.recipe.model import Recipe

_STEPS = 32
"""Most steps that are played, so that a player who moves now and then has its turn too."""


class _Net:
    """`ganzoo.interfaces.Net` without wrappers."""

    def __init__(
        self, raw: nn.Module, promise: Promise | None, augments: Iterable[DiffAugment]
    ) -> None:
        self.module = raw
        self.promise = promise
        self.augments = augments
        self.clock = Clock(0, 0, 0.0)

    def __call__(self, *x: Any, precise: bool = False) -> Any:  # noqa: ARG002  # no autocast here
        shown, *rest = x
        for augment in self.augments:
            shown = augment(shown, self.clock)
        output = self.module(shown, *rest)
        if self.promise is not None:
            self.promise.check(shown, output)
        return output

    @contextmanager
    def frozen(self) -> Iterator[Callable[..., Any]]:
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.module.requires_grad_(False)
        try:
            yield self
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)


class _Optimize:
    """`ganzoo.interfaces.Optimize` that looks at the terms and moves nothing."""

    clock: Clock

    def __init__(self, players: Mapping[str, tuple[str, ...]]) -> None:
        self.players = players
        self.moved: set[str] = set()
        self.turns = 0

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        if player not in self.players:
            known = ", ".join(self.players)
            raise PluginError(f"the task optimises {player!r}, and its players are: {known}")
        total_of(player, terms)
        self.moved.add(player)
        self.turns += 1


def rehearse(
    recipe: Recipe,
    plan: Plan,
    networks: Mapping[str, nn.Module] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Play the recipe's task on made-up batches until each player had a turn: one step, mostly.

    Args:
        recipe: whose task, losses and augmentations play.
        plan: its networks.
        networks: those of a run on the CPU, of which copies play.
        dtype: theirs.

    Raises:
        RecipeError: networks, loss and task don't fit together, with the cause; or networks that
            are used would have no moving average, though the recipe wants averages.
        PluginError: a term is no single number, or doesn't depend on its player's weights; a step
            gives no player a turn.
    """
    if recipe.ema.enabled:
        _check_averages(recipe, plan)
    with isolated(0):
        try:
            copies = None if networks is None else _copied(networks)
            if copies is None:
                _without_numbers(recipe, plan)
            else:
                count = recipe.train.batch_size
                _step(recipe, plan, copies, torch.device("cpu"), dtype, count)
        except GanzooError:
            raise
        except Exception as error:
            parts = [*(one.id for one in plan.chosen.values())]
            parts += [entry.chosen.id for entry in recipe.loss]
            parts += [chosen.id for chosen in recipe.diffaugment]
            raise RecipeError(
                f"{recipe.task.id} can't make a step with {', '.join(parts)}: {error_text(error)}",
                where=last_line(error),
                hint="take another component; if these should fit, tell their authors",
            ) from error


def _check_averages(recipe: Recipe, plan: Plan) -> None:
    """Refuse averages that a network wouldn't have: its plain weights would be used in silence."""
    averaged = [role for role in plan.chosen if plan.task.roles[role] == "generator"]
    plain = [role for role in plan.task.serves if role in plan.chosen and role not in averaged]
    if plain or not averaged:
        where = f"{plain[0]} is a [{plan.task.roles[plain[0]]}]" if plain else "it has none"
        raise RecipeError(
            f"[ema] averages the weights of generators; of {recipe.task.id} {where}",
            where=recipe.name,
            hint="Set ema.enabled = false.",
        )


def _copied(networks: Mapping[str, nn.Module]) -> dict[str, nn.Module] | None:
    """Copies of networks; None where one can't be copied (`torch.nn.utils.weight_norm`)."""
    try:
        return copy.deepcopy(dict(networks))
    except Exception:  # noqa: BLE001  # whatever a plugin's network holds
        return None


def _without_numbers(recipe: Recipe, plan: Plan) -> None:
    """A step on the meta device; with numbers, which cost, of two images if that fails."""
    device, dtype, count = torch.device("meta"), torch.float32, recipe.train.batch_size
    try:
        _step(recipe, plan, _built(recipe, plan, device), device, dtype, count)
    except GanzooError:
        raise
    except Exception:  # noqa: BLE001  # whatever a plugin's code raises without numbers
        device = torch.device("cpu")
        with weights_follow():
            networks = _built(recipe, plan, device)
        _step(recipe, plan, networks, device, dtype, min(count, 2))


def _built(recipe: Recipe, plan: Plan, device: torch.device) -> dict[str, nn.Module]:
    networks = {}
    for role, chosen in plan.chosen.items():
        with device:
            network = build_network(chosen, plan.io[role], recipe.train.seed, role)
        networks[role] = network.to(device)
    return networks


def _step(
    recipe: Recipe,
    plan: Plan,
    networks: Mapping[str, nn.Module],
    device: torch.device,
    dtype: torch.dtype,
    count: int,
) -> None:
    for player, roles in plan.players.items():
        trained(player, {role: networks[role] for role in roles})
    loss = build_loss(recipe, plan, device, dtype)
    augments = build_diffaugments(recipe, device, dtype)
    nets = {}
    for role, network in networks.items():
        table, promise = plan.task.roles[role], Promise(plan.chosen[role].id, role, plan.io[role])
        nets[role] = _Net(
            network,
            promise if table == "generator" else None,
            augments if table == "discriminator" else (),
        )
    task = plan.task(recipe.task.options, nets, loss)
    optimize, batch = _Optimize(plan.players), _batch(plan, count, device, dtype)
    for step in range(_STEPS):
        task.clock = optimize.clock = Clock(step, 0, 0.0)
        for net in nets.values():
            net.clock = task.clock
        before = optimize.turns
        task.step(batch, optimize)
        if optimize.turns == before:
            raise idle(recipe.task.id, step + 1)
        if optimize.moved.issuperset(plan.players):
            break


def _batch(plan: Plan, count: int, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """A batch of the fields' shapes and kinds."""
    batch: dict[str, Tensor] = {}
    for name, field in plan.fields.items():
        whole = field.kind in {"labels", "class"}
        if whole:
            batch[name] = torch.zeros((count, *field.shape), dtype=torch.int64, device=device)
        else:
            batch[name] = torch.rand((count, *field.shape), device=device, dtype=dtype)
            batch[name] = field.low + (field.high - field.low) * batch[name]
    return batch
