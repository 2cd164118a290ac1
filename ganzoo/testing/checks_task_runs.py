"""What is demanded of tasks in the long run: exact resumes, equal processes, learning."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.engine import checkpoint
from ganzoo.engine.snapshot import capture, restore
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import GanzooError
from ganzoo.files import write_text
from ganzoo.recipe.model import Recipe
from ganzoo.recipe.write import to_toml
from ganzoo.testing.kit import CheckFailed, NotApplicable, check, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.trial import PATIENCE, OnlySome, batch_of, changed, training, weights_of

_HALF = 4
"""Steps before and after a checkpoint."""
_RATES = (0.01, 0.002)
"""Learning rates at which a task may overfit one batch."""
_WARM_UP, _TRIES, _WINDOW = 40, 250, 5
"""Steps of the others alone, of the generator alone at most, and those that make a mean."""
_SECONDS = 10
"""Time for each of these, for networks that are large even at their smallest."""


@check("task")
def check_task_resume(subject: Subject) -> None:
    """A resume is exact to the bit, with averages, annealed rates of each player, augmentation."""
    players = sorted(subject.choose().load().players)

    def put(document: dict[str, Any]) -> None:
        """All that changes with training: each player's own rates, averages; augments stay."""
        document["ema"] = {"enabled": True, "half_life": {"from": 2, "to": 20}}
        document["players"] = {
            player: {
                "use": "ganzoo/adam",
                "lr": {"from": 1e-3 * 2**place, "to": 1e-4},
                "betas": [0.5, {"from": 0.9, "to": 0.99}],
                "schedule": "ganzoo/cosine",
            }
            for place, player in enumerate(players)
        }

    same_after_a_resume(tiny_recipe(subject, put), subject.folder)


def same_after_a_resume(recipe: Recipe, folder: Path) -> None:
    """Compare some steps, a checkpoint and as many steps again with a run of them all.

    Raises:
        CheckFailed: one bit differs, or the state can't be saved.
    """
    with training(recipe) as trainer:
        _steps(trainer, _HALF)
        try:
            saved = checkpoint.save(folder, capture(trainer), keep=1, best=None)
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
    """Weights, their averages, optimizers and the task's state."""
    averages = {f"{role}.ema": ema.module for role, ema in trainer.ema.items()}
    tensors = weights_of({**trainer.nets, **averages})
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
    task = tiny_recipe(subject).task.load()
    makers = [
        player
        for player, roles in task.players.items()
        if any(task.roles[role] == "generator" for role in roles)
    ]
    if not makers:
        raise NotApplicable("no player has a generator")
    tried = []
    for rate in _RATES:
        start, still, end, goal = _overfit(subject, rate, makers)
        require(
            still > goal,
            f"the generator's loss goes from {start:.4g} to {still:.4g} without any of its steps: "
            "something else than `optimize` changes it",
        )
        if end <= goal:
            return
        tried.append(f"from {start:.4g} to {end:.4g} (lr {rate})")
    message = (
        "on one batch, against other players that stand still, the generator's loss goes "
        f"{', '.join(tried)}: not to a third, so it doesn't learn"
    )
    raise CheckFailed(message)


def _goal(skipped: Sequence[float]) -> float:
    """Where a loss should come to that goes like this by itself.

    A third; down by as much where it began below 0. Near 0 a third of it is nothing beside what
    fresh noise does: then down by three deviations of the mean of a window.
    """
    start = _mean(skipped)
    noise = statistics.pstdev(skipped) / math.sqrt(_WINDOW)
    return start - max(abs(start) * 2 / 3, 3 * noise)


def _overfit(
    subject: Subject, rate: float, makers: Collection[str]
) -> tuple[float, float, float, float]:
    """The generator's loss on one batch: at first, after as many steps without its own, with them.

    Last comes what it should fall to.

    The others learn first, on the same batch: whoever can't tell real from fake yet can't be
    fooled either.
    """

    def put(document: dict[str, Any]) -> None:
        document["optimizer"] = {"use": "ganzoo/adam", "lr": rate, "betas": [0.9, 0.999]}
        document.pop("players", None)
        document["diffaugment"] = []

    with training(tiny_recipe(subject, put)) as trainer:
        batch = batch_of(trainer, 0, 1)
        others = set(trainer.plan.players) - set(makers)
        if others:
            _play(OnlySome(trainer, watched=makers, moved=others), batch, _WARM_UP)
        mine = {role: net for role, net in trainer.nets.items() if _moved_by(trainer, role, makers)}
        before = _parameters(mine)
        skipped = _play(OnlySome(trainer, watched=makers, moved=()), batch, _WARM_UP)
        require(skipped, f"these players never had a turn: {sorted(makers)}")
        touched = changed(before, _parameters(mine))
        require(
            not touched,
            f"without any step of {sorted(makers)} its weights change: {touched[:3]}; leave them "
            "to `optimize`",
        )
        half = (len(skipped) + 1) // 2
        start, still = _mean(skipped[:half]), _mean(skipped[half:] or skipped)
        goal = _goal(skipped[:half])
        optimize = OnlySome(trainer, watched=makers, moved=makers)
        played = _play(optimize, batch, _TRIES, goal=goal)
        return start, still, _mean(played[-_WINDOW:]), goal


def _moved_by(trainer: Trainer, role: str, players: Collection[str]) -> bool:
    return any(role in trainer.plan.players[player] for player in players)


def _parameters(nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{role}.{name}": parameter.detach().clone()
        for role, net in nets.items()
        for name, parameter in net.named_parameters()
    }


def _play(
    optimize: OnlySome, batch: Mapping[str, Tensor], steps: int, goal: float = -math.inf
) -> list[float]:
    """Step until the goal is reached or time is over; the generator's losses.

    Args:
        optimize: who moves.
        batch: the same for all steps.
        steps: turns of the generator; it may have one in `PATIENCE` steps.
        goal: a loss that is low enough.
    """
    began = time.monotonic()
    for step in range(PATIENCE * steps):
        optimize.step(batch)
        window = optimize.totals[-_WINDOW:]
        if len(window) == _WINDOW and _mean(window) <= goal:
            break
        late = step >= PATIENCE * _WINDOW and time.monotonic() - began > _SECONDS
        if late or len(optimize.totals) >= steps:
            break
    return optimize.totals


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@check("task")
def check_task_keeps_frozen_parts(subject: Subject) -> None:
    """Frozen sub-networks keep weights and buffers bit for bit through training."""
    with training(tiny_recipe(subject)) as trainer:
        before = dict(_frozen(trainer.nets))
        if not before:
            raise NotApplicable("no network has frozen weights")
        _steps(trainer, 3)
        after = weights_of(trainer.nets)
    other = changed(before, {name: after[name] for name in before})
    require(
        not other,
        f"frozen, and yet changed by training: {other[:3]} (statistics of a norm, perhaps: keep "
        "frozen parts in evaluation mode, in train() and from the constructor on)",
    )


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
