"""Checks of optimizers: what the engine sets, saves and relies on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganzoo.data.rng import isolated
from ganzoo.engine.optimizers import PlayerSettings, build_optimizer, load_state, state_of
from ganzoo.errors import GanzooError
from ganzoo.interfaces import Clock
from ganzoo.recipe.model import Optimizer, OptimizerKeys
from ganzoo.testing.compare import unequal
from ganzoo.testing.kit import CheckFailed, Unusable, check, require
from ganzoo.testing.subject import Subject

_STEPS = 4
"""Steps before and after a checkpoint."""


def _weights() -> list[Tensor]:
    """A matrix, a kernel, a vector and a single number."""
    with isolated(0):
        return [torch.randn(shape) for shape in ((4, 3), (2, 3, 3, 3), (5,), (1,))]


class _Descent:
    """An optimizer on a small quadratic function, stepped as the engine does it.

    Raises:
        Unusable: it can't be built.
    """

    def __init__(self, subject: Subject, weights: list[Tensor], *, rate: float = 1.0) -> None:
        constant = subject.registry.choose("schedule", "ganzoo/constant")
        self.options = Optimizer(subject.choose(), OptimizerKeys(schedule=constant))
        self.rate = rate
        self.named = [
            (f"role.{index}", nn.Parameter(weight.clone())) for index, weight in enumerate(weights)
        ]
        try:
            self.optimizer = build_optimizer(self.options, [one for _, one in self.named], 1)
        except GanzooError as error:
            raise Unusable(str(error), reported_by="check_optimizer_descends") from error

    def loss(self) -> Tensor:
        """Return half the sum of squared distances from 1."""
        return torch.stack([(weight - 1).square().sum() for _, weight in self.named]).sum() / 2

    def go(self, first: int, count: int) -> None:
        """Make steps, of which the first has a number."""
        for step in range(first, first + count):
            self.loss().backward()  # type: ignore[no-untyped-call]
            settings = PlayerSettings(self.options, 1).at(Clock(step, step, step / 100))
            for group in self.optimizer.param_groups:
                group.update(settings | {"lr": settings["lr"] * self.rate})
            self.optimizer.step()
            for _, weight in self.named:
                weight.grad = None

    def saved(self) -> dict[str, Tensor]:
        """Return copies of the weights, and of the tensors that a checkpoint holds."""
        try:
            state = state_of(self.optimizer, self.named, self.options.chosen.id)
        except GanzooError as error:
            raise CheckFailed(error.message) from error
        weights = {name: weight.detach() for name, weight in self.named}
        return {name: tensor.clone() for name, tensor in {**weights, **state}.items()}


@check("optimizer")
def check_optimizer_descends(subject: Subject) -> None:
    """Steps change all weights, make a simple loss smaller, and follow the rate in its groups."""
    one, half = _Descent(subject, _weights()), _Descent(subject, _weights(), rate=0.5)
    start = one.loss().item()
    for each in (one, half):
        each.go(0, 20)
    end = one.loss().item()
    still = [
        name
        for (name, weight), before in zip(one.named, _weights(), strict=True)
        if torch.equal(weight, before)
    ]
    require(not still, f"some weights don't move: {still}")
    require(
        math.isfinite(end) and end < start,
        f"the sum of squared distances goes from {start:.6g} to {end:.6g} in 20 steps",
    )
    require(
        any(unequal(dict(one.named), dict(half.named))),
        "at half the rate its steps are the same: read `lr` from `group` in each step, where the "
        "engine writes it",
    )


@check("optimizer")
def check_optimizer_resume(subject: Subject) -> None:
    """Its tensors in `state[parameter]` are all that a resume needs, bit for bit."""
    one = _Descent(subject, _weights())
    one.go(0, _STEPS)
    saved = one.saved()
    again = _Descent(subject, [weight.detach() for _, weight in one.named])
    state = {name: tensor for name, tensor in saved.items() if name not in dict(one.named)}
    load_state(again.optimizer, again.named, state)
    require(
        not unequal(saved, again.saved()),
        "its tensors aren't the same after `load_state_dict(state_dict())`",
    )
    for each in (one, again):
        each.go(_STEPS, _STEPS)
    different = unequal(one.saved(), again.saved())
    require(
        not different,
        f"after a resume these differ: {different[:3]}; keep all state in tensors of "
        "`self.state[parameter]`, not in attributes or in `param_groups`",
    )
