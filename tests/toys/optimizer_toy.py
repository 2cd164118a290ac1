"""An optimizer and a schedule, and others that break one rule each."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from ganzoo.api import Component, OptimizerOptions, Options, Scalar, hookimpl

Decay = Annotated[Scalar, Field(ge=0, lt=1)]


class SignOptions(OptimizerOptions):
    betas: tuple[Decay, Decay] = (Scalar(0.9), Scalar(0.99))
    """Decay rates of the direction and of the average."""


class WaveOptions(Options):
    waves: int = Field(default=2, ge=1)
    """Number of periods in the whole training."""


class Sign(torch.optim.Optimizer):
    """Steps by the sign of an average of the gradient."""

    def __init__(self, options, parameters):
        super().__init__(parameters, options.settings(Start()))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            first, second = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["average"] = torch.zeros_like(weight)
                average = state["average"]
                rate = group["lr"] * self.scale()
                weight.sub_(rate * torch.lerp(weight.grad, average, first).sign())
                average.lerp_(weight.grad, 1 - second)

    def scale(self):
        return 1.0


class Start:
    progress = 0.0


def wave(options, clock, epochs):
    return 1 + math.sin(2 * math.pi * options.waves * clock.progress) / 2


# --- broken ones --------------------------------------------------------------------------------


class Counts(Sign):
    """Keeps a number of steps where no checkpoint finds it."""

    steps = 0

    def scale(self):
        self.steps += 1
        return 1 / self.steps


class Numbers(Sign):
    """Keeps a number that isn't a tensor."""

    def step(self, closure=None):
        super().step()
        for weight in self.param_groups[0]["params"]:
            self.state[weight]["steps"] = self.state[weight].get("steps", 0) + 1


class Deaf(Sign):
    """Steps with the rate that it was built with."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = 1e-3
        super().step()


class Climbs(Sign):
    def scale(self):
        return -1.0


class Lost(Sign):
    """Leaves a weight out."""

    def __init__(self, options, parameters):
        super().__init__(options, parameters[1:])


class Unnamed(Sign):
    """Has another name for what is set."""

    def __init__(self, options, parameters):
        super().__init__(options, parameters)
        for group in self.param_groups:
            group["rates"] = group.pop("betas")


def no_optimizer(options, parameters):
    return parameters


class Tired:
    calls = 0


def tires(options, clock, epochs):
    Tired.calls += 1
    return 1 / Tired.calls


def falls_below(options, clock, epochs):
    return 0.5 - clock.progress


def by_steps(options, clock, epochs):
    return 1 / (1 + clock.step)


def nothing(options, clock, epochs):
    return 0.0


class Broken:
    optimizers: ClassVar = {
        "counts": (Counts, "check_optimizer_resume", "after a resume these differ"),
        "numbers": (Numbers, "check_optimizer_resume", "keeps 'steps' of a weight as an int"),
        "deaf": (Deaf, "check_optimizer_descends", "at half the rate its steps are the same"),
        "climbs": (Climbs, "check_optimizer_descends", "squared distances goes from"),
        "lost": (Lost, "check_optimizer_descends", "doesn't have exactly the parameters"),
        "unnamed": (Unnamed, "check_optimizer_descends", "doesn't use its option 'betas'"),
        "no_optimizer": (no_optimizer, "check_optimizer_descends", "built a list"),
    }
    schedules: ClassVar = {
        "tires": (tires, "check_schedule_is_a_pure_function", "gives another factor"),
        "falls_below": (falls_below, "check_schedule_is_a_pure_function", "from 0 on"),
        "by_steps": (by_steps, "check_schedule_is_a_pure_function", "depends on `clock.step`"),
        "nothing": (nothing, "check_schedule_is_a_pure_function", "0 in the whole training"),
    }


@hookimpl
def ganzoo_components():
    optimizers = {"sign": Sign, **{name: one[0] for name, one in Broken.optimizers.items()}}
    schedules = {"wave": wave, **{name: one[0] for name, one in Broken.schedules.items()}}
    for name, target in optimizers.items():
        yield Component(
            kind="optimizer",
            name=name,
            target=partial(_as_it_is, target),
            options=SignOptions,
            summary="A toy.",
        )
    for name, target in schedules.items():
        yield Component(
            kind="schedule",
            name=name,
            target=partial(_as_it_is, target),
            options=WaveOptions,
            summary="A toy.",
        )


def _as_it_is(target):
    return target
