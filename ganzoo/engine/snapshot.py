"""Take the whole state of a run out of a trainer and put it back, so that a resume is exact.

Weights, EMA and optimizers are the same in every process. Random generators, batch-norm
statistics, log windows and the task's own state differ, and are stored for each process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import NetOptions
from ganzoo.data import rng
from ganzoo.engine import checkpoint
from ganzoo.engine.build import parts_of
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import DataError, GanzooError, PluginError, error_text
from ganzoo.inference.weights_card import WeightsCard, without_places
from ganzoo.inference.weights_file import fill
from ganzoo.plugin_system.registry import current


def capture(trainer: Trainer) -> checkpoint.State:
    """Return everything that a resume needs; with several processes this is a collective call.

    Raises:
        GanzooError: when the processes' weights differ.
        PluginError: when the task's state can't be stored.
    """
    session = trainer.session
    _check_ranks_agree(trainer)
    state = checkpoint.State(step=trainer.steps, images=trainer.images)
    for role, net in trainer.nets.items():
        state.weights[role] = (card(trainer, role, ema=False), _averaged(trainer, net))
    for role, ema in trainer.ema.items():
        averaged = _averaged(trainer, ema.module)
        state.weights[f"{role}.ema"] = (card(trainer, role, ema=True), averaged)
    optimizer_tensors, stepper = trainer.stepper.state()
    state.tensors.update(optimizer_tensors)
    mine: dict[str, Tensor] = {}
    random_tensors, random_plain = rng.get_state()
    mine.update({f"rng/{name}": tensor for name, tensor in random_tensors.items()})
    kept: Any = trainer.task.state_dict()
    if not isinstance(kept, dict):
        raise PluginError(
            f"{trainer.recipe.task.id} returns a {type(kept).__name__} as its state",
            hint="Its `state_dict` must return a dict; report this to its authors.",
        )
    task = checkpoint.split_tensors(kept, "task", mine)
    mine.update(_kept_buffers(trainer))
    if session.world > 1:
        for role, net in trainer.nets.items():
            for name, buffer in net.named_buffers():
                mine[f"buffer/{role}/{name}"] = buffer.detach()
        for key in [k for k in state.tensors if k.startswith("window/")]:
            mine[key] = state.tensors.pop(key)
    mine = {name: tensor.detach().cpu() for name, tensor in mine.items()}
    ranks = []
    for rank, (tensors, plain) in enumerate(
        session.gather((mine, {"rng": random_plain, "task": task}))
    ):
        state.tensors.update({f"rank{rank}/{name}": t for name, t in tensors.items()})
        ranks.append(plain)
    state.plain = {
        "stepper": stepper,
        "ranks": ranks,
        "best": trainer.best,
        "seconds": trainer.seconds,
        "revisions": {role: c.component.revision for role, c in trainer.plan.chosen.items()},
    }
    return state


def _averaged(trainer: Trainer, net: nn.Module) -> dict[str, Tensor]:
    """Return a network's state with batch-norm statistics averaged over all processes."""
    tensors: dict[str, Tensor] = dict(net.state_dict())
    if trainer.session.world > 1:
        for name, buffer in net.named_buffers():
            if name in tensors and buffer.is_floating_point():
                tensors[name] = trainer.session.mean(buffer.detach())
    return tensors


def _check_ranks_agree(trainer: Trainer) -> None:
    """Check that all processes have the same weights, bit for bit.

    Raises:
        GanzooError: when the weights differ; nothing is saved then.
    """
    if trainer.session.world == 1:
        return
    for role, net in trainer.nets.items():
        bits = [p.detach().reshape(-1).view(torch.int32).sum() for p in net.parameters()]
        sums = trainer.session.gather([int(value) for value in bits])
        if any(other != sums[0] for other in sums):
            raise GanzooError(
                f"the processes' weights of {role} differ after step {trainer.steps}",
                hint="A task must call its networks in the same way in every process. Nothing was "
                "saved; please report this.",
            )


def restore(trainer: Trainer, state: checkpoint.State) -> list[str]:
    """Put a state into a trainer.

    Returns:
        Sentences for the user: another number of processes makes the resume inexact.

    Raises:
        PluginError: when a component's revision differs from the saved one.
        DataError: when weights or state don't fit the recipe's networks and task. The trainer
            can't be used then, until another state is restored.
    """
    notes: list[str] = []
    for role, chosen in trainer.plan.chosen.items():
        saved = state.plain["revisions"].get(role)
        if saved is None:
            raise DataError(f"it has no revision of {role}", where=f"step {state.step}")
        if saved != chosen.component.revision:
            raise PluginError(
                f"the checkpoint has revision {saved} of {chosen.id}, the installed one is "
                f"{chosen.component.revision}",
                hint="Install the plugin's version that the run began with.",
            )
    for role, net in trainer.nets.items():
        _fill(trainer, role, net, state, role)
    for role, ema in trainer.ema.items():
        _fill(trainer, role, ema.module, state, f"{role}.ema")
    with _fitting(state, "the random generators, optimizers and buffers"):
        notes += _restore_training(trainer, state)
    with _fitting(state, f"the state of {trainer.recipe.task.id}"):
        _restore_task(trainer, state)
    trainer.steps, trainer.images = state.step, state.images
    trainer.best = state.plain["best"]
    trainer.seconds = state.plain["seconds"]
    trainer.restart_stream()
    return notes


@contextmanager
def _fitting(state: checkpoint.State, what: str) -> Iterator[None]:
    """Name the checkpoint in an error when its content can't be restored.

    Its files have correct hashes and all keys, so only their values can be wrong.

    Raises:
        DataError: in place of the errors of Python and torch.
    """
    try:
        yield
    except Exception as error:
        message = f"{what} can't be restored ({error_text(error)})"
        raise DataError(message, where=f"step {state.step}") from error


def _restore_training(trainer: Trainer, state: checkpoint.State) -> list[str]:
    """Restore optimizers, log window, scaler, random generators and each process's buffers."""
    ranks, rank = state.plain["ranks"], trainer.session.rank
    mine = _of_rank(state, rank)
    known = mine or _of_rank(state, 0)  # an additional process gets the state of the first one
    windows = {name: tensor for name, tensor in known.items() if name.startswith("window/")}
    trainer.stepper.load_state({**state.tensors, **windows}, state.plain["stepper"])
    for name, tensor in _kept_buffers(trainer).items():
        if name in known:  # older versions didn't save the buffers of losses
            tensor.copy_(known[name])
    if len(ranks) != trainer.session.world:
        rng.seed_all(rng.seed_for(trainer.recipe.train.seed, "training", rank, state.step))
        note = f"the run had {len(ranks)} processes and continues with {trainer.session.world}"
        return [f"{note}: the results aren't bit for bit those of an uninterrupted run"]
    rng.set_state(
        {n.removeprefix("rng/"): t for n, t in mine.items() if n.startswith("rng/")},
        ranks[rank]["rng"],
    )
    for name, tensor in mine.items():
        if name.startswith("buffer/"):
            _, role, buffer = name.split("/", 2)
            trainer.nets[role].get_buffer(buffer).copy_(tensor)
    return []


def _restore_task(trainer: Trainer, state: checkpoint.State) -> None:
    ranks, rank = state.plain["ranks"], trainer.session.rank
    if rank < len(ranks):
        mine = _of_rank(state, rank)
        trainer.task.load_state_dict(checkpoint.join_tensors(ranks[rank]["task"], mine))


def _fill(trainer: Trainer, role: str, net: nn.Module, state: checkpoint.State, stem: str) -> None:
    where = f"{stem} of step {state.step}"
    if stem not in state.weights:
        raise DataError("the checkpoint lacks these weights, which the recipe has", where=where)
    fill(net, state.weights[stem][1], trainer.plan.chosen[role].id, where)


def _kept_buffers(trainer: Trainer) -> dict[str, Tensor]:
    """Return the buffers of losses and differentiable augmentations that are modules."""
    parts: dict[str, Any] = {f"loss/{name}": one for name, one in parts_of(trainer.loss).items()}
    parts |= {f"diffaugment/{i}": part for i, part in enumerate(trainer.diffaugments)}
    return {
        f"{name}/{buffer}": tensor
        for name, part in parts.items()
        if isinstance(part, nn.Module)
        for buffer, tensor in part.named_buffers()
    }


def _of_rank(state: checkpoint.State, rank: int) -> dict[str, Tensor]:
    """Return the tensors that were saved for one process; empty if there was no such process."""
    start = f"rank{rank}/"
    return {n.removeprefix(start): t for n, t in state.tensors.items() if n.startswith(start)}


def card(trainer: Trainer, role: str, *, ema: bool) -> WeightsCard:
    """Return the description of a role's weights for the metadata of their file."""
    chosen = trainer.plan.chosen[role]
    options = chosen.options
    record = current().record_of(chosen.id)
    recipe = trainer.recipe
    return WeightsCard(
        role=role,
        kind=trainer.plan.task.roles[role],
        network=chosen.as_table(),
        revision=chosen.component.revision,
        io=trainer.plan.io[role],
        task=recipe.task.as_table(),
        fields=dict(trainer.data.fields),
        data=without_places(trainer.data.chosen.as_table()),
        size_multiple=options.size_multiple() if isinstance(options, NetOptions) else 1,
        inference={"mode": recipe.inference.mode, "seed": 0},
        plugin={"distribution": record.distribution, "version": record.version},
        ema=ema,
        step=trainer.steps,
        images=trainer.images,
        recipe=recipe.name,
        recipe_sha256=recipe.sha256,
    )
