"""Build the optimizers of a recipe, and compute their settings for each step.

Settings that change during training are a pure function of the clock.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import nn

from ganzoo.interfaces import Clock
from ganzoo.recipe.model import Optimizer

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def build_optimizer(
    options: Optimizer, parameters: Iterable[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """Build an optimizer of torch.optim; it is fused where torch has a fused kernel.

    Torch has one for all kinds but RMSprop, on the CPU and on CUDA.
    """
    fused = device.type in ("cpu", "cuda")
    start = Clock(0, 0, 0.0)
    rate = options.lr.at(start)
    first, second = (beta.at(start) for beta in options.betas)
    if options.name == "sgd":
        return eager(torch.optim.SGD)(
            parameters, rate, momentum=first, weight_decay=options.weight_decay, fused=fused
        )
    if options.name == "rmsprop":
        return eager(torch.optim.RMSprop)(
            parameters,
            rate,
            alpha=second,
            eps=options.eps,
            momentum=first,
            weight_decay=options.weight_decay,
        )
    kind = torch.optim.AdamW if options.name == "adamw" else torch.optim.Adam
    return eager(kind)(
        parameters,
        rate,
        betas=(first, second),
        eps=options.eps,
        weight_decay=options.weight_decay,
        fused=fused,
    )


def at_clock(options: Optimizer, clock: Clock, epochs: int) -> dict[str, Any]:
    """Return the settings of the parameter groups in the step that starts at `clock`.

    Args:
        options: the player's optimizer table.
        clock: the clock before the step.
        epochs: the planned number of passes over the data.
    """
    first, second = (beta.at(clock) for beta in options.betas)
    # Torch has no momentum buffer where momentum is 0, and RMSprop creates one in the first step
    # or never. So a momentum that changes never becomes exactly 0.
    momentum = max(first, sys.float_info.min) if options.betas[0].end else first
    held: dict[str, dict[str, Any]] = {
        "adam": {"betas": (first, second)},
        "adamw": {"betas": (first, second)},
        "sgd": {"momentum": momentum},
        "rmsprop": {"momentum": momentum, "alpha": second},
    }
    return {"lr": learning_rate(options, clock, epochs), **held[options.name]}


def learning_rate(options: Optimizer, clock: Clock, epochs: int) -> float:
    """Return the learning rate of the step that starts at `clock`.

    With `every = "epoch"` and `shape = "linear"` the factor in epoch e (from 1) of E is
    1 - max(0, e - hold * E) / (E - hold * E + 1). This is the rule of the training code published
    with arXiv 1611.07004; the factor never reaches 0.

    Args:
        options: the player's optimizer table.
        clock: the clock before the step.
        epochs: the planned number of passes over the data (E).
    """
    schedule = options.schedule
    if schedule.every == "epoch":
        held = schedule.hold * epochs
        epoch = min(clock.epoch + 1, epochs)
        share = max(0.0, epoch - held) / (epochs - held + 1)
    else:
        share = max(0.0, clock.progress - schedule.hold) / (1 - schedule.hold)
    share = min(share, 1.0)
    factor = 1.0
    if schedule.shape == "linear":
        factor = 1 - share
    elif schedule.shape == "cosine":
        factor = (1 + math.cos(math.pi * share)) / 2
    if schedule.warmup and clock.progress < schedule.warmup:
        factor *= clock.progress / schedule.warmup
    return options.lr.at(clock) * factor


def eager(kind: type[Kind]) -> type[Kind]:
    """Return a subclass of an optimizer that is independent of torch.compile.

    It computes the same numbers. Torch wraps an optimizer's methods so that they aren't compiled.
    The first call of a wrapped method imports all of torch._dynamo, with sympy, triton and
    torch.distributed, which takes 0.8 s and 150 MB. Runs compile only networks, so they don't need
    the wrappers.

    Args:
        kind: a class of torch.optim, to be used without `differentiable=True`.
    """
    bare: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _GUARDED}
    # The wrapper of `step` also disables gradients.
    bare["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), bare)
