"""Optimizers of torch.optim without their ties to torch.compile, which runs use for networks alone.

torch guards an optimizer's methods against its compiler: whoever first calls one imports all of
torch._dynamo, with sympy, triton and torch.distributed, to say that it isn't to be compiled. That
takes 0.8 s and 150 MB.
"""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)

_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[Kind]) -> type[Kind]:
    """A subclass whose methods are those of `kind` before the guards: the same numbers.

    Args:
        kind: a class of torch.optim that isn't differentiable itself, by its arguments.
    """
    bare: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _GUARDED}
    # Its guard also switches gradients off.
    bare["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), bare)
