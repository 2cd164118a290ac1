"""What is demanded of tasks: sound declarations, clean turns, exact resumes, and that they learn."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn

from ganzoo.data.pipeline import open_data
from ganzoo.engine import checkpoint
from ganzoo.engine.state import capture, restore
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import DataError, GanzooError
from ganzoo.files import write_text
from ganzoo.interfaces import Field, NetIO, Role, Task
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.write import to_toml
from ganzoo.testing.kit import CheckFailed, NotApplicable, Subject, check, require
from ganzoo.testing.tiny import tiny_host, tiny_recipe
from ganzoo.testing.trial import (
    OnlySome,
    Spy,
    Watched,
    batch_of,
    changed,
    inferring,
    training,
    weights_of,
)

_PATIENCE = 12
"""Steps within which every player must have had a turn: critics may play five times as often."""
_HALF = 4
"""Steps before and after a checkpoint."""
_SECONDS = 2.5
"""Time in which a task must overfit one batch, for each learning rate that is tried."""
_RATES = (0.01, 0.002, 0.05)


@check("task")
def check_task_declarations(subject: Subject) -> None:
    """Roles, players, needs, serves and optional roles are declared and fit each other."""
    task: Any = subject.choose().load()
    require(
        isinstance(task, type) and issubclass(task, Task), f"{subject.id} is no subclass of Task"
    )
    for name in ("roles", "players", "needs", "serves"):
        require(hasattr(task, name), f"the class doesn't declare `{name}`")
    require(task.roles, "`roles` is empty: a task has networks")
    for role, table in task.roles.items():
        legal = ", ".join(get_args(Role))
        require(table in get_args(Role), f"role {role!r} is a {table!r}, and may be: {legal}")
    require(task.players, "`players` is empty: nobody would be trained")
    owners: dict[str, str] = {}
    for player, roles in task.players.items():
        require(
            isinstance(roles, tuple) and roles,
            f"player {player!r} moves {roles!r}: give a tuple of roles, one or more",
        )
        for role in roles:
            require(role in task.roles, f"player {player!r} moves {role!r}, which is no role")
            require(
                role not in owners,
                f"role {role!r} is moved by two players, {owners.get(role)!r} and {player!r}",
            )
            owners[role] = player
    _fields_declared(task)
    strangers = sorted(set(task.optional) - set(task.roles))
    require(not strangers, f"`optional` has {strangers}, which are no roles")
    require(
        any(set(roles) - set(task.optional) for roles in task.players.values()),
        "every role is optional: a recipe could leave nobody to train",
    )


def _fields_declared(task: Any) -> None:
    require(
        not isinstance(task.needs, str) and all(isinstance(name, str) for name in task.needs),
        f"`needs` is {task.needs!r}: give a frozenset of names of fields",
    )
    for role, pair in task.serves.items():
        require(role in task.roles, f"`serves` has {role!r}, which is no role")
        require(
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(name, str) for name in pair),
            f"`serves` has {pair!r} for {role!r}: give (field that goes in, field that comes out)",
        )
        require(
            task.roles[role] != "discriminator",
            f"`serves` has {role!r}, a discriminator: nobody predicts with one",
        )


@check("task")
def check_task_io(subject: Subject) -> None:
    """`io` gives each role its shapes, the same every time, and refuses fields that don't fit."""
    recipe = tiny_recipe(subject)
    task, options = recipe.task.load(), recipe.task.options
    fields = open_data(recipe, "train").fields
    for role in task.roles:
        io = task.io(role, options, fields)
        require(isinstance(io, NetIO), f"io({role!r}) is a {type(io).__name__}, not a NetIO")
        for shape in (io.inputs, io.outputs):
            require(
                isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape),
                f"io({role!r}) has {shape!r}: a shape is a tuple of positive integers",
            )
        require(io == task.io(role, options, fields), f"io({role!r}) isn't the same every time")
    for name in sorted(task.needs):
        _refuses_unfit(task, options, fields, name)


def _refuses_unfit(task: type[Task], options: Any, fields: Mapping[str, Field], name: str) -> None:
    """A needed field of another kind gives a `DataError` or, if it was no image, shapes."""
    was_image = fields[name].kind == "image"
    other = Field((), "class") if was_image else Field((3, 8, 8), "image")
    refused = False
    for role in task.roles:
        try:
            task.io(role, options, {**fields, name: other})
        except DataError:
            refused = True
        except Exception as error:
            message = (
                f"io({role!r}) meets a {other.kind} as {name!r} and raises {error!r}: raise a "
                "ganzoo.errors.DataError that says what the field must be"
            )
            raise CheckFailed(message) from error
    require(
        refused or not was_image,
        f"io takes a class index for the image {name!r}: raise a ganzoo.errors.DataError",
    )


@check("task")
def check_task_step(subject: Subject) -> None:
    """Each turn has finite terms, moves its player's weights alone and leaves no gradient behind."""
    with training(tiny_recipe(subject)) as trainer:
        _play_all(trainer)


@check("task")
def check_task_accumulates(subject: Subject) -> None:
    """With accumulated gradients no weight moves before the last batch, and then each player's."""

    def put(document: dict[str, Any]) -> None:
        document["train"] |= {"accumulate": 2, "epochs": 2 * document["train"]["epochs"]}

    with training(tiny_recipe(subject, put)) as trainer:
        watched = _play_all(trainer)
    require(
        any(not turn.final for turn in watched.turns),
        "no player had a turn in a batch whose gradients are only accumulated",
    )


def _play_all(trainer: Trainer) -> Watched:
    """Step until every player had its turn; each turn is judged."""
    watched = Watched(trainer)
    waiting = set(trainer.plan.players)
    for _ in range(_PATIENCE):
        trainer.step()
        for turn in watched.turns:
            whose = f"the turn of player {turn.player!r}"
            require(
                not turn.strays, f"{whose} also changes weights that aren't its own: {turn.strays}"
            )
            require(
                not turn.leaks,
                f"{whose} leaves gradients on weights that aren't its own "
                f"({len(turn.leaks)}, such as {min(turn.leaks, default='')}): show the other "
                "player's network under `with net.frozen()`, and detach what isn't this turn's",
            )
            if turn.final:
                require(turn.moved, f"{whose} changes none of its weights")
                waiting -= {turn.player}
            else:
                require(not turn.moved, f"{whose} moves weights while gradients are accumulated")
        if not waiting:
            return watched
    message = f"after {_PATIENCE} steps these players never had a turn: {sorted(waiting)}"
    raise CheckFailed(message)


@check("task")
def check_task_gradients_reach_the_generator(subject: Subject) -> None:
    """In the generator's turn gradients pass through the discriminator to what was made."""
    with training(tiny_recipe(subject)) as trainer:
        if not any(trainer.plan.task.roles[role] == "discriminator" for role in trainer.nets):
            raise NotApplicable("the recipe has no discriminator")
        spy = Spy(trainer.loss)
        trainer.task = trainer.plan.task(trainer.recipe.task.options, trainer.prepared, spy)
        for _ in range(_PATIENCE):
            trainer.step()
            require(not spy.blind, f"in the generator's turn {next(iter(spy.blind), '')}")
            if spy.looks:
                return
    raise NotApplicable("the task shows no discriminator to its loss in the generator's turn")


@check("task")
def check_task_samples(subject: Subject) -> None:
    """`sample` gives finite tensors with one row a sample, the same under a seed."""
    with training(tiny_recipe(subject)) as trainer:
        before = weights_of(trainer.nets)
        shown = []
        for _ in range(2):
            batch = batch_of(trainer, 0, 1)
            with inferring(trainer, 5):
                shown.append(trainer.task.sample(batch, dict(trainer.shown)))
        once, again = shown
        require(isinstance(once, dict) and once, "`sample` gives nothing to show")
        for caption, rows in once.items():
            require(
                isinstance(rows, Tensor) and rows.ndim > 1 and len(rows) == 2,
                f"{caption!r} isn't a tensor with a row for each of the batch's 2 samples",
            )
            require(torch.isfinite(rows).all(), f"{caption!r} has values that aren't finite")
        require(not changed(once, again), f"not the same under a seed: {changed(once, again)}")
        touched = changed(before, weights_of(trainer.nets))
        require(not touched, f"`sample` changes the networks: {touched[:3]}")


@check("task")
def check_task_predicts(subject: Subject) -> None:
    """`predict` makes what `serves` says, the same under a seed, whatever else is in the batch."""
    with training(tiny_recipe(subject)) as trainer:
        task = trainer.plan.task
        served = {role: pair for role, pair in task.serves.items() if role in trainer.nets}
        if not served:
            raise NotApplicable("the task serves no network")
        for role, (source, target) in served.items():
            io, fields = trainer.plan.io[role], trainer.plan.fields

            def predict(*indices: int, role: str = role, source: str = source) -> Tensor:
                batch = batch_of(trainer, *indices)
                if source not in batch:  # noise, which no data hold
                    shape = trainer.plan.io[role].inputs
                    rows = [
                        torch.randn(shape, generator=torch.Generator().manual_seed(index))
                        for index in indices
                    ]
                    batch[source] = torch.stack(rows)
                with inferring(trainer, 5):
                    net, options = trainer.shown[role], trainer.recipe.task.options
                    return task.predict(options, role, net, {source: batch[source]})

            made = predict(0, 1)
            shape = (2, *(fields[target].shape if target in fields else io.outputs))
            require(
                tuple(made.shape) == shape,
                f"{role!r} predicts {target!r} as {tuple(made.shape)}, and it should be {shape}",
            )
            require(torch.isfinite(made).all(), f"{role!r} predicts values that aren't finite")
            require(torch.equal(made, predict(0, 1)), f"{role!r} isn't the same under a seed")
            require(
                torch.allclose(made[0], predict(0, 2)[0], rtol=1e-4, atol=1e-5),
                f"what {role!r} makes of a sample changes with the others in its batch",
            )


@check("task")
def check_task_resume(subject: Subject) -> None:
    """A resume is exact: N steps, a checkpoint and N steps give the bits of 2N steps."""
    recipe = tiny_recipe(subject)
    with training(recipe) as trainer:
        _steps(trainer, _HALF)
        try:
            saved = checkpoint.save(subject.folder, capture(trainer), keep=1, best=None)
        except (GanzooError, TypeError, ValueError) as error:
            message = f"its state can't be saved: {error}"
            raise CheckFailed(message) from error
        kept = _flat(trainer.task.state_dict())
        _steps(trainer, _HALF)
        whole = _everything(trainer)
    with training(recipe) as trainer:
        restore(trainer, checkpoint.load(saved))
        lost = changed(kept, _flat(trainer.task.state_dict()))
        require(not lost, f"load_state_dict doesn't bring back what state_dict gave: {lost[:3]}")
        _steps(trainer, _HALF)
        other = changed(whole, _everything(trainer))
    require(
        not other,
        f"after a resume {len(other)} tensors differ (such as {other[:3]}): whatever influences "
        "later steps belongs in state_dict, or must come from torch's random generator",
    )


def _steps(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        trainer.step()


def _everything(trainer: Trainer) -> dict[str, Tensor]:
    """Weights, optimizers and the task's state."""
    tensors = weights_of(trainer.nets)
    tensors |= {name: t.clone() for name, t in trainer.stepper.state()[0].items()}
    return tensors | _flat(trainer.task.state_dict())


def _flat(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A task's state as tensors by name; plain values as the bytes of their text."""
    tensors: dict[str, Tensor] = {}
    plain = checkpoint.split_tensors(state, "task", tensors)
    text = repr(plain).encode()
    copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    return copies | {"task (plain values)": torch.tensor(list(text), dtype=torch.uint8)}


@check("task", slow=True)
def check_task_on_ranks(subject: Subject) -> None:
    """`ganzoo run` trains on one process and on two, whose weights then are equal."""
    file = subject.folder / "tiny.toml"
    write_text(file, to_toml(tiny_recipe(subject)))
    for processes in (1, 2):
        command = [sys.executable, "-m", "ganzoo", *subject.plugin_arguments(), "run", str(file)]
        command += ["--processes", str(processes), "--device", "cpu", "--max-steps", "2"]
        command += ["--out", str(subject.folder / f"of_{processes}")]
        done = subprocess.run(  # noqa: S603  # our own interpreter
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        require(
            done.returncode == 0,
            f"on {processes} process(es) the run ends with exit code {done.returncode}:\n"
            + "\n".join(done.stderr.strip().splitlines()[-12:]),
        )


@check("task")
def check_task_overfits(subject: Subject) -> None:
    """The generator alone brings its loss on one batch to a third; without its steps it stays."""
    recipe = tiny_recipe(subject)
    task = recipe.task.load()
    makers = [
        player
        for player, roles in task.players.items()
        if any(task.roles[role] == "generator" for role in roles)
    ]
    if not makers:
        raise NotApplicable("no player has a generator")
    tried = []
    for rate in _RATES:
        start, still = _losses(subject, rate, makers, moved=())
        # Losses may be negative: down by two thirds of the start, which then is to a third.
        goal = start - abs(start) * 2 / 3
        require(
            still > goal,
            f"the generator's loss goes from {start:.4g} to {still:.4g} without any of its steps: "
            "something else than `optimize` changes it",
        )
        _, end = _losses(subject, rate, makers, moved=makers, goal=goal)
        if end <= goal:
            return
        tried.append(f"{end:.4g} (lr {rate})")
    message = (
        f"on one batch, against a discriminator that stands still, the generator's loss is "
        f"{start:.4g} and comes to {', '.join(tried)}: not to {goal:.4g}, so it doesn't learn"
    )
    raise CheckFailed(message)


def _losses(
    subject: Subject,
    rate: float,
    makers: Collection[str],
    *,
    moved: Collection[str],
    goal: float | None = None,
) -> tuple[float, float]:
    """The generator's loss on one batch at first and at last, means over a few steps each."""

    def put(document: dict[str, Any]) -> None:
        document["optimizer"] = {"name": "adam", "lr": rate, "betas": [0.9, 0.999]}
        document.pop("players", None)

    with training(tiny_recipe(subject, put)) as trainer:
        batch = batch_of(trainer, 0, 1)
        optimize = OnlySome(trainer, watched=makers, moved=moved)
        began = time.monotonic()
        totals = optimize.totals
        for step in range(400 if goal is not None else 5 * _PATIENCE):
            optimize.step(batch)
            if goal is not None and len(totals) > 5 and _mean(totals[-5:]) <= goal:
                break
            if step >= _PATIENCE and time.monotonic() - began > _SECONDS / (2 - bool(moved)):
                break
        require(totals, f"these players never had a turn: {sorted(makers)}")
        if not moved:
            half = (len(totals) + 1) // 2
            return _mean(totals[:half]), _mean(totals[half:] or totals)
        return totals[0], _mean(totals[-5:])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@check("task", "generator", "discriminator", "network")
def check_frozen_parts_stay(subject: Subject) -> None:
    """Frozen sub-networks keep weights and buffers bit for bit through training."""
    with training(_with_component(subject)) as trainer:
        mine = {
            role: net
            for role, net in trainer.nets.items()
            if subject.component.component.kind == "task"
            or trainer.plan.chosen[role].id == subject.id
        }
        before = dict(_frozen(mine))
        if not before:
            raise NotApplicable("no network has frozen weights")
        _steps(trainer, 3)
        after = weights_of(trainer.nets)
    other = changed(before, {name: after[name] for name in before})
    require(
        not other,
        f"frozen, and yet changed by training: {other[:3]} (statistics of a norm, perhaps: keep "
        "frozen parts in evaluation mode, by overriding train())",
    )


def _with_component(subject: Subject) -> Recipe:
    kind = subject.component.component.kind
    if kind == "task":
        return tiny_recipe(subject)

    def put(document: dict[str, Any]) -> None:
        document[kind] = subject.table(kind, subject.id)

    def fits(recipe: Recipe) -> bool:
        return kind in recipe.task.load().roles.values()

    return tiny_host(subject, put, fits)


def _frozen(nets: Mapping[str, nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Weights that aren't trained, and all buffers of modules that have no others."""
    for role, net in nets.items():
        for stem, module in net.named_modules():
            whole = list(module.parameters())
            still = bool(whole) and not any(p.requires_grad for p in whole)
            own = {n: p for n, p in module.named_parameters(recurse=False) if not p.requires_grad}
            if still:
                own |= dict(module.named_buffers(recurse=False))
            for name, tensor in own.items():
                if name in module._non_persistent_buffers_set:  # noqa: SLF001  # not in checkpoints
                    continue
                path = ".".join(filter(None, (role, stem, name)))
                yield path, tensor.detach().clone()
