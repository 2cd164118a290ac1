"""A few steps of real training, watched: what the checks of tasks stand on."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import Mode
from ganzoo.data.pipeline import collate, open_data
from ganzoo.data.rng import isolated
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.optimize import Stepper
from ganzoo.engine.trainer import Trainer
from ganzoo.inference.modes import inference_mode
from ganzoo.interfaces import Clock, Loss, LossInputs
from ganzoo.recipe.model import Recipe
from ganzoo.testing.kit import require

PATIENCE = 12
"""Steps within which every player must have had a turn: critics may play five times as often."""


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


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that aren't the same bit for bit."""
    return [
        name
        for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or not _same_bits(before[name], after[name])
    ]


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


@dataclass(frozen=True)
class Turn:
    """What one call of `optimize` did.

    Args:
        player: whose turn it was.
        terms: what it minimised.
        moved: its weights that changed.
        strays: weights of others that changed.
        leaks: weights of others whose gradient changed.
        final: whether this call made an optimisation step (False while gradients accumulate).
    """

    player: str
    terms: Mapping[str, float]
    moved: Collection[str]
    strays: Collection[str]
    leaks: Collection[str]
    final: bool


class Watched:
    """The trainer's `optimize`, with a record of every turn; put in the stepper's place.

    Raises:
        CheckFailed: from a call, when the terms aren't finite numbers with names.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.inner: Stepper = trainer.stepper
        self.trainer = trainer
        self.record: list[Turn] = []
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
        values = {name: number(f"{player}/{name}", term) for name, term in terms.items()}
        parameters = {
            f"{role}.{name}": parameter
            for role, net in self.trainer.nets.items()
            for name, parameter in net.named_parameters()
        }
        weights = {name: p.detach().clone() for name, p in parameters.items()}
        gradients = {name: _copy(p.grad) for name, p in parameters.items()}
        final = self.trainer.session.accelerator.sync_gradients
        self.inner(player, terms)
        mine = {id(parameter) for _, parameter in self.inner.names[player]}
        moved = {name for name, p in parameters.items() if not torch.equal(weights[name], p)}
        others = {name for name, p in parameters.items() if id(p) not in mine}
        leaks = {name for name in others if not _equal(gradients[name], parameters[name].grad)}
        self.record.append(Turn(player, values, moved - others, moved & others, leaks, final))


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


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


class OnlySome:
    """An `optimize` that skips the turns of all players but some.

    Args:
        trainer: whose networks are moved.
        watched: players whose terms are summed up in `totals`, one for each step they play in.
        moved: players whose turns aren't skipped.
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
        self.trainer.task.clock = self.clock
        self.trainer.stepper.clock = self.clock
        self.trainer.task.step(batch, self)
        self.clock = replace(
            self.clock,
            step=self.clock.step + 1,
            images=self.clock.images + self.trainer.images_per_step,
        )
        if self._now:
            self.totals.append(sum(self._now))


class Spy:
    """A loss in front of the recipe's that notes how what the generator made reaches its terms.

    Args:
        loss: the recipe's.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self.looks = 0
        """Generators' turns in which a discriminator was shown something."""
        self.blind: list[str] = []
        """What was wrong in them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loss, name)

    def discriminator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """The recipe's terms."""
        return self._loss.discriminator(inputs)

    def generator(self, inputs: LossInputs) -> dict[str, Tensor]:
        """The recipe's terms, once it is noted whether logits depend on the fakes."""
        if inputs.fake_output is not None:
            self.looks += 1
            if not inputs.fake.requires_grad:
                self.blind.append("what is shown as fake is detached from the generator")
            else:
                total = functools.reduce(
                    torch.add, [logits.sum() for logits in inputs.fake_output.logits]
                )
                if not _depends(total, inputs.fake):
                    self.blind.append("the discriminator's logits don't depend on the fake")
        return self._loss.generator(inputs)


def _depends(total: Tensor, on: Tensor) -> bool:
    if not total.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(total, on, retain_graph=True, allow_unused=True)
    return gradient is not None and bool(gradient.any())
