"""The optimizers of torch.optim, fused where torch has a fused kernel.

Torch has one for all of them but RMSprop, on the CPU and on CUDA.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from ganzoo.interfaces import Clock
from ganzoo.plugin_system.builtin_options import (
    AdamOptions,
    AdamWOptions,
    RMSpropOptions,
    SGDOptions,
)

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
_START = Clock(0, 0, 0.0)


def adam(options: AdamOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Build Adam."""
    fused = _has_kernel(parameters)
    return _built(torch.optim.Adam, options, parameters, eps=options.eps, fused=fused)


def adamw(options: AdamWOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Build AdamW."""
    fused = _has_kernel(parameters)
    return _built(torch.optim.AdamW, options, parameters, eps=options.eps, fused=fused)


def sgd(options: SGDOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Build SGD with momentum."""
    return _built(torch.optim.SGD, options, parameters, fused=_has_kernel(parameters))


def rmsprop(options: RMSpropOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Build RMSprop with momentum."""
    return _built(torch.optim.RMSprop, options, parameters, eps=options.eps)


def _built(
    kind: type[torch.optim.Optimizer],
    options: AdamOptions | AdamWOptions | SGDOptions | RMSpropOptions,
    parameters: list[nn.Parameter],
    **own: Any,
) -> torch.optim.Optimizer:
    """Build an optimizer with what all options have in common, and with arguments of its own."""
    make: Callable[..., torch.optim.Optimizer] = eager(kind)
    settings = options.settings(_START)
    return make(parameters, weight_decay=options.weight_decay, **own, **settings)


def _has_kernel(parameters: list[nn.Parameter]) -> bool:
    return parameters[0].device.type in ("cpu", "cuda")


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
