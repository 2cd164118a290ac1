"""Checks of optimizers and schedules: what the engine sets, saves and relies on."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from ganzoo.data.rng import isolated
from ganzoo.engine.optimizers import PlayerSettings, build_optimizer, load_state, state_of
from ganzoo.errors import GanzooError
from ganzoo.interfaces import Clock
from ganzoo.recipe.model import Optimizer, OptimizerKeys
from ganzoo.testing.kit import CheckFailed, check, require
from ganzoo.testing.subject import Subject
from ganzoo.testing.trial import changed

_STEPS = 4
"""Steps before and after a checkpoint."""
_EPOCHS, _LENGTH = 3, 40
"""The planned training of a schedule: passes over the data, and images of each."""


class _Descent:
    """An optimizer on a small quadratic function, stepped as the engine does it."""

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
            raise CheckFailed(str(error)) from error

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

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint holds."""
        try:
            return state_of(self.optimizer, self.named, self.options.chosen.id)
        except GanzooError as error:
            raise CheckFailed(error.message) from error

    def everything(self) -> dict[str, Tensor]:
        """Return copies of weights and state."""
        weights = {name: weight.detach() for name, weight in self.named}
        return {name: tensor.clone() for name, tensor in {**weights, **self.state()}.items()}


def _weights() -> list[Tensor]:
    """A matrix, a kernel, a vector and a single number."""
    with isolated(0):
        return [torch.randn(shape) for shape in ((4, 3), (2, 3, 3, 3), (5,), (1,))]


@check("optimizer")
def check_optimizer_descends(subject: Subject) -> None:
    """Steps change all weights, make a simple loss smaller, and follow the rate in its groups."""
    one = _Descent(subject, _weights())
    before, start = one.everything(), one.loss().item()
    one.go(0, 20)
    moved = {name for name, _ in one.named} & {*changed(before, one.everything())}
    still = sorted({name for name, _ in one.named} - moved)
    require(not still, f"some weights don't move: {still}")
    end = one.loss().item()
    require(
        math.isfinite(end) and end < start,
        f"the sum of squared distances goes from {start:.6g} to {end:.6g} in 20 steps",
    )
    other = _Descent(subject, _weights(), rate=0.5)
    other.go(0, 20)
    require(
        changed(one.everything(), other.everything()),
        "at half the rate its steps are the same: read `lr` from `group` in each step, where the "
        "engine writes it",
    )


@check("optimizer")
def check_optimizer_resume(subject: Subject) -> None:
    """Its tensors in `state[parameter]` are all that a resume needs, bit for bit."""
    one = _Descent(subject, _weights())
    one.go(0, _STEPS)
    saved = {name: tensor.clone() for name, tensor in one.state().items()}
    again = _Descent(subject, [weight.detach() for _, weight in one.named])
    load_state(again.optimizer, again.named, saved)
    require(
        not changed(saved, again.state()),
        "its tensors aren't the same after `load_state_dict(state_dict())`",
    )
    for each in (one, again):
        each.go(_STEPS, _STEPS)
    different = changed(one.everything(), again.everything())
    require(
        not different,
        f"after a resume these differ: {different[:3]}; keep all state in tensors of "
        "`self.state[parameter]`, not in attributes or in `param_groups`",
    )


@check("schedule")
def check_schedule_is_a_pure_function(subject: Subject) -> None:
    """The factor depends on options, clock and epochs alone, and is finite and at least 0."""
    chosen = subject.choose()
    images = range(_EPOCHS * _LENGTH + 1)
    clocks = [
        Clock(step=one, images=one, progress=one / images[-1], epoch=one // _LENGTH)
        for one in images
    ]
    factors = [chosen.build(clock, _EPOCHS) for clock in clocks]
    for clock, factor in zip(clocks, factors, strict=True):
        require(
            isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0,
            f"the factor at progress {clock.progress:g} is {factor!r}: give a finite number from "
            "0 on",
        )
    require(any(factors), "the factor is 0 in the whole training")
    again = [chosen.build(clock, _EPOCHS) for clock in reversed(clocks)][::-1]
    other = [
        clock.images
        for clock, first, second in zip(clocks, factors, again, strict=True)
        if first != second
    ]
    require(
        not other,
        f"asked again, it gives another factor at {len(other)} of {len(clocks)} clocks: keep "
        "nothing between calls",
    )
    steps = [chosen.build(replace(clock, step=2 * clock.step), _EPOCHS) for clock in clocks]
    require(
        steps == factors,
        "it depends on `clock.step`, which another batch size changes: use `images`, `progress` "
        "or `epoch`",
    )
