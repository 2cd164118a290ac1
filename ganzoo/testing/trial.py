"""A few steps of real training: what the checks of tasks watch and compare."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Mode
from ganzoo.data.pipeline import collate, open_data
from ganzoo.data.rng import isolated
from ganzoo.engine import checkpoint
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.optimize import Stepper
from ganzoo.engine.snapshot import capture, restore
from ganzoo.engine.trainer import Trainer
from ganzoo.errors import GanzooError
from ganzoo.inference.modes import inference_mode
from ganzoo.interfaces import Clock, DiscriminatorOutput, Loss, LossInputs
from ganzoo.recipe.model import Recipe
from ganzoo.testing.compare import unequal
from ganzoo.testing.kit import CheckFailed, require

PATIENCE = 12
"""Steps within which every player must have had a turn: critics may play five times as often."""
_HALF = 4
"""Steps before and after a checkpoint."""


@contextmanager
def training(recipe: Recipe) -> Iterator[Trainer]:
    """A trainer of the recipe, on this process; afterwards random generators are as they were."""
    with isolated():
        data = open_data(recipe, "train")
        session = Session(resolve(recipe.train), accumulate=recipe.train.accumulate)
        try:
            yield Trainer(recipe, data, session)
        finally:
            session.close()


def batch_of(trainer: Trainer, *indices: int) -> dict[str, Tensor]:
    """Samples as the task gets them; indices are counted round the end of the data."""
    samples = [trainer.data.sample(index % len(trainer.data)) for index in indices]
    return trainer.session.move(collate(samples))


@contextmanager
def inferring(trainer: Trainer, seed: int, mode: Mode = "running") -> Iterator[None]:
    """All networks as they are used after training, and every random generator seeded."""
    with ExitStack() as stack:
        stack.enter_context(isolated(seed))
        for net in trainer.shown.values():
            stack.enter_context(inference_mode(net, mode, seed))
        yield


def weights_of(nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """A copy of all parameters and buffers, by `role.name`."""
    return {
        f"{role}.{name}": tensor.detach().clone()
        for role, net in nets.items()
        for name, tensor in net.state_dict().items()
    }


class Watched:
    """The trainer's `optimize`, which judges every turn; put in the stepper's place.

    Raises:
        CheckFailed: from a call, when the turn isn't clean.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.inner: Stepper = trainer.stepper
        self.trainer = trainer
        self.waiting = set(trainer.plan.players)
        """Players that had no turn yet."""
        self.resting = {role for roles in trainer.plan.players.values() for role in roles}
        """Roles whose weights haven't moved yet."""
        self._weights = parameters_of(trainer.nets)
        trainer.stepper = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def clock(self) -> Clock:
        """How far training is."""
        return self.inner.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.inner.clock = clock

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        """One turn, watched."""
        whose = f"the turn of player {player!r}"
        for name, term in terms.items():
            value = number(f"{player}/{name}", term)
            require(
                term.requires_grad or value == 0,
                f"the term {player}/{name} is {value:.4g} and has no gradient, so that nothing is "
                "learned from it: don't detach what it is made of, or leave it out",
            )
        live = {
            f"{role}.{name}": parameter
            for role, net in self.trainer.nets.items()
            for name, parameter in net.named_parameters()
        }
        before = parameters_of(self.trainer.nets)
        outside = unequal(self._weights, before)
        require(
            not outside,
            f"before {whose} weights change outside of any turn ({len(outside)}, such as "
            f"{outside[:1]}): leave them to `optimize(player, terms)`",
        )
        gradients = {name: None if p.grad is None else p.grad.clone() for name, p in live.items()}
        final = self.trainer.session.accelerator.sync_gradients
        self.inner(player, terms)
        own = {id(parameter) for _, parameter in self.inner.names[player]}
        mine = {name for name, parameter in live.items() if id(parameter) in own}
        self._weights = parameters_of(self.trainer.nets)
        moved = set(unequal(before, self._weights))
        strays = sorted(moved - mine)
        require(not strays, f"{whose} also changes weights that aren't its own: {strays[:3]}")
        after = {name: parameter.grad for name, parameter in live.items()}
        leaks = [name for name in unequal(gradients, after) if name not in mine]
        require(
            not leaks,
            f"{whose} leaves gradients on weights that aren't its own ({len(leaks)}, such as "
            f"{min(leaks, default='')}): show the other player's network under `with "
            f"net.frozen()`, and detach what isn't this turn's{self._unowned(leaks)}",
        )
        require(moved or not final, f"{whose} changes none of its weights")
        require(final or not moved, f"{whose} moves weights while gradients are accumulated")
        if final:
            self.waiting -= {player}
            self.resting -= {name.partition(".")[0] for name in moved}

    def _unowned(self, leaks: Iterable[str]) -> str:
        """Which of the networks with stray gradients no player moves: that may be the slip."""
        owned = {role for roles in self.trainer.plan.players.values() for role in roles}
        roles = sorted({name.partition(".")[0] for name in leaks} - owned)
        return f"\nno player moves {', '.join(roles)}: should one, in `players`?" if roles else ""


def play_all(trainer: Trainer) -> None:
    """Step until every player had its turn and every network moved; each turn is judged.

    Raises:
        CheckFailed: a turn isn't clean, or a player has none.
    """
    watched = Watched(trainer)
    for _ in range(PATIENCE):
        trainer.step()
        if not watched.waiting and not watched.resting:
            return
    message = (
        f"after {PATIENCE} steps these players never had a turn: {sorted(watched.waiting)}"
        if watched.waiting
        else f"after {PATIENCE} steps nothing has moved the weights of {sorted(watched.resting)}"
    )
    if watched.waiting and (batches := trainer.recipe.train.accumulate) > 1:
        message += (
            f"\n`step` is called for each of the {batches} batches whose gradients are added up: "
            "who plays when must depend on `self.clock.step` alone"
        )
    raise CheckFailed(message)


def parameters_of(nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """A copy of all parameters, by `role.name`."""
    return {
        f"{role}.{name}": parameter.detach().clone()
        for role, net in nets.items()
        for name, parameter in net.named_parameters()
    }


def number(name: str, term: Any) -> float:
    """The value of a loss's term.

    Raises:
        CheckFailed: when it is no tensor of one finite value.
    """
    require(isinstance(term, Tensor), f"the term {name} is a {type(term).__name__}, not a tensor")
    require(
        term.numel() == 1,
        f"the term {name} has the shape {tuple(term.shape)}: a term is one number, take its mean",
    )
    value = float(term.detach())
    require(torch.isfinite(term.detach()).all(), f"the term {name} is {value}")
    return value


class OnlySome:
    """An `optimize` that skips all turns but those of `moved`.

    `totals` has a sum of the terms of `watched` for each step that they play in.
    """

    def __init__(
        self, trainer: Trainer, *, watched: Collection[str], moved: Collection[str]
    ) -> None:
        self.trainer = trainer
        self.clock = trainer.clock
        self.watched = watched
        self.moved = moved
        self.totals: list[float] = []
        self._now: list[float] = []

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        """One turn, or none."""
        if player in self.watched:
            self._now.append(sum(number(f"{player}/{n}", term) for n, term in terms.items()))
        if player in self.moved:
            self.trainer.stepper(player, terms)

    def step(self, batch: Mapping[str, Tensor]) -> None:
        """One step of the task; steps and images count on, and nothing is annealed."""
        self._now = []
        self.trainer.task.clock = self.trainer.stepper.clock = self.clock
        self.trainer.task.step(batch, self)
        images = self.clock.images + self.trainer.images_per_step
        self.clock = replace(self.clock, step=self.clock.step + 1, images=images)
        if self._now:
            self.totals.append(sum(self._now))


class Plain:
    """A loss that doesn't know of pairs: means of what is said of all rows."""

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """What is said of the real rows and of the others."""
        return {
            "real": _said(inputs.real_output, inputs.real),
            "fake": 3 * _said(inputs.fake_output, inputs.fake),
        }

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """What is said of the rows that were made."""
        return {"fake": _said(inputs.fake_output, inputs.fake)}


def _said(output: DiscriminatorOutput | None, rows: Tensor) -> Tensor:
    if output is None:
        return rows.mean()
    return torch.stack([logits.mean() for logits in output.logits]).mean()


class Spy:
    """A loss in front of the recipe's, which demands that logits depend on the generator's fakes.

    Raises:
        CheckFailed: in the generator's turn, when they don't.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loss, name)

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """The recipe's terms."""
        fake, output = inputs.fake, inputs.fake_output
        if output is not None:
            turn = "in the generator's turn "
            require(fake.requires_grad, f"{turn}the fake is detached from the generator")
            total = torch.stack([logits.sum() for logits in output.logits]).sum()
            slope = None
            if total.requires_grad:
                (slope,) = torch.autograd.grad(total, fake, retain_graph=True, allow_unused=True)
            reached = slope is not None and bool(slope.any())
            require(reached, f"{turn}the discriminator's logits don't depend on the fake")
        return self._loss.generator(inputs)


def same_after_a_resume(recipe: Recipe, folder: Path) -> None:
    """Compare some steps, a checkpoint and as many steps again with a run of them all.

    Raises:
        CheckFailed: one bit differs, or the state can't be saved.
    """
    with training(recipe) as trainer:
        _steps(trainer)
        try:
            saved = checkpoint.save(folder, capture(trainer), keep=1, best=None)
        except (GanzooError, TypeError, ValueError) as error:
            message = f"its state can't be saved: {error}"
            raise CheckFailed(message) from error
        kept = _flat(trainer.task.state_dict())
        _steps(trainer)
        whole = _everything(trainer)
    with training(recipe) as trainer:
        restore(trainer, checkpoint.load(saved))
        lost = unequal(kept, _flat(trainer.task.state_dict()))
        require(not lost, f"load_state_dict doesn't bring back what state_dict gave: {lost[:3]}")
        _steps(trainer)
        other = unequal(whole, _everything(trainer))
    require(
        not other,
        f"after a resume {len(other)} tensors differ (such as {other[:3]}): whatever influences "
        "later steps belongs in state_dict, or must come from torch's random generator",
    )


def _steps(trainer: Trainer) -> None:
    for _ in range(_HALF):
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
    text = repr(checkpoint.split_tensors(state, "task", tensors)).encode()
    copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    return copies | {"task (plain values)": torch.tensor(list(text), dtype=torch.uint8)}
