"""In which numbers a trained network is computed; images come out in 8 bits whatever they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from ganzoo.errors import EnvironmentFault
from ganzoo.nn.hardware import auto_precision

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""`fp32`: the weights' own; the others under autocast: products in 16 bits, sums, statistics and
what is sensitive in 32."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_precision(wanted: str, device: torch.device, *, eight_bits: bool = True) -> Precision:
    """Settle `auto`; what was asked for by name stays that.

    Args:
        wanted: `auto` or one of `Precision`. Where results are put on the 8-bit grid, which is
            about as coarse as 16-bit floats, `auto` is that of training (`auto_precision` in
            `ganzoo.nn.hardware`). Elsewhere it is fp32.
        device: where the network is.
        eight_bits: whether results are images of 8 bits. Points are kept as they come out, and
            bf16 has three digits.

    Raises:
        EnvironmentFault: fp16 elsewhere than on CUDA.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise EnvironmentFault(
            f"precision fp16 needs CUDA, and the network is on {device}",
            hint="Use --precision bf16 or fp32 (or auto).",
        )
    for precision in PRECISIONS:
        if precision == wanted:
            return precision
    return auto_precision(device.type) if eight_bits else "fp32"


def lower_weights(net: nn.Module, precision: Precision) -> None:
    """Round once what autocast would round anew for each image; results stay the same.

    That is the weights of convolutions and linear layers, torch's and `ganzoo.nn`'s. A subclass
    with a `forward` of its own may do more with them than a product, so it keeps them, as do norms
    and embeddings. So does a weight that is computed from others (spectral norm).

    Rounded weights take the place of a layer's own only while it is called under autocast: a
    network may read weights itself, or switch autocast off for what is delicate.
    """
    if precision == "fp32":
        return
    for module in net.modules():
        if _only_multiplies(module):
            swap = _Swap(module, _HALF[precision])
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
    if precision == "fp32":
        yield
        return
    device = next((parameter.device.type for parameter in net.parameters()), "cpu")
    drops = [module for module in net.modules() if isinstance(module, _DropoutNd)]
    hooks = [module.register_forward_pre_hook(_in_float32) for module in drops]
    try:
        with torch.autocast(device, _HALF[precision]):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _in_float32(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        one.float() if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in inputs
    )
