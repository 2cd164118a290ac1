"""The precision in which a trained network is computed: float32, or mostly 16-bit floats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from ganzoo.nn.device_and_precision import Precision

_HALF: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
"""Precisions in which trained networks are used."""


def lower_weights(net: nn.Module, precision: Precision) -> None:
    """Round once what autocast would round anew for each image; results stay the same.

    That is the weights of convolutions and linear layers, torch's and `ganzoo.nn`'s. A subclass
    with a `forward` of its own may do more with them than a product, so it keeps them, as do norms
    and embeddings. So does a weight that is computed from others (spectral norm).

    Rounded weights take the place of a layer's own only while it is called under autocast: a
    network may read weights itself, or switch autocast off for what is delicate.
    """
    half = _HALF.get(precision)
    if half is None:
        return
    for module in net.modules():
        if _only_multiplies(module):
            swap = _Swap(module, half)
            module.register_forward_pre_hook(swap.begin)
            module.register_forward_hook(swap.end, always_call=True)


class _Swap:
    """A layer's weights and their rounded copies, which change places around each call."""

    def __init__(self, layer: nn.Module, half: torch.dtype) -> None:
        self._half = half
        self._own = dict(layer.named_parameters(recurse=False))
        self._rounded = {
            name: nn.Parameter(own.detach().to(half), requires_grad=False)
            for name, own in self._own.items()
        }
        self._device = next(iter(self._own.values())).device.type

    def begin(self, layer: nn.Module, _: tuple[Any, ...]) -> None:
        """Before a call."""
        on = torch.is_autocast_enabled(self._device)
        if on and torch.get_autocast_dtype(self._device) == self._half:
            for name, rounded in self._rounded.items():
                setattr(layer, name, rounded)

    def end(self, layer: nn.Module, _: tuple[Any, ...], __: Any) -> None:
        """After a call, also one that failed."""
        for name, own in self._own.items():
            setattr(layer, name, own)


def _only_multiplies(module: nn.Module) -> bool:
    own = dict(module.named_parameters(recurse=False))
    if not isinstance(module, _ConvNd | nn.Linear) or "weight" not in own:
        return False
    if own["weight"].dtype != torch.float32:
        return False  # autocast rounds no float64
    used = (getattr(type(module), name, None) for name in ("forward", "_conv_forward"))
    homes = [method.__module__ for method in used if method is not None]
    return all(home.startswith(("torch.nn.modules.", "ganzoo.nn.")) for home in homes)


@contextmanager
def computing_in(precision: Precision, net: nn.Module) -> Iterator[None]:
    """Autocast for a network; nothing at all for fp32.

    Dropout draws in float32, as there: on CUDA the order in which a mask is drawn depends on the
    size of the numbers, and another mask makes another image.
    """
    half = _HALF.get(precision)
    if half is None:
        yield
        return
    device = next((parameter.device.type for parameter in net.parameters()), "cpu")
    drops = [module for module in net.modules() if isinstance(module, _DropoutNd)]
    hooks = [module.register_forward_pre_hook(_in_float32) for module in drops]
    try:
        with torch.autocast(device, half):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _in_float32(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        one.float() if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in inputs
    )
