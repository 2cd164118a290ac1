"""Try a training step that changes nothing, to check that networks, loss and task fit together.

Only the network's code defines which inputs it accepts, and only the loss's code defines what it
needs. So a step of the task is tried with random data. A run's first real step can't replace this:
an error would leave a run directory behind, and a task may give a player its first turn in a later
step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganzoo.data.formats import format_of
from ganzoo.data.rng import isolated
from ganzoo.engine.build import Built, parts_of, with_numbers
from ganzoo.engine.discriminator_answers import Answers
from ganzoo.engine.late_players import LatePlayers, PresentNets
from ganzoo.engine.optimizers import build_optimizer
from ganzoo.engine.plan import Plan
from ganzoo.engine.player_turns import check_turn, idle, total_of, trained
from ganzoo.engine.players import optimizer_options
from ganzoo.engine.resting_players import check_rests
from ganzoo.engine.wrapped_networks import Declared
from ganzoo.errors import GanzooError, RecipeError, error_text
from ganzoo.interfaces import Clock, DiffAugment, Field, Task
from ganzoo.plugin_system.blame import last_line
from ganzoo.recipe.model import Recipe

_STEPS = 32
"""The largest number of steps in a dry run. It is large enough for players that are updated only in
some of the steps."""


class _Net:
    """An implementation of `ganzoo.interfaces.Net` without wrappers."""

    def __init__(self, raw: nn.Module, declared: Declared, augments: Iterable[DiffAugment]) -> None:
        self.module = raw
        self.declared = declared
        self.augments = augments
        self.clock = Clock(0, 0, 0.0)

    def __call__(self, *x: Any, precise: bool = False) -> Any:  # noqa: ARG002  # no autocast here
        self.declared.check_inputs(x)
        shown, *rest = x
        for augment in self.augments:
            shown = augment(shown, self.clock)
        output = self.module(shown, *rest)
        self.declared.check_outputs(x, output)
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
    """An implementation of `ganzoo.interfaces.Optimize` that checks terms and changes no weight."""

    clock: Clock

    def __init__(self, players: Mapping[str, tuple[str, ...]], not_begun: frozenset[str]) -> None:
        self.players = players
        self.not_begun = not_begun
        self.moved: set[str] = set()
        self.turns = 0

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        check_turn(player, self.players, self.not_begun)
        total_of(player, terms)
        self.moved.add(player)
        self.turns += 1


def try_step(built: Built, *, on_meta: bool) -> None:
    """Run the recipe's task on random batches until each player had a turn.

    Usually one step is enough. Networks, losses and augmentations stay unchanged: their weights
    and buffers are temporarily replaced by copies, attributes that they set in the step are
    restored, and so are the states of the process's random generators.

    Args:
        built: the networks, losses and augmentations of a run.
        on_meta: whether to try the meta device first. There tensors have shapes but no values, so
            that a step takes no memory. Only where that fails, a step of at most two images is
            made with values. It is False on a CPU, where a step takes less time than the 0.8 s in
            which torch imports the modules for meta tensors.

    Raises:
        RecipeError: when networks, loss and task don't fit together; the error contains the cause.
        PluginError: when a term isn't a single number or doesn't depend on its player's weights,
            when a step gives no player a turn, or when an augmentation adapts to answers that the
            task doesn't give.
    """
    count = built.recipe.train.batch_size
    with isolated(0), parts_named(built.recipe, built.plan):
        if not on_meta:
            _on_device(built, built.device, count)
            return
        try:
            _on_device(built, torch.device("meta"), count)
        except GanzooError:
            raise
        except Exception:  # noqa: BLE001  # a plugin's code may raise anything on the meta device
            _on_device(with_numbers(built), built.device, min(count, 2))


@contextmanager
def parts_named(recipe: Recipe, plan: Plan) -> Iterator[None]:
    """List all components of a recipe in an error that one of them raises.

    Raises:
        RecipeError: in place of each error that isn't a GanzooError.
    """
    try:
        yield
    except GanzooError:
        raise
    except Exception as error:
        parts = [*(one.id for one in plan.chosen.values())]
        parts += [entry.chosen.id for entry in recipe.loss]
        parts += [chosen.id for chosen in recipe.diffaugment]
        raise RecipeError(
            f"{recipe.task.id} can't make a step with {', '.join(parts)}: {error_text(error)}",
            where=last_line(error),
            hint="use another component; if these should work together, report this to their "
            "authors",
        ) from error


def _on_device(built: Built, device: torch.device, count: int) -> None:
    """Run steps of `count` images with copies of all weights and buffers."""
    parts = (*built.networks.values(), *parts_of(built.loss).values(), *built.diffaugments)
    modules = _Together(
        (part for part in parts if isinstance(part, nn.Module)),
        lambda: _steps(built, device, count),
    )
    tensors = {name: buffer.to(device, copy=True) for name, buffer in modules.named_buffers()}
    tensors |= {
        name: nn.Parameter(weight.detach().to(device, copy=True), weight.requires_grad)
        for name, weight in modules.named_parameters()
    }
    compiled = built.recipe.train.compile != "off"
    # Compilation for a single step would take longer than the rest of the check.
    eager = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
    with eager, _attributes_restored(modules):
        functional_call(modules, tensors, ())


@contextmanager
def _attributes_restored(modules: nn.Module) -> Iterator[None]:
    """Restore what modules set in the block, such as a grid that is made at the first call.

    It would otherwise stay on the meta device, or belong to the random batch.
    """
    before = [(one, dict(vars(one)), dict(one._buffers)) for one in modules.modules()]  # noqa: SLF001
    try:
        yield
    finally:
        for module, attributes, buffers in before:
            vars(module).clear()
            vars(module).update(attributes)
            module._buffers.clear()  # noqa: SLF001
            module._buffers.update(buffers)  # noqa: SLF001


class _Together(nn.Module):
    """Combine modules, so that `functional_call` can replace the tensors of all of them at once."""

    def __init__(self, modules: Iterable[nn.Module], function: Callable[[], None]) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(modules)
        self.function = function

    def forward(self) -> None:
        self.function()


def _steps(built: Built, device: torch.device, count: int) -> None:
    recipe, plan = built.recipe, built.plan
    nets = {}
    for role, network in built.networks.items():
        nets[role] = _Net(
            network,
            Declared(recipe.task.id, plan.chosen[role].id, role, plan.io[role]),
            built.diffaugments if plan.task.roles[role] == "discriminator" else (),
        )
    answers = Answers(recipe, built.loss, built.diffaugments)
    late = LatePlayers(recipe, plan)
    present = PresentNets(nets)
    task = plan.make_task(recipe.task.options, present, answers.loss)
    batch = _batch(plan, count, device, built.dtype)

    def play(not_begun: frozenset[str]) -> None:
        present.hidden = late.hidden(not_begun)
        _play(
            task, nets.values(), _Optimize(plan.players, not_begun), batch, answers, recipe.task.id
        )

    play(frozenset())
    if late.begins:
        waiting = frozenset(late.begins)
        try:
            play(waiting)
        except RecipeError as error:
            error.message += f" before {' and '.join(sorted(waiting))} begins"
            way = (
                "Until then the loss is shown no discriminator. Use a loss that has terms without "
                f"one, or leave out `begin` of {' and '.join(sorted(waiting))}."
            )
            error.hint = "\n".join(filter(None, (error.hint, way)))
            raise
    answers.check_any()
    check_rests(recipe, plan, seen=answers.accuracy() is not None)


def try_optimizers(built: Built) -> None:
    """Build each player's optimizer once, for weights that have a shape and take no memory.

    A run needs no such check, since it builds them for its training.

    Raises:
        RecipeError: when a player has no weights to train, or an optimizer refuses its options.
        PluginError: when an optimizer or a schedule fails.
    """
    tables = optimizer_options(built.recipe, built.plan)
    for player, roles in built.plan.players.items():
        named = trained(player, {role: built.networks[role] for role in roles})
        zero = torch.zeros((), dtype=built.dtype)
        weights = [nn.Parameter(zero.expand(weight.shape)) for _, weight in named]
        with isolated(0):
            build_optimizer(tables[player], weights, built.recipe.train.epochs)


def _play(
    task: Task,
    nets: Iterable[_Net],
    optimize: _Optimize,
    batch: dict[str, Tensor],
    answers: Answers,
    name: str,
) -> None:
    """Make steps until each player that has begun had a turn."""
    begun = optimize.players.keys() - optimize.not_begun
    for step in range(_STEPS):
        task.clock = optimize.clock = Clock(step, 0, 0.0)
        for net in nets:
            net.clock = task.clock
        before = optimize.turns
        task.step(batch, optimize)
        answers.tell(task.clock)
        if optimize.turns == before:
            raise idle(name, step + 1)
        if optimize.moved.issuperset(begun):
            break


def _batch(plan: Plan, count: int, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return a random batch with the shapes and formats of the fields."""
    batch: dict[str, Tensor] = {}
    for name, field in plan.fields.items():
        batch[name] = zeros(field, count, device, dtype)
        if batch[name].is_floating_point():
            random = torch.rand((count, *field.shape), device=device, dtype=dtype)
            batch[name] = 2 * random - 1
    return batch


def zeros(field: Field, count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a batch of a field: integers for indices, otherwise floats."""
    whole = format_of(field).indices
    return torch.zeros((count, *field.shape), dtype=torch.int64 if whole else dtype, device=device)
