"""What a network does with normalisation statistics and dropout when it is used, not trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from ganzoo.api import Mode
from ganzoo.data.rng import isolated_torch

MODES: tuple[Mode, ...] = get_args(Mode)

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "track_running_stats")
"""What a norm stores, and whether it does. `ganzoo.nn.norm` counts batches even if it doesn't, so
the count goes out of reach as well."""


@contextmanager
def inference_mode(net: nn.Module, mode: Mode, seed: int = 0) -> Iterator[None]:
    """Put a network into a mode, without gradients, and give it back exactly as it was.

    Parameters and buffers are never written: with statistics of the image the stored ones are out
    of reach for the while. Run one image at a time in `paper` and `deterministic`, or the
    statistics are those of the whole batch. Other modules are in evaluation mode.

    Args:
        net: the raw network; its training flags may be any.
        mode: see `Mode`.
        seed: of the dropout in `paper`; the global random generators aren't drawn from.
    """
    modules = list(net.modules())
    flags = [module.training for module in modules]
    norms = [module for module in modules if isinstance(module, _NormBase)]
    stored = [{name: getattr(norm, name) for name in _STATISTICS} for norm in norms]
    try:
        for module in modules:
            module.training = mode == "paper" and isinstance(module, _DropoutNd)
        if mode != "running":
            for norm in norms:
                for name in _STATISTICS:
                    setattr(norm, name, None)  # a false track_running_stats
                # In training mode SyncBatchNorm would wait for the other ranks; without stored
                # statistics it takes the input's in evaluation mode too.
                norm.training = not isinstance(norm, nn.SyncBatchNorm)
        with torch.no_grad(), isolated_torch(seed):
            yield
    finally:
        for module, flag in zip(modules, flags, strict=True):
            module.training = flag
        for norm, values in zip(norms, stored, strict=True):
            for name, value in values.items():
                setattr(norm, name, value)
