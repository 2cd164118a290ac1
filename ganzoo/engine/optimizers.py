"""Optimizers from a recipe's table; what anneals in them is a pure function of images seen."""

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
    """An optimizer of torch.optim; fused where torch has a fused kernel (CPU and CUDA)."""
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
    """What the parameter groups hold in the step that starts at `clock`.

    Args:
        options: the player's optimizer table.
        clock: before the step.
        epochs: planned passes over the data.
    """
    first, second = (beta.at(clock) for beta in options.betas)
    # Torch keeps no buffer where momentum is 0, and RMSprop makes one in the first step or never.
    momentum = max(first, sys.float_info.min) if options.betas[0].end else first
    held: dict[str, dict[str, Any]] = {
        "adam": {"betas": (first, second)},
        "adamw": {"betas": (first, second)},
        "sgd": {"momentum": momentum},
        "rmsprop": {"momentum": momentum, "alpha": second},
    }
    return {"lr": learning_rate(options, clock, epochs), **held[options.name]}


def learning_rate(options: Optimizer, clock: Clock, epochs: int) -> float:
    """Rate of the step that starts at `clock`.

    With `every = "epoch"` and `shape = "linear"` the factor in epoch e (from 1) of E is
    1 - max(0, e - hold * E) / (E - hold * E + 1), the rule of the training code published with
    arXiv 1611.07004, which never quite reaches 0.

    Args:
        options: the player's optimizer table.
        clock: before the step.
        epochs: planned passes over the data (E).
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
    """Return an optimizer class without its ties to torch.compile, which computes the same numbers.

    torch guards an optimizer's methods against its compiler: whoever first calls one imports all of
    torch._dynamo, with sympy, triton and torch.distributed, to say that the method isn't to be
    compiled. That takes 0.8 s and 150 MB. Runs compile networks alone.

    Args:
        kind: a class of torch.optim that isn't differentiable itself, by its arguments.
    """
    bare: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _GUARDED}
    # Its guard also switches gradients off.
    bare["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), bare)
